"""The links of a chained Ogg file (RFC 3533, 4): streams one behind the other, each with headers,
rate, channels and timestamps of its own. FFmpeg follows none but the first."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

_PAGE = b"OggS"
_PAGE_HEAD_BYTES = 27
_BEGIN_OF_STREAM = 2
_SEARCH_BYTES = 1 << 16
_MOST_LINKS = 1000


def ogg_links(file: BinaryIO, size: int) -> list[tuple[int, int]]:
    """Begin and end of each link; one for a file that is not chained."""
    starts = [0]
    beginning = True  # only pages that begin a stream so far
    position = 0
    while position < size and len(starts) < _MOST_LINKS:
        file.seek(position)
        head = file.read(_PAGE_HEAD_BYTES + 255)
        if not head.startswith(_PAGE) or len(head) < _PAGE_HEAD_BYTES:
            position = _next_page(file, position + 1, size)
            continue
        begins = bool(head[5] & _BEGIN_OF_STREAM)
        if begins and not beginning:
            starts.append(position)
        beginning = begins
        segments = head[26]
        position += _PAGE_HEAD_BYTES + segments + sum(head[27 : 27 + segments])
    return list(zip(starts, [*starts[1:], size], strict=True))


def _next_page(file: BinaryIO, start: int, size: int) -> int:
    while start < size:
        file.seek(start)
        piece = file.read(_SEARCH_BYTES + len(_PAGE) - 1)
        at = piece.find(_PAGE)
        if at >= 0:
            return start + at
        start += _SEARCH_BYTES
    return size


class Part(io.RawIOBase):
    """A stretch of a file, as a file."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._start, self._end = file, start, end
        self._at = start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._end - self._at)
        self._file.seek(self._at)
        data = self._file.read(left if count < 0 else min(count, left))
        self._at += len(data)
        return data

    def tell(self) -> int:
        return self._at - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: self._start, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        self._at = max(self._start, base + offset)
        return self.tell()
