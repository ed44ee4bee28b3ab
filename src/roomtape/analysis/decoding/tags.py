"""Tags that stand around audio, and are none: ID3 (id3.org), APE (wiki.hydrogenaud.io)."""

from __future__ import annotations

import struct
from collections.abc import Callable

ReadAt = Callable[[int, int], bytes]
"""Reads so many bytes (second) at an offset (first)."""

_ID3V1_BYTES = 128
_APE_HEAD_BYTES = 32
_MOST_TAGS = 16


def tag_bytes(read_at: ReadAt, position: int, size: int) -> int:
    """How long the tag at ``position`` is; 0 if there is none that ends within the file."""
    head = read_at(position, _APE_HEAD_BYTES)
    length = 0
    if head[:3] == b"ID3" and len(head) >= 10 and not any(byte & 0x80 for byte in head[6:10]):
        footer = 10 if head[5] & 0x10 else 0
        length = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + footer
    elif head[:8] == b"APETAGEX" and len(head) == _APE_HEAD_BYTES:
        body_and_footer, flags = struct.unpack_from("<I4xI", head, 12)
        length = _APE_HEAD_BYTES + (body_and_footer if flags & 1 << 29 else 0)
    elif head[:3] == b"TAG":
        length = _ID3V1_BYTES
    return length if position + length <= size else 0


def leading_tags_bytes(read_at: ReadAt, size: int) -> int:
    """How long all tags at the beginning of a file are."""
    position = 0
    for _ in range(_MOST_TAGS):
        length = tag_bytes(read_at, position, size)
        if not length:
            break
        position += length
    return position
