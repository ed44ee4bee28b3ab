"""Putting right what a crash left of a live file: a header that is ahead, a frame that is cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import DamagedFileError
from .adts import ADTS_FRAME_SAMPLES, MOST_FRAME_BYTES, frame_at
from .disk import Disk
from .finishing import new_file
from .wav import HEADER_BYTES, header_rate_hz, is_our_wav, wav_header

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Repaired:
    """A live file that was put right: where, at which rate, how long, and what was cut off."""

    path: Path
    rate_hz: int
    samples: int
    cut_bytes: int


def repair_wav(fd: int, source: Path, target: Path | None, disk: Disk) -> Repaired:
    """Have the header say what is there, and cut half a sample.

    Args:
        fd: ``source``, open for reading and writing.
        source: The file that a crash left.
        target: Where to put a copy; None puts the file itself right.
        disk: Where they are.

    Raises:
        DamagedFileError: It is no WAV file of ours, or there are no samples in it.
        OSError: It cannot be read or written.
    """
    head = disk.read_at(fd, HEADER_BYTES, 0)
    if not is_our_wav(head):
        raise DamagedFileError(f"{source}: not a WAV file that Roomtape wrote")
    size = disk.size(fd)
    data_bytes = (size - HEADER_BYTES) // 2 * 2
    if data_bytes == 0:
        raise DamagedFileError(f"{source}: there are no samples in it")
    rate_hz = header_rate_hz(head)
    header = wav_header(rate_hz, data_bytes)
    end = HEADER_BYTES + data_bytes
    if target is not None:
        with new_file(target, disk) as copy:
            _copy(fd, copy, end, disk)
            disk.write_at(copy, header, 0)
    elif header != head or end != size:
        disk.truncate(fd, end)
        disk.sync(fd)
        disk.write_at(fd, header, 0)
        disk.sync(fd)
    return Repaired(target or source, rate_hz, data_bytes // 2, size - end)


def repair_aac(fd: int, source: Path, target: Path | None, disk: Disk) -> Repaired:
    """Cut what is no whole frame off the end.

    Args, Raises:
        As for :func:`repair_wav`.
    """
    size = disk.size(fd)
    rate_hz, frames, end = 0, 0, 0
    for frame_rate_hz, stop in _frames(fd, size, disk):
        rate_hz = rate_hz or frame_rate_hz
        if frame_rate_hz != rate_hz:
            break
        frames, end = frames + 1, stop
    if not frames:
        raise DamagedFileError(f"{source}: there is no whole AAC frame at its beginning")
    if _frame_follows(fd, end, size, disk):
        raise DamagedFileError(
            f"{source}: damaged in its middle, at byte {end}; nothing was cut, since players "
            "find the frames behind that by themselves"
        )
    if target is not None:
        with new_file(target, disk) as copy:
            _copy(fd, copy, end, disk)
    elif end != size:
        disk.truncate(fd, end)
        disk.sync(fd)
    return Repaired(target or source, rate_hz, frames * ADTS_FRAME_SAMPLES, size - end)


def _frames(fd: int, size: int, disk: Disk) -> Iterator[tuple[int, int]]:
    """Rate and end of each whole frame, as long as one follows the other."""
    base, at, data = 0, 0, b""
    while True:
        if len(data) - at < MOST_FRAME_BYTES and base + len(data) < size:
            base, at, data = base + at, 0, disk.read_at(fd, _PIECE, base + at)
        frame = frame_at(data, at)
        if frame is None or frame.stop > len(data):
            return
        at = frame.stop
        yield frame.rate_hz, base + at


def _frame_follows(fd: int, end: int, size: int, disk: Disk) -> bool:
    """Whether two frames in a row stand somewhere behind ``end``."""
    position = end
    while position < size:
        data = disk.read_at(fd, _PIECE, position)
        at = data.find(b"\xff")
        while at >= 0:
            first = frame_at(data, at)
            if first is not None and frame_at(data, first.stop) is not None:
                return True
            at = data.find(b"\xff", at + 1)
        # Two frames that begin in this piece may end in the next.
        position += len(data) if position + len(data) >= size else len(data) // 2
    return False


def _copy(fd: int, copy: int, end: int, disk: Disk) -> None:
    for offset in range(0, end, _PIECE):
        disk.write_at(copy, disk.read_at(fd, min(_PIECE, end - offset), offset), offset)
