"""Putting right what a crash left of a live file: a header that is ahead, a frame that is cut.

The file that is there is only read. Where something must change, a new one is made, read back from
the disk, and takes the name; the old one is moved aside as any other that stands in the way.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..types.errors import DamagedFileError
from .adts import ADTS_FRAME_SAMPLES, MOST_FRAME_BYTES, frame_at, has_mark, is_our_frame
from .disk import Disk
from .finishing import new_file
from .live import AHEAD_S
from .notes.chunks import chunk_bytes
from .notes.cues import cues_at_end
from .read_back import check_written
from .wav import HEADER_BYTES, OurHeader, declared_bytes, our_header, wav_header

_PIECE = 1 << 20
_NOTHING = bytes(_PIECE)
_HEAD = 64
_TAGS = (b"TAG", b"APETAGEX", b"ID3", b"3DI")


class Repaired(NamedTuple):
    """A live file that was put right: where, at which rate, how long, what was cut off, whether
    the file that was there is not the one that is there now, and the SHA-256 of a new one."""

    path: Path
    rate_hz: int
    samples: int
    cut_bytes: int
    replaced: bool
    sha256: str = ""


def repair_wav(fd: int, source: Path, target: Path | None, disk: Disk) -> Repaired:
    """Have the header say what is there, and leave half a sample out.

    Args:
        fd: ``source``, open for reading.
        source: The file that a crash left.
        target: Where the new file goes; None is where ``source`` is, if it needs one.
        disk: Where they are.

    Raises:
        DamagedFileError: It is no WAV file of ours, or there are no samples in it.
        OSError: It cannot be read, or the new one cannot be written.
    """
    head = disk.read_at(fd, HEADER_BYTES, 0)
    header = our_header(head)
    if header is None:
        raise DamagedFileError(f"{source}: not a WAV file that Roomtape wrote; nothing was changed")
    size = disk.size(fd)
    there = size - HEADER_BYTES
    data_bytes = _closed_bytes(fd, head, header, size, disk)
    closed = data_bytes is not None
    marks_bytes = cues_at_end(lambda at, count: disk.read_at(fd, count, at), size)
    if data_bytes is None:
        # Where a bad disk has turned a size, marks are no samples all the same.
        there -= marks_bytes
        _check_live(header, there, source)
        data_bytes = there // header.frame_bytes * header.frame_bytes
    if data_bytes == 0:
        raise DamagedFileError(f"{source}: there are no samples in it")
    replaced, sha256 = target is not None or not (closed and header.whole), ""
    if replaced:
        end = HEADER_BYTES + data_bytes
        behind_bytes = marks_bytes if end + marks_bytes == size else 0
        new_head = wav_header(
            header.rate_hz, data_bytes, channels=header.channels, behind_bytes=behind_bytes
        )
        sha256 = _copy(fd, target or source, new_head, end + behind_bytes, disk)
    return Repaired(
        target or source,
        header.rate_hz,
        data_bytes // header.frame_bytes,
        0 if closed else there - data_bytes,
        replaced,
        sha256,
    )


def _closed_bytes(fd: int, head: bytes, header: OurHeader, size: int, disk: Disk) -> int | None:
    """How many bytes of samples a file has that was finished; None for one that was not.

    What stands behind the samples of a finished file is chunks of marks, or not ours: an editor put
    it there.
    """
    there, declared = size - HEADER_BYTES, header.declared_bytes
    if declared is not None:
        return declared if declared <= there else None
    # Our own marks, or what an editor has appended, correct one of the sizes.
    data_bytes = declared_bytes(head)
    end = HEADER_BYTES + data_bytes
    behind = size - end
    if behind <= 0:
        return None
    chunks = chunk_bytes(lambda at, count: disk.read_at(fd, count, at), end, size)
    tagged = disk.read_at(fd, _HEAD, end).startswith(_TAGS)
    return data_bytes if tagged or chunks == behind else None


def _check_live(header: OurHeader, there: int, source: Path) -> None:
    """Without our mark, a file is taken for one that was still growing only where it looks it."""
    if header.marked:
        return
    ahead_bytes = AHEAD_S * header.rate_hz * header.frame_bytes
    declared = header.declared_bytes
    if declared is None or declared - there > ahead_bytes:
        raise DamagedFileError(
            f"{source}: its header is not one that a recording which was killed leaves: it may be "
            "another program's; nothing was changed"
        )


def repair_aac(fd: int, source: Path, target: Path | None, disk: Disk) -> Repaired:
    """Leave out what is no whole frame at the end.

    Args, Raises:
        As for :func:`repair_wav`.
    """
    size = disk.size(fd)
    rate_hz, frames, end = 0, 0, 0
    for frame_rate_hz, stop in our_frames(fd, size, disk):
        rate_hz = rate_hz or frame_rate_hz
        if frame_rate_hz != rate_hz:
            break
        frames, end = frames + 1, stop
    head = disk.read_at(fd, _HEAD, 0)
    marked = has_mark(head)
    if not frames or not (marked or is_our_frame(head, rate_hz)):
        raise DamagedFileError(
            f"{source}: not an AAC file that Roomtape wrote: there is no whole AAC frame of its "
            "kind at its beginning; nothing was changed"
        )
    if _frame_follows(fd, end, size, disk):
        raise DamagedFileError(
            f"{source}: damaged in its middle, at byte {end}; nothing was cut, since players "
            "find the frames behind that by themselves"
        )
    rest = disk.read_at(fd, _HEAD, end)
    tagged = rest.startswith(_TAGS)
    # What is finished has no mark: it appears whole, as those of rings and of saved parts do. What
    # was still growing has one, but for files of the first version, which had one channel.
    growing = is_our_frame(head, rate_hz, most_channels=1) and _is_cut_frame(
        rest, rate_hz, size - end
    )
    if rest and not (tagged or marked or growing):
        raise DamagedFileError(
            f"{source}: what stands behind its last frame, at byte {end}, is not Roomtape's; "
            "nothing was cut"
        )
    cut_bytes = 0 if tagged else size - end
    replaced, sha256 = target is not None or cut_bytes > 0, ""
    if replaced:
        sha256 = _copy(fd, target or source, b"", end, disk)
    samples = frames * ADTS_FRAME_SAMPLES
    return Repaired(target or source, rate_hz, samples, cut_bytes, replaced, sha256)


def _is_cut_frame(rest: bytes, rate_hz: int, rest_bytes: int) -> bool:
    frame = frame_at(rest, 0)
    return is_our_frame(rest, rate_hz) and (frame is None or frame.stop > rest_bytes)


def our_frames(fd: int, size: int, disk: Disk) -> Iterator[tuple[int, int]]:
    """Rate and end of each whole frame, as long as one of ours follows the other."""
    base, at, data = 0, 0, b""
    while True:
        if len(data) - at < MOST_FRAME_BYTES and base + len(data) < size:
            base, at, data = base + at, 0, disk.read_at(fd, _PIECE, base + at)
        frame = frame_at(data, at)
        if frame is None or frame.stop > len(data):
            return
        if not is_our_frame(data[at : at + _HEAD], frame.rate_hz):
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


def _copy(fd: int, target: Path, head: bytes, end: int, disk: Disk) -> str:
    """A new file at ``target``: ``head`` in place of as many bytes, and the rest up to ``end``.
    Returns its SHA-256."""
    digest = hashlib.sha256(head)
    with new_file(target, disk) as copy:
        crc = 0
        for offset in range(len(head), end, _PIECE):
            piece = disk.read_at(fd, min(_PIECE, end - offset), offset)
            crc = zlib.crc32(piece, crc)
            digest.update(piece)
            if piece != _NOTHING[: len(piece)]:  # hours of silence take no disk, nor time to write
                disk.write_at(copy, piece, offset)
        disk.truncate(copy, end)
        disk.write_at(copy, head, 0)
        check_written(copy, head, end, crc, disk)
    return digest.hexdigest()
