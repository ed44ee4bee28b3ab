"""Marks in a WAV file: a ``cue `` chunk with their samples, and a ``LIST adtl`` with their words.

"Multimedia Programming Interface and Data Specifications 1.0" (IBM/Microsoft, 1991), where the
words are a NUL-terminated ``labl`` each. They are UTF-8, as every program writes and reads them
today. Both chunks stand behind the samples, so that a file needs none of them to be read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence

from ...types import Mark
from .chunks import CHUNK_HEAD_BYTES, MOST_CHUNKS, chunk_bytes

_CUE = struct.Struct("<II4sIII")
_LABEL_HEAD = struct.Struct("<4sII")
_MOST_BYTES = 1 << 20
_MOST_MARKS = 10_000
_MOST_SAMPLE = 0xFFFFFFFF


def cue_chunks(marks: Sequence[Mark]) -> bytes:
    """The chunks that hold these marks; nothing for none. What is behind the sample that 32 bits
    can number (24 hours at 48 kHz) is left out."""
    numbered = [(n, mark) for n, mark in enumerate(marks, 1) if mark.sample <= _MOST_SAMPLE]
    if not numbered:
        return b""
    cues = struct.pack("<I", len(numbered)) + b"".join(
        _CUE.pack(number, mark.sample, b"data", 0, 0, mark.sample) for number, mark in numbered
    )
    labels = b"".join(_label(number, mark.label) for number, mark in numbered)
    return _chunk(b"cue ", cues) + _chunk(b"LIST", b"adtl" + labels)


def within(marks: Sequence[Mark], first: int, samples: int, rate_hz: int) -> tuple[Mark, ...]:
    """The marks inside the samples ``[first, first + samples]`` of a recording, on the clock of the
    file that begins with ``first``; in their order in time."""
    return tuple(
        Mark((mark.sample - first) / rate_hz, mark.sample - first, mark.label)
        for mark in sorted(marks, key=lambda mark: mark.sample)
        if first <= mark.sample <= first + samples
    )


def read_cues(
    read_at: Callable[[int, int], bytes], start: int, size: int, *, rate_hz: int
) -> tuple[Mark, ...]:
    """The marks in the chunks from ``start`` on, whoever wrote them; in their order in time.

    Args:
        read_at: Reads so many bytes (second) at an offset (first).
        start: Where the chunks begin.
        size: Where the file ends.
        rate_hz: Of the samples.
    """
    cues: dict[int, int] = {}
    labels: dict[int, str] = {}
    for name, at, length in _chunks(read_at, start, size):
        if name == b"cue ":
            data = read_at(at, min(length, 4 + _MOST_MARKS * _CUE.size))[4:]
            whole = len(data) // _CUE.size * _CUE.size
            for number, _, _, _, _, sample in _CUE.iter_unpack(data[:whole]):
                cues.setdefault(number, sample)
        elif name == b"LIST" and read_at(at, 4) == b"adtl":
            data = read_at(at + 4, min(length - 4, _MOST_BYTES))
            for number, text in _labels(data):
                labels.setdefault(number, text)
    marks = (Mark(sample / rate_hz, sample, labels.get(n, "")) for n, sample in cues.items())
    return tuple(sorted(marks, key=lambda mark: mark.sample))


def cues_at_end(read_at: Callable[[int, int], bytes], size: int) -> int:
    """How many bytes at the end of a file are the chunks of :func:`cue_chunks`."""
    start = max(0, size - _MOST_BYTES)
    tail = read_at(start, size - start)
    at = tail.rfind(b"cue ")
    while at >= 0:
        end = len(tail) - at
        followed = chunk_bytes(read_at, start + at, size) == end and b"LIST" in tail[at:]
        if (start + at) % 2 == 0 and followed:
            return end
        at = tail.rfind(b"cue ", 0, at)
    return 0


def _label(number: int, text: str) -> bytes:
    return _chunk(b"labl", struct.pack("<I", number) + text.encode() + b"\0")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("<4sI", name, len(data)) + data + bytes(len(data) % 2)


def _chunks(
    read_at: Callable[[int, int], bytes], start: int, size: int
) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of what each chunk holds."""
    position = start + (start & 1)
    for _ in range(MOST_CHUNKS):
        head = read_at(position, CHUNK_HEAD_BYTES)
        if len(head) < CHUNK_HEAD_BYTES:
            return
        name, length = struct.unpack("<4sI", head)
        position += CHUNK_HEAD_BYTES
        if position + length > size:
            return
        yield name, position, length
        position += length + (length & 1)


def _labels(data: bytes) -> Iterator[tuple[int, str]]:
    position = 0
    for _ in range(_MOST_MARKS):
        if position + _LABEL_HEAD.size > len(data):
            return
        name, length, number = _LABEL_HEAD.unpack_from(data, position)
        if name == b"labl" and length >= 4:
            text = data[position + _LABEL_HEAD.size : position + CHUNK_HEAD_BYTES + length]
            yield number, text.split(b"\0", 1)[0].decode("utf-8", "replace")
        position += CHUNK_HEAD_BYTES + length + (length & 1)
