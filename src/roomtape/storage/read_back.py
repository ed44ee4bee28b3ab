"""Reading back what was written, before anything else is let go for its sake."""

from __future__ import annotations

import errno
import os
import zlib

from .disk import Disk

_PIECE = 1 << 20
_ENDS = 1 << 16


def crc_of_ends(fd: int, begin: int, end: int, disk: Disk) -> int | None:
    """The CRC-32 of how ``[begin, end)`` of a file begins and ends: two recordings do not agree in
    that, and it takes no time. (What an editor writes, before the samples and behind them, is not
    in it.) None where it cannot be read."""
    count = min(end - begin, _ENDS)
    try:
        head = zlib.crc32(disk.read_at(fd, count, begin))
        return zlib.crc32(disk.read_at(fd, count, end - count), head)
    except OSError:
        return None


def check_written(fd: int, head: bytes, end: int, body_crc: int, disk: Disk) -> None:
    """Have a new file on disk, and read it from there.

    Args:
        fd: The file, open for reading and writing.
        head: What it must begin with; may be empty.
        end: Its size.
        body_crc: The CRC-32 of what stands behind ``head``.
        disk: Where it is.

    Raises:
        OSError: It cannot be synced or read, or it is not what was written.
    """
    disk.sync(fd)
    if hasattr(os, "posix_fadvise"):
        # Not from memory, as far as the system can be asked for that.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    wrong = disk.size(fd) != end or disk.read_at(fd, len(head), 0) != head
    crc, offset = 0, len(head)
    while offset < end and not wrong:
        piece = disk.read_at(fd, min(_PIECE, end - offset), offset)
        wrong = not piece
        crc = zlib.crc32(piece, crc)
        offset += len(piece)
    if wrong or crc != body_crc:
        raise OSError(errno.EIO, "the new file reads back other than it was written")
