"""The chunks of a WAV file, whoever wrote it: where its samples are, and what is wrong with it.

RIFF/WAVE: "Multimedia Programming Interface and Data Specifications 1.0" (IBM/Microsoft,
1991). RF64 and its ``ds64`` chunk: EBU Tech 3306; BW64: ITU-R BS.2088. RIFX is RIFF with its bytes
the other way round.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from ..storage.live import AHEAD_S
from ..storage.notes.chunks import CHUNK_HEAD_BYTES, MOST_CHUNKS, chunk_bytes
from ..storage.wav import HEADER_BYTES, is_our_wav
from ..types.errors import DamagedFileError
from .wav_format import WavFormat, parse_format

_CONTAINERS = {b"RIFF": "wav", b"RF64": "rf64", b"BW64": "bw64", b"RIFX": "rifx"}
_UNKNOWN = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class WavLayout:
    """What a WAV file holds, and where.

    Attributes:
        container: ``"wav"``, ``"rf64"``, ``"bw64"`` or ``"rifx"``.
        format: Its ``fmt`` chunk.
        data_start: The offset of the first sample.
        frames: Whole sample frames that can be read there.
        declared_frames: What the header says; None where it leaves that open.
        damage: What is wrong, in words.
        notes: What is odd, in words.
    """

    container: str
    format: WavFormat
    data_start: int
    frames: int
    declared_frames: int | None
    damage: tuple[str, ...]
    notes: tuple[str, ...] = ()


def begins_as_wav(head: bytes) -> bool:
    """Whether a file that begins with these 12 bytes or more claims to be RIFF/WAVE, RF64, BW64 or
    RIFX."""
    return head[:4] in _CONTAINERS and head[8:12] == b"WAVE"


def walk_wav(file: BinaryIO, size: int) -> WavLayout:
    """Walk the chunks of a file for which :func:`begins_as_wav` holds.

    Args:
        file: Open for reading, seekable.
        size: Its size.

    Raises:
        DamagedFileError: No samples, or nothing about their format, can be found in it; the message
            does not name the file.
        OSError: The file cannot be read.
    """
    try:
        return _Walk(file, size).layout()
    except DamagedFileError as error:
        raise DamagedFileError(f"not a WAV file that can be read: {error}") from None


class _Walk:
    def __init__(self, file: BinaryIO, size: int) -> None:
        file.seek(0)
        head = file.read(HEADER_BYTES)
        # A live recording's header is ahead of its data; a stranger's that is, was cut.
        self._ahead_s = AHEAD_S if is_our_wav(head) else 0
        self._container = _CONTAINERS[head[:4]]
        self._big_endian = self._container == "rifx"
        self._order = ">" if self._big_endian else "<"
        (self._riff_bytes,) = struct.unpack(f"{self._order}I", head[4:8])
        self._data_bytes: int | None = None  # of ds64
        self._file, self._size = file, size

    def layout(self) -> WavLayout:
        fmt, start, length = self._find_samples()
        declared: int | None = length
        if length == _UNKNOWN:
            declared = self._data_bytes
        if declared == 0 and self._size > start and not self._chunks(start):
            declared = None  # the writer wanted to come back at the end, and never did
        there = self._size - start
        readable = there if declared is None else min(there, declared)
        damage = self._judge_length(fmt, readable, declared)
        notes = [fmt.note] if fmt.note else []
        if readable == declared:
            self._judge_rest(fmt, start + readable, damage, notes)
        return WavLayout(
            container=self._container,
            format=fmt,
            data_start=start,
            frames=readable // fmt.frame_bytes,
            declared_frames=None if declared is None else declared // fmt.frame_bytes,
            damage=tuple(damage),
            notes=tuple(notes),
        )

    def _find_samples(self) -> tuple[WavFormat, int, int]:
        """The format, where the samples begin, and how many bytes the header claims."""
        fmt: WavFormat | None = None
        position = 12
        for _ in range(MOST_CHUNKS):
            self._file.seek(position)
            head = self._file.read(CHUNK_HEAD_BYTES)
            if len(head) < CHUNK_HEAD_BYTES:
                raise DamagedFileError("it ends before its first sample")
            name, length = struct.unpack(f"{self._order}4sI", head)
            position += CHUNK_HEAD_BYTES
            if name == b"data":
                if fmt is None:
                    raise DamagedFileError(
                        "it does not say its format (no fmt chunk before the samples)"
                    )
                return fmt, position, length
            if name == b"ds64":
                self._riff_bytes, self._data_bytes = struct.unpack(
                    "<QQ", self._file.read(16).ljust(16, b"\0")
                )
            elif name == b"fmt ":
                chunk = self._file.read(min(length, 40))
                fmt = parse_format(chunk, big_endian=self._big_endian)
            position += length + (length & 1)
            if position > self._size:
                raise DamagedFileError(f"its chunk {_printable(name)} reaches beyond its end")
        raise DamagedFileError(f"there are no samples behind its first {MOST_CHUNKS} chunks")

    def _chunks(self, start: int) -> int:
        """How many bytes from ``start`` are whole chunks."""
        if self._big_endian:
            return self._size - start
        return chunk_bytes(self._read_at, start, self._size)

    def _read_at(self, position: int, count: int) -> bytes:
        self._file.seek(position)
        return self._file.read(count)

    def _judge_length(self, fmt: WavFormat, readable: int, declared: int | None) -> list[str]:
        damage = []
        if fmt.dtype and readable % fmt.frame_bytes:
            damage.append("the last sample is cut")
        there = _amount(readable, fmt)
        if declared is None:
            damage.append(
                f"the header leaves the length open (streamed, or never finished): {there} readable"
            )
        elif 0 < declared - readable <= self._ahead_s * fmt.sample_rate * fmt.frame_bytes:
            damage.append(f"still growing, or not closed: {there} readable")
        elif declared > readable:
            damage.append(f"damaged, {there} readable of {_amount(declared, fmt)} declared")
        return damage

    def _judge_rest(self, fmt: WavFormat, end: int, damage: list[str], notes: list[str]) -> None:
        """What stands behind the samples, which end at ``end``."""
        extra = self._size - end - self._chunks(end)
        if extra <= 0:
            riff_end = 8 + self._riff_bytes
            if riff_end not in (self._size, self._size - 1):  # some leave the padding byte out
                notes.append(
                    f"the RIFF header declares {riff_end:,} bytes, the file has {self._size:,}"
                )
            return
        if self._read_at(self._size - extra, 16).startswith((b"TAG", b"ID3", b"APETAGEX")):
            notes.append(f"a tag of {extra:,} bytes stands behind the samples")
            return
        damage.append(
            f"{extra:,} bytes after the samples are no chunk "
            f"({_amount(extra, fmt)} if they are samples that the header leaves out)"
        )


def _amount(length: int, fmt: WavFormat) -> str:
    if not fmt.dtype:
        return f"{length:,} bytes"
    return f"{length / fmt.frame_bytes / fmt.sample_rate:.1f} s"


def _printable(name: bytes) -> str:
    return repr(name.decode("latin-1"))
