"""The frame header of AAC in ADTS (ISO/IEC 13818-7, 6.2)."""

from __future__ import annotations

from functools import lru_cache

AAC_FRAME_SAMPLES = 1024
ADTS_HEADER_BYTES = 7
MAX_PAYLOAD_BYTES = 6144 // 8
"""The most that one frame of one channel may take (ISO/IEC 13818-7, 8.2.2)."""

_FREQUENCY_INDEX = {
    96000: 0, 88200: 1, 64000: 2, 48000: 3, 44100: 4, 32000: 5, 24000: 6,
    22050: 7, 16000: 8, 12000: 9, 11025: 10, 8000: 11, 7350: 12,
}  # fmt: skip


@lru_cache(maxsize=1024)  # frames of a few lengths, thousands of times
def adts_header(rate_hz: int, channels: int, payload_bytes: int) -> bytes:
    """The 7 bytes before an AAC-LC frame of ``payload_bytes``, without a checksum.

    Raises:
        ValueError: The frame is too long for the header's 13 bits.
    """
    length = payload_bytes + ADTS_HEADER_BYTES
    if length >= 1 << 13:
        raise ValueError(f"an ADTS frame of {length} bytes does not exist: 8191 are the most")
    bits = 0xFFF  # syncword
    for value, width in (
        (0, 1),  # MPEG-4
        (0, 2),  # layer
        (1, 1),  # no checksum
        (1, 2),  # profile: AAC-LC (object type 2, minus one)
        (_FREQUENCY_INDEX[rate_hz], 4),
        (0, 1),  # private
        (channels, 3),
        (0, 4),  # original, home, copyright
        (length, 13),
        (0x7FF, 11),  # buffer fullness: variable bit rate
        (0, 2),  # one raw data block
    ):
        bits = bits << width | value
    return bits.to_bytes(ADTS_HEADER_BYTES, "big")
