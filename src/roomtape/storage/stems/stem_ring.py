"""The stem of somebody in a cyclic recording: a ring of the last seconds, as the recording's own.

What it ends as is cut to the very samples that the recording's file has, so that all of them line
up: silence where nothing of it was there. Where the ring of the recording has moved past somebody
who left, nothing of that stay will be in any file, and the ring goes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from ...types import AudioFormat
from ..disk import Disk
from ..pieces.readers import AdtsIndex, AdtsReader, Reader, WavReader
from ..pieces.silence import silenced_pieces
from ..pieces.stretches import Stretches
from ..recover_live import our_frames
from ..ring import Ring
from ..sink import Finished, SinkFormat
from .stem_file import StemFile

_MOST_KEPT_BYTES = 1 << 20
"""For one who reads and is behind: 10 s of WAV at 48 kHz. There may be dozens of stems."""


class StemRing(StemFile):
    """See :class:`StemFile`; it is never cut.

    Args:
        path, participant, silent_units, sink_format, disk: As of a stem that is recorded live.
        recording: The file of the recording, by which a recovery knows what belongs together.
    """

    def __init__(
        self,
        path: Path,
        participant: str,
        silent_units: int,
        sink_format: SinkFormat,
        disk: Disk,
        *,
        recording: Path,
    ) -> None:
        super().__init__(path, participant, silent_units, sink_format, disk)
        self._recording = recording
        self._first_unit = silent_units
        self._ring: Ring | None = None
        self._there = False
        self._finished: Finished | None = None
        self._waiting = bytearray()  # of a WAV, which comes in pieces of any length

    def write(self, units: Sequence[bytes | memoryview], limit: int | None = None) -> None:
        del limit
        now = [bytes(unit) for unit in units] if not self._wav else self._in_units(units)
        if now and not self._closed:
            self._append(now)

    @property
    def paths(self) -> list[Path]:
        """Whoever is forgotten is silence in the ring, too, unless it was broken off."""
        return [self.path] if self.error and self._there else []

    @property
    def done(self) -> bool:
        return self._closed or (self.over and not self._waiting)

    @property
    def there(self) -> bool:
        return self._there

    def gone(self, oldest: int) -> bool:
        """Whether nothing of it is in what the recording keeps, from this sample on, and never will
        be: then its ring is removed. Raises nothing."""
        if not self.over or self._waiting or self._position > oldest:
            return False
        ring, self._ring = self._ring, None
        self._closed, self._there = True, False
        if ring is not None:
            ring.retire()
        return True

    def silence(self, stretches: Stretches) -> None:
        """Put silence into what the ring holds of these samples, and have that on the disk; on the
        thread that writes.

        Raises:
            OSError: It cannot be written.
        """
        if self._ring is not None and not self._closed:
            self._ring.silence(stretches)

    def reader(self, first: int, stop: int) -> Reader | None:
        ring, finished = self._ring, self._finished
        if finished is not None:  # one that came in the last moment is not read before
            return self._reader_of(finished, first, stop)
        if ring is None:
            return None
        return ring.reader(first, stop, most_kept_bytes=_MOST_KEPT_BYTES)

    def sync(self) -> None:
        if self._ring is not None and not self._closed:
            self._ring.sync()

    def finish_within(self, first: int, stop: int) -> None:
        """Make it a file of the samples ``[first, stop)`` of the recording.

        Raises:
            OSError: It cannot be completed.
        """
        self.flush()
        if self._closed or self.gone(first):
            return
        ring = self._ring or self._begun()
        self._finished = ring.finish_within(first, stop)
        self._closed = True

    def flush(self) -> None:
        if self._waiting and not self._closed:
            self._append([bytes(self._waiting)])
        self._waiting = bytearray()  # not before: who reads must find either

    def abandon(self, why: str = "") -> None:
        self.error = self.error or why
        if self._ring is not None and not self._closed:
            with contextlib.suppress(Exception):
                self.path = self._ring.abandon().path
        self._closed = True

    def let_go(self) -> None:
        if self._ring is not None:
            self._ring.let_go()

    def _reader_of(self, finished: Finished, first: int, stop: int) -> Reader:
        disk, end = self._disk, finished.first_sample + finished.samples
        fd = disk.open_existing(finished.path)
        try:
            what = (fd, first, min(stop, end), lambda: end, disk)
            if self._wav:
                return WavReader(*what, base=finished.first_sample)
            index = AdtsIndex()
            for _, behind in our_frames(fd, disk.size(fd), disk):
                index.add(behind - index.end)
            return AdtsReader(*what, base=finished.first_sample, index=index)
        finally:
            disk.close(fd)

    def _begun(self) -> Ring:
        ring = self._ring = Ring(self.path, self._format, self._disk, recording=self._recording)
        self._there = True
        if self._first_unit:
            try:
                ring.begin_at(self._first_unit)
            except BaseException:
                self._ring, self._there = None, False
                ring.discard()
                raise
        return ring

    def _append(self, units: list[bytes]) -> None:
        ring = self._ring or self._begun()
        if self.forgotten:
            quiet = silenced_pieces(units, ring.samples, self.forgotten, self._format)
            units = [bytes(each) for each in quiet]
        ring.write(units)
        self._position = ring.samples

    def _in_units(self, pieces: Sequence[bytes | memoryview]) -> list[bytes]:
        """Whole units of what came; the rest waits."""
        assert self._format.audio_format is AudioFormat.WAV
        for piece in pieces:
            self._waiting += piece
        size = self._format.unit_samples * self._format.frame_bytes
        whole = len(self._waiting) // size * size
        data, self._waiting = bytes(self._waiting[:whole]), self._waiting[whole:]
        return [data[at : at + size] for at in range(0, whole, size)]
