"""The live files that the stems of a cyclic recording go on in, made beside it.

Each begins with the very sample that the recording's live file begins with, and has what the ring
holds from there on: silence where nothing of it was there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...types import AudioFormat
from ..live import LiveFile
from ..pieces.readers import Reader
from ..sink import SinkFormat
from .files import StemFiles
from .stem_file import StemFile

_NO_END = 1 << 62


@dataclass
class _Copy:
    """One stem on its way."""

    reader: Reader
    file: LiveFile | None = None


class StemPromotion:
    """:meth:`open`, then :meth:`begin_at`, and :meth:`copy` as often as need be, on any one thread;
    :meth:`take_turn` and :meth:`settle` on the one that writes. Or, at any moment before the last,
    and twice, :meth:`discard`.

    What cannot be read or written fails all of it: the stems are as they were.

    Args:
        stems: Those of the recording.
        sink_format: Of it.
    """

    def __init__(self, stems: StemFiles, sink_format: SinkFormat) -> None:
        self._stems = stems
        self._wav = sink_format.audio_format is AudioFormat.WAV
        self._first = 0
        self._copies: dict[StemFile, _Copy] = {}

    def open(self, first: int) -> None:
        """Have the rings keep what they hold from this sample on. Before the recording's own ring
        is asked for the same: so no stem lacks what that has.

        Raises:
            OSError: There is no descriptor to be had.
        """
        self._first = first
        self._look()

    def begin_at(self, first: int) -> None:
        """The live file of the recording begins with this sample, which is no earlier."""
        self._first = first
        for copy in self._copies.values():
            copy.reader.position = max(copy.reader.position, first)

    def copy(self, go_on: Callable[[], bool]) -> bool:
        """Copy a piece of each: in turn, so that no ring runs away from its reader.

        Returns:
            Whether there was anything.

        Raises:
            OSError: It cannot be read, or written.
        """
        self._look()
        copied = [self._copied(*each) for each in tuple(self._copies.items()) if go_on()]
        return any(copied)

    def sync(self) -> None:
        """Have what was copied survive a power cut. Raises OSError."""
        for copy in self._copies.values():
            if copy.file is not None:
                copy.file.sync()

    def take_turn(self) -> None:
        """The rest, and they take their names. Raises OSError."""
        while self.copy(lambda: True):
            pass
        there = set(self._stems.files)
        for stem in [each for each in self._copies if each.closed or each not in there]:
            self._drop(self._copies.pop(stem))  # it has ended meanwhile
        self.sync()
        for copy in self._copies.values():
            if copy.file is not None:
                copy.file.place()

    def settle(self, recording: Path) -> None:
        """All go on in what was made, beside that file. Raises nothing."""
        files = {stem: copy.file for stem, copy in self._copies.items() if copy.file is not None}
        for copy in self._copies.values():
            copy.reader.close()
        self._copies.clear()
        self._stems.go_live(files, self._first, recording)

    def discard(self) -> None:
        """Remove what was made. Raises nothing."""
        for copy in self._copies.values():
            self._drop(copy)
        self._copies.clear()

    def let_go(self) -> None:
        """In a forked child: close the descriptors and do nothing else."""
        for copy in tuple(self._copies.values()):
            copy.reader.let_go()
            if copy.file is not None:
                copy.file.let_go()

    def _look(self) -> None:
        """Whose stems are to be copied, and are not known yet."""
        for stem in self._stems.files:
            if stem in self._copies or stem.closed or (stem.done and stem.written <= self._first):
                continue
            try:
                reader = stem.ring_reader(self._first, _NO_END)
            except OSError:
                if stem.closed:
                    continue  # its ring has gone in this very moment
                raise
            if reader is not None:
                self._copies[stem] = _Copy(reader)

    def _copied(self, stem: StemFile, copy: _Copy) -> bool:
        begins = copy.reader.position
        pieces = copy.reader.read()
        if not pieces:
            return False
        if copy.file is None:
            copy.file = stem.new_live_file(self._first)
            copy.file.write_silence(begins - self._first)
        copy.file.write([b"".join(pieces)] if self._wav else [bytes(each) for each in pieces])
        return True

    @staticmethod
    def _drop(copy: _Copy) -> None:
        copy.reader.close()
        if copy.file is not None:
            with contextlib.suppress(Exception):
                copy.file.discard()
