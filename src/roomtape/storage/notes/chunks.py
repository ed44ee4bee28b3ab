"""The chunks of RIFF files that stand in a row."""

from __future__ import annotations

import struct
from collections.abc import Callable

CHUNK_HEAD_BYTES = 8
MOST_CHUNKS = 4096
"""Nobody writes so many; without a bound, a file of empty ones would be walked for minutes."""


def is_chunk_name(name: bytes) -> bool:
    """Whether four bytes can name a chunk: printable ASCII, as names are; samples hardly ever are
    that."""
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def chunk_bytes(read_at: Callable[[int, int], bytes], start: int, size: int) -> int:
    """How many bytes from ``start`` are whole chunks (LIST and the like) and their padding.

    Args:
        read_at: Reads so many bytes (second) at an offset (first).
        start: Behind the samples.
        size: The file's.
    """
    position = start + (start & 1)
    for _ in range(MOST_CHUNKS):
        if position + CHUNK_HEAD_BYTES > size:
            break
        name, length = struct.unpack("<4sI", read_at(position, CHUNK_HEAD_BYTES))
        end = position + CHUNK_HEAD_BYTES + length
        if not is_chunk_name(name) or end > size:
            break
        position = end + (length & 1)
    return min(position, size) - start
