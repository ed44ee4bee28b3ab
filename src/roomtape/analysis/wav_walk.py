"""The structure of a WAV file, told from what is there rather than from what it claims.

RIFF/WAVE: "Multimedia Programming Interface and Data Specifications 1.0" (IBM/Microsoft,
1991). RF64 and its ``ds64`` chunk: EBU Tech 3306.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import DamagedFileError
from ..storage.live import AHEAD_S
from ..storage.wav import HEADER_BYTES, is_our_wav

_CONTAINERS = {b"RIFF": "wav", b"RF64": "rf64"}
_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_UNKNOWN = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class WavFormat:
    """The ``fmt`` chunk.

    Attributes:
        codec: By FFmpeg's names, such as ``"pcm_s16le"``; ``"format 0x0011"`` if neither PCM
            nor float.
        sample_rate: Hz.
        channels: At least 1.
        frame_bytes: Bytes of one sample of all channels.
    """

    codec: str
    sample_rate: int
    channels: int
    frame_bytes: int


@dataclass(frozen=True, slots=True)
class WavLayout:
    """What a WAV file holds, and where.

    Attributes:
        container: ``"wav"`` or ``"rf64"``.
        format: Its ``fmt`` chunk.
        data_start: The offset of the first sample.
        frames: Whole sample frames that can be read there.
        declared_frames: What the header says; None where it leaves that open.
        damage: What is wrong, in words.
    """

    container: str
    format: WavFormat
    data_start: int
    frames: int
    declared_frames: int | None
    damage: tuple[str, ...]


def begins_as_wav(head: bytes) -> bool:
    """Whether a file that begins with these 12 bytes or more claims to be RIFF/WAVE or RF64."""
    return head[:4] in _CONTAINERS and head[8:12] == b"WAVE"


def walk_wav(path: Path) -> WavLayout:
    """Walk the chunks of a file for which :func:`begins_as_wav` holds.

    Raises:
        DamagedFileError: No samples, or nothing about their format, can be found in it.
        OSError: The file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            return _walk(file, size)
        except DamagedFileError as error:
            raise DamagedFileError(f"{path}: not a WAV file that can be read: {error}") from None


def _walk(file: BinaryIO, size: int) -> WavLayout:
    # A live recording's header is ahead of its data; a stranger's that is, was cut.
    head = file.read(HEADER_BYTES)
    ahead_s = AHEAD_S if is_our_wav(head) else 0
    riff, riff_bytes = struct.unpack("<4sI", head[:8])
    file.seek(12)
    chunk_format: WavFormat | None = None
    ds64_riff_bytes = ds64_data_bytes = None
    position = 12
    while True:
        name, length = _chunk_head(file)
        position += 8
        if name == b"data":
            break
        if name == b"ds64":
            ds64_riff_bytes, ds64_data_bytes = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))
        elif name == b"fmt ":
            chunk_format = _parse_format(file.read(min(length, 40)))
        position += length + (length & 1)
        if position > size:
            raise DamagedFileError(f"its chunk {_printable(name)} reaches beyond its end")
        file.seek(position)
    if chunk_format is None:
        raise DamagedFileError("it does not say its format (no fmt chunk before the samples)")

    declared: int | None = ds64_data_bytes if length == _UNKNOWN else length
    if declared == 0 and size > position and not _chunk_bytes(file, position, size):
        declared = None  # the writer wanted to come back at the end, and never did
    readable = size - position if declared is None else min(size - position, declared)
    damage = _judge_length(chunk_format, readable, declared, ahead_s)
    if readable == declared:
        riff_end = 8 + (riff_bytes if ds64_riff_bytes is None else ds64_riff_bytes)
        damage += _judge_rest(file, chunk_format, position + readable, riff_end, size)
    return WavLayout(
        container=_CONTAINERS[riff],
        format=chunk_format,
        data_start=position,
        frames=readable // chunk_format.frame_bytes,
        declared_frames=None if declared is None else declared // chunk_format.frame_bytes,
        damage=tuple(damage),
    )


def _chunk_head(file: BinaryIO) -> tuple[bytes, int]:
    head = file.read(8)
    if len(head) < 8:
        raise DamagedFileError("it ends before its first sample")
    name, length = struct.unpack("<4sI", head)
    return name, length


def _parse_format(chunk: bytes) -> WavFormat:
    if len(chunk) < 16:
        raise DamagedFileError("its fmt chunk is cut")
    tag, channels, rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = struct.unpack("<H", chunk[24:26])[0]  # the first two bytes of the sub-format GUID
    if not (channels and rate and frame_bytes):
        raise DamagedFileError(
            f"it claims {channels} channels, {rate} Hz and {frame_bytes} bytes a sample"
        )
    if tag == _PCM:
        codec = "pcm_u8" if bits == 8 else f"pcm_s{bits}le"
    elif tag == _FLOAT:
        codec = f"pcm_f{bits}le"
    else:
        codec = f"format 0x{tag:04x}"
    return WavFormat(codec, rate, channels, frame_bytes)


def _chunk_bytes(file: BinaryIO, start: int, size: int) -> int:
    """How many bytes from ``start`` are whole chunks (LIST and the like) and their padding."""
    position = start + (start & 1)
    while position + 8 <= size:
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        end = position + 8 + length
        # Names are letters, digits and spaces; samples hardly ever look like that.
        if not name.replace(b" ", b"").isalnum() or end > size:
            break
        position = end + (length & 1)
    return min(position, size) - start


def _judge_length(fmt: WavFormat, readable: int, declared: int | None, ahead_s: int) -> list[str]:
    damage = []
    if readable % fmt.frame_bytes:
        damage.append("the last sample is cut")
    readable_s = _duration(readable, fmt)
    if declared is None:
        damage.append(
            "the header leaves the length open (streamed, or never finished): "
            f"{readable_s} readable"
        )
    elif 0 < declared - readable <= ahead_s * fmt.sample_rate * fmt.frame_bytes:
        damage.append(f"still growing, or not closed: {readable_s} readable")
    elif declared > readable:
        damage.append(f"damaged, {readable_s} readable of {_duration(declared, fmt)} declared")
    return damage


def _judge_rest(file: BinaryIO, fmt: WavFormat, end: int, riff_end: int, size: int) -> list[str]:
    """What is wrong behind the samples, which end at ``end``."""
    extra = size - end - _chunk_bytes(file, end, size)
    if extra:
        return [
            f"{extra:,} bytes after the samples are no chunk "
            f"({_duration(extra, fmt)} if they are samples that the header leaves out)"
        ]
    if riff_end not in (size, size - 1):  # some writers leave the padding byte out
        return [f"the RIFF header declares {riff_end:,} bytes, the file has {size:,}"]
    return []


def _duration(length: int, fmt: WavFormat) -> str:
    return f"{length / fmt.frame_bytes / fmt.sample_rate:.1f} s"


def _printable(name: bytes) -> str:
    return repr(name.decode("latin-1"))
