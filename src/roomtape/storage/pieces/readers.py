"""Reading a stretch of a recording on one thread, while another writes it.

A reader has a descriptor of its own, so it outlives the sink that it reads from: a ring that was
finished and removed meanwhile, or a live file that was closed.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable
from contextlib import suppress

from ...types import AudioFormat
from ..adts import ADTS_FRAME_SAMPLES, frame_at, without_mark
from ..disk import Disk
from ..ring_head import RingLayout
from ..wav import HEADER_BYTES
from .slots import read_slots

_AT_ONCE = 1 << 18
MOST_KEPT_BYTES = 8 << 20
"""What a ring keeps for a reader that is behind: 80 s of WAV at 48 kHz."""

Pieces = list[bytes | memoryview]
"""PCM, cut anywhere between samples; or whole ADTS frames."""


class Reader(ABC):
    """Reads the samples ``[position, stop)`` of a recording as they are written.

    :meth:`read` and :meth:`close` belong to one thread, whichever; :meth:`release` may come from
    any, and twice.

    Args:
        first, stop: Samples of the recording; of AAC, at the borders of frames.
    """

    def __init__(self, first: int, stop: int) -> None:
        self.position = first
        """The next sample to be read."""
        self.stop = stop
        self.released = False
        """Nobody wants any more of it."""

    @abstractmethod
    def read(self) -> Pieces:
        """The next quarter of a megabyte or less; nothing where no more is written yet.

        Raises:
            OSError: It cannot be read.
        """

    def release(self) -> None:
        """No more of it is wanted. Whoever reads closes it."""
        self.released = True

    @abstractmethod
    def close(self) -> None:
        """Any number of times."""

    @abstractmethod
    def let_go(self) -> None:
        """In a forked child: close the descriptor and do nothing else."""


class FileReader(Reader):
    """Of one file.

    Args:
        fd: The file. The reader makes a descriptor of its own.
        first, stop: See :class:`Reader`.
        written: How many samples of the recording are written by now.
        disk: Where it is.

    Raises:
        OSError: There is no descriptor to be had.
    """

    def __init__(
        self, fd: int, first: int, stop: int, written: Callable[[], int], disk: Disk
    ) -> None:
        super().__init__(first, stop)
        self._written = written
        self._disk = disk
        self._fd = disk.duplicate(fd)

    def read(self) -> Pieces:
        stop = min(self.stop, self._written())
        return self._read(stop) if self.position < stop else []

    @abstractmethod
    def _read(self, stop: int) -> Pieces:
        """Read from the position on, at most to ``stop``, and move it on."""

    def close(self) -> None:
        self.release()
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                self._disk.close(fd)

    def let_go(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class WavReader(FileReader):
    """Of a live WAV file, whose first sample is sample ``base`` of the recording, and whose samples
    of all channels are ``frame_bytes`` long."""

    def __init__(
        self,
        fd: int,
        first: int,
        stop: int,
        written: Callable[[], int],
        disk: Disk,
        *,
        base: int,
        frame_bytes: int = 2,
    ) -> None:
        super().__init__(fd, max(first, base), stop, written, disk)
        self._base = base
        self._frame_bytes = frame_bytes

    def _read(self, stop: int) -> Pieces:
        frame = self._frame_bytes
        count = min(frame * (stop - self.position), _AT_ONCE)
        at = HEADER_BYTES + frame * (self.position - self._base)
        data = self._disk.read_at(self._fd, count, at)
        if len(data) < count:
            raise OSError(f"sample {self.position} of the recording cannot be read back")
        self.position += count // frame
        return [data]


class AdtsIndex:
    """Where the frames of a growing ADTS file are: every 64th is noted, those between are found by
    their headers. One thread adds, any other may ask."""

    _EVERY = 64

    def __init__(self) -> None:
        self._offsets = array("Q")
        self.frames = 0
        self.end = 0
        """Behind the last frame."""

    def add(self, frame_bytes: int) -> None:
        """One more frame, which is in the file by now."""
        if self.frames % self._EVERY == 0:
            self._offsets.append(self.end)
        self.end += frame_bytes
        self.frames += 1

    def near(self, frame: int) -> tuple[int, int]:
        """A noted frame at or before this one: its number and offset."""
        noted = min(frame // self._EVERY, len(self._offsets) - 1)
        return (noted * self._EVERY, self._offsets[noted]) if noted >= 0 else (0, 0)


class AdtsReader(FileReader):
    """Of a live AAC file, whose first frame is that at sample ``base`` of the recording."""

    def __init__(
        self,
        fd: int,
        first: int,
        stop: int,
        written: Callable[[], int],
        disk: Disk,
        *,
        base: int,
        index: AdtsIndex,
    ) -> None:
        super().__init__(fd, max(first, base), stop, written, disk)
        self._base = base
        self._index = index
        self._number, self._offset = -1, 0  # of the frame to look at next; not looked up yet

    def _read(self, stop: int) -> Pieces:
        wanted = (self.position - self._base) // ADTS_FRAME_SAMPLES
        last = -(-(stop - self._base) // ADTS_FRAME_SAMPLES)
        if self._number < 0:
            self._number, self._offset = self._index.near(wanted)
        count = min(self._index.end - self._offset, _AT_ONCE)
        data = self._disk.read_at(self._fd, count, self._offset)
        frames: Pieces = []
        at = 0
        while self._number < last and (frame := frame_at(data, at)) and frame.stop <= len(data):
            if self._number >= wanted:
                whole = data[at : frame.stop]
                frames.append(whole if self._number else without_mark(whole))
            at = frame.stop
            self._number += 1
        if at == 0:
            raise OSError(f"frame {self._number} of the recording cannot be read back")
        self._offset += at
        self.position += len(frames) * ADTS_FRAME_SAMPLES
        return frames or self._read(stop)


class RingReader(FileReader):
    """Of a ring. What it has not read yet is kept for it before the ring overwrites it."""

    def __init__(
        self,
        fd: int,
        first: int,
        stop: int,
        written: Callable[[], int],
        disk: Disk,
        *,
        layout: RingLayout,
        most_kept_bytes: int = MOST_KEPT_BYTES,
    ) -> None:
        super().__init__(fd, first, stop, written, disk)
        self._most_kept_bytes = most_kept_bytes
        self._layout = layout
        self._kept: dict[int, bytes] = {}
        self._failure = ""

    def keep(self, first: int, stop: int) -> None:
        """The ring is about to overwrite the units ``[first, stop)``; on its writer's thread.
        Raises nothing: whoever reads hears of it."""
        unit = self._layout.sink_format.unit_samples
        first = max(first, self.position // unit)
        stop = min(stop, -(-self.stop // unit))
        if first >= stop or self._failure:
            return
        try:
            for number, data in read_slots(self._fd, self._layout, first, stop, self._disk):
                if data is not None:  # or it is damaged, and will be missed
                    self._kept[number] = bytes(data)
        except OSError as error:
            self._failure = f"the ring cannot be read: {error.strerror or error}"
        if len(self._kept) * self._layout.slot_bytes > self._most_kept_bytes:
            self._failure = "the disk has not kept up: what was to be saved has been overwritten"
        if self._failure:
            self._kept.clear()
            self.release()

    def _read(self, stop: int) -> Pieces:
        sink_format = self._layout.sink_format
        unit = sink_format.unit_samples
        first, last = self.position // unit, -(-stop // unit)
        last = min(last, first + max(1, _AT_ONCE // self._layout.slot_bytes))
        pieces: Pieces = []
        for number, found in read_slots(self._fd, self._layout, first, last, self._disk):
            data = found
            if data is None:  # overwritten meanwhile
                data = self._kept.get(number)
            if data is None:
                raise OSError(self._failure or f"slot {number} of the ring reads back damaged")
            if sink_format.audio_format is AudioFormat.WAV:
                skip = max(0, self.position - number * unit)
                frame = sink_format.frame_bytes
                data = data[frame * skip : frame * (stop - number * unit)]
            pieces.append(data)
        self.position = min(stop, last * unit)
        for number in [each for each in tuple(self._kept) if each < self.position // unit]:
            self._kept.pop(number, None)
        return pieces
