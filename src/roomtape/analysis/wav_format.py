"""The ``fmt`` chunk of WAV files.

"Multimedia Programming Interface and Data Specifications 1.0" (IBM/Microsoft, 1991), and
WAVEFORMATEXTENSIBLE.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..types.errors import DamagedFileError

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_SPEAKERS = (
    "FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC",
    "TFL", "TFC", "TFR", "TBL", "TBC", "TBR",
)  # fmt: skip
"""What the bits of a channel mask stand for, from the lowest on, by FFmpeg's names."""


@dataclass(frozen=True, slots=True)
class WavFormat:
    """The ``fmt`` chunk.

    Attributes:
        codec: By FFmpeg's names, such as ``"pcm_s16le"``; ``"format 0x0011"`` if neither PCM
            nor float.
        sample_rate: Hz, at least 1.
        channels: At least 1.
        frame_bytes: Bytes of one sample of all channels; of one block, where it is no PCM.
        dtype: NumPy's word for one sample, ``"i3"`` and the like for those it has no type for;
            empty if it is no PCM.
        speakers: The channels' names; empty where the file does not tell.
        note: What is odd about it, in words; empty if nothing is.
    """

    codec: str
    sample_rate: int
    channels: int
    frame_bytes: int
    dtype: str
    speakers: tuple[str, ...] = ()
    note: str = ""


def parse_format(chunk: bytes, *, big_endian: bool = False) -> WavFormat:
    """Read a ``fmt`` chunk (its first 40 bytes are enough).

    Raises:
        DamagedFileError: It is cut, or claims nothing that can be true.
    """
    if len(chunk) < 16:
        raise DamagedFileError("its fmt chunk is cut")
    order = ">" if big_endian else "<"
    tag, channels, rate, _, align, bits = struct.unpack(f"{order}HHIIHH", chunk[:16])
    speakers: tuple[str, ...] = ()
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        mask, tag = struct.unpack(f"{order}IH", chunk[20:26])  # the sub-format GUID begins with it
        named = tuple(name for bit, name in enumerate(_SPEAKERS) if mask >> bit & 1)
        speakers = named if len(named) == channels else ()
    if not (channels and rate):
        raise DamagedFileError(
            f"it claims {channels} channels, {rate} Hz and {align} bytes a sample"
        )
    endian = "be" if big_endian else "le"
    if tag == _PCM and 0 < bits <= 64:
        width = _pcm_bytes(bits, align, channels)
        codec = "pcm_u8" if width == 1 else f"pcm_s{8 * width}{endian}"
        dtype = "u1" if width == 1 else f"{order}i{width}"
    elif tag == _FLOAT and bits in (32, 64):
        width = bits // 8
        codec, dtype = f"pcm_f{bits}{endian}", f"{order}f{width}"
    else:
        codec = f"format 0x{tag:04x}"
        return WavFormat(codec, rate, channels, max(1, align), "", speakers)
    note = ""
    if align != width * channels:
        # Such a field misled nobody yet: other readers go by the bits as well.
        note = (
            f"the header claims {align} bytes for a sample of all channels; "
            f"{bits} bits take {width * channels}"
        )
    return WavFormat(codec, rate, channels, width * channels, dtype, speakers, note)


def _pcm_bytes(bits: int, align: int, channels: int) -> int:
    if 16 < bits <= 24 and align == 4 * channels:
        return 4  # with the samples in the upper bits, as the container's format wants it
    return {1: 1, 2: 2, 3: 3, 4: 4}.get(-(-bits // 8), 8)
