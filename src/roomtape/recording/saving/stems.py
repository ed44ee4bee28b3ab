"""The stems of a part that is saved: the same stretch of each, in a directory beside it."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ...audio.source_track import SourceTrack
from ...storage.disk import Disk
from ...storage.pieces.readers import Pieces, Reader
from ...storage.pieces.saved_file import SavedFile
from ...storage.pieces.silence import silenced_pieces, silent_unit
from ...storage.pieces.stretches import Stretches
from ...storage.sink import SinkFormat
from ...storage.stems.projects import ProjectTrack, write_projects
from ...storage.stems.stem_file import StemFile
from ...types import AudioFormat
from ..reservation import in_words

_AT_ONCE = 1 << 17
"""So many samples of silence are written at once."""


class _Part:
    """One stem on its way."""

    def __init__(self, track: SourceTrack, stem: StemFile, first: int) -> None:
        self.track = track
        self.stem = stem
        self.position = first
        self.over = False
        """All of the stem is in it; silence follows."""
        self.reader: Reader | None = None
        self.file: SavedFile | None = None
        self.forgotten = Stretches()
        """Silence by now, of what is in the file."""
        self.path = Path()


class SavedStems:
    """Made when the save is asked for; then, on the save's thread, :meth:`copy` until it
    :meth:`is_complete`, :meth:`finish`, and :meth:`close` or :meth:`discard`, which may come at any
    time and twice.

    A stem that cannot be read is left out, and :attr:`failures` says so; what cannot be written
    fails the save.

    Args:
        path: The directory. It is made with the first stem, if it is not there.
        stems: Those that there are, and whose.
        first, stop: The samples of the recording that are saved.
        sink_format: Of the recording; a stem has one channel.
        disk: Where they go.

    Raises:
        OSError: There is no descriptor to be had.
    """

    def __init__(
        self,
        path: Path,
        stems: Callable[[], Iterable[tuple[SourceTrack, StemFile]]],
        first: int,
        stop: int,
        sink_format: SinkFormat,
        disk: Disk,
    ) -> None:
        self._path = path
        self._stems = stems
        self._first = first
        self._stop = stop
        self._format = dataclasses.replace(sink_format, channels=1)
        self._disk = disk
        self._parts: dict[StemFile, _Part] = {}
        self._made = False
        self.progress = 0
        """Grows as long as the disk answers."""
        self.failures: list[str] = []
        self.projects: tuple[Path, ...] = ()
        # At once: what a ring is about to overwrite, it keeps for those who read.
        try:
            self._look()
        except OSError:
            self.discard()
            raise

    @property
    def paths(self) -> dict[SourceTrack, str]:
        """Where they are, once they are finished."""
        return {part.track: str(part.path) for part in self._parts.values() if part.file}

    @property
    def named(self) -> tuple[tuple[str, Path], ...]:
        """The same by the participants' names."""
        return tuple((part.stem.participant, part.path) for part in self._parts.values())

    @property
    def to_open(self) -> int:
        """So many files it has still to open; from any thread."""
        return sum(
            (each.reader is None) + (each.file is None) for each in tuple(self._parts.values())
        )

    def copy(self, go_on: Callable[[], bool]) -> None:
        """Copy what has come, as long as ``go_on``, which is asked now and then.

        Raises:
            OSError: It cannot be written.
        """
        self._look()
        for part in tuple(self._parts.values()):
            self._copy(part, go_on)
        self.forget()

    def is_complete(self) -> bool:
        """Whether all that is wanted is there."""
        return all(part.over or part.position >= self._stop for part in self._parts.values())

    def forget(self) -> None:
        """Whoever was forgotten is silence in what was copied, too.

        Raises:
            OSError: It cannot be written.
        """
        for part in self._parts.values():
            forgotten = part.stem.forgotten
            if part.file is not None and forgotten.spans != part.forgotten.spans:
                part.file.silence(forgotten.later(-self._first))
                part.forgotten = forgotten

    def finish(self, stop: int, go_on: Callable[[], bool]) -> None:
        """Complete them, up to this sample, and give them their names.

        Raises:
            OSError: It cannot be done.
        """
        for part in self._parts.values():
            self._fill(part, stop, go_on)
        self.forget()
        for part in self._parts.values():
            if go_on():
                self._file_of(part).finish(go_on=go_on)

    def write_projects(self, name: str, samples: int) -> None:
        """Write what opens them all, so long and called ``name``, if that can be written; the last
        thing that is done. Raises nothing."""
        tracks = [ProjectTrack(each.path.name, each.path.stem) for each in self._parts.values()]
        rate_hz = self._format.rate_hz
        if tracks:
            with suppress(OSError):
                self.projects = write_projects(
                    self._path,
                    name,
                    tracks,
                    rate_hz=rate_hz,
                    duration_s=samples / rate_hz,
                    disk=self._disk,
                )

    def close(self) -> None:
        """They are finished, and stay. Raises nothing."""
        for part in self._parts.values():
            self._close_reader(part)
            if part.file is not None:
                part.file.close()

    def discard(self) -> None:
        """Remove them. Raises nothing."""
        for part in self._parts.values():
            self._drop(part)
        projects, self.projects = self.projects, ()
        for path in projects:
            with suppress(OSError):
                self._disk.remove(path)
        made, self._made = self._made, False
        if made:
            with suppress(OSError):
                self._disk.call("rmdir", os.rmdir, self._path)

    def let_go(self) -> None:
        """In a forked child: close the descriptors and do nothing else."""
        for part in tuple(self._parts.values()):
            if part.reader is not None:
                part.reader.let_go()
            if part.file is not None:
                part.file.let_go()

    def _look(self) -> None:
        """Whose stems belong to it, and are not known yet."""
        for track, stem in self._stems():
            if stem in self._parts or stem.begins >= self._stop:
                continue
            if stem.error or (stem.done and stem.written <= self._first):
                continue
            part = self._parts[stem] = _Part(track, stem, self._first)
            self._open(part)

    def _open(self, part: _Part) -> None:
        try:
            part.reader = part.stem.reader(self._first, self._stop)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise  # no stem more can be had, and it can be tried again
            self._leave_out(part, in_words(error))
            return
        if part.reader is not None and part.reader.position > max(self._first, part.stem.begins):
            self._leave_out(part, "its beginning is gone")

    def _copy(self, part: _Part, go_on: Callable[[], bool]) -> None:
        done = part.stem.done  # asked first: what is written by then is read below
        if part.reader is None:
            self._open(part)
        if part.reader is not None:
            self._fill(part, part.reader.position, go_on)  # before it came
        while part.reader is not None and go_on():
            try:
                pieces = part.reader.read()
            except OSError as error:
                self._leave_out(part, in_words(error))
                return
            if not pieces:
                break
            self._write(part, pieces, part.reader.position)
        part.over = done

    def _fill(self, part: _Part, stop: int, go_on: Callable[[], bool]) -> None:
        """Silence up to this sample (of AAC, in whole frames)."""
        wav = self._format.audio_format is AudioFormat.WAV
        unit = 1 if wav else self._format.unit_samples
        while part.position < stop and go_on():
            units = -(-min(stop - part.position, _AT_ONCE) // unit)
            silence = silent_unit(self._format.frame_bytes * units if wav else 0, self._format)
            self._write(part, [silence] * (1 if wav else units), part.position + units * unit)

    def _write(self, part: _Part, pieces: Pieces, until: int) -> None:
        quiet = silenced_pieces(pieces, part.position, part.stem.forgotten, self._format)
        self._file_of(part).write(quiet)
        part.position = until
        self.progress += 1

    def _file_of(self, part: _Part) -> SavedFile:
        if part.file is None:
            if not self._made:
                with suppress(FileExistsError):
                    self._disk.call("mkdir", os.mkdir, self._path, 0o700)
                    self._made = True
            part.path = self._path / part.stem.name
            part.file = SavedFile(part.path, self._format, self._disk)
        return part.file

    def _leave_out(self, part: _Part, why: str) -> None:
        del self._parts[part.stem]
        self._drop(part)
        self.failures.append(f"{part.stem.participant} has no stem in what was saved: {why}")

    def _drop(self, part: _Part) -> None:
        self._close_reader(part)
        if part.file is not None:
            part.file.discard()

    @staticmethod
    def _close_reader(part: _Part) -> None:
        if part.reader is not None:
            part.reader.close()
