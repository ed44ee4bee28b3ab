"""Just enough of ADTS (ISO/IEC 13818-7, 6.2) to find where frames end, and to say nothing."""

from __future__ import annotations

from dataclasses import dataclass

ADTS_HEADER_BYTES = 7
ADTS_FRAME_SAMPLES = 1024
MOST_FRAME_BYTES = (1 << 13) - 1
_RATES_HZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)

# One mono frame in which nothing is coded: single_channel_element, tag 0, global gain 0, one long
# window, max_sfb 0 (so neither sections, scale factors nor spectral data follow), no prediction,
# pulses, TNS or gain control: 29 zero bits. Then the END element, three ones. It decodes to silence
# at every rate, and takes the same time as the frame that it stands for.
_SILENCE = bytes.fromhex("00000007")


@dataclass(frozen=True, slots=True)
class AdtsFrame:
    """One frame's place.

    Attributes:
        rate_hz: Sample rate.
        stop: Offset behind its last byte.
    """

    rate_hz: int
    stop: int


def frame_at(data: bytes | memoryview, start: int) -> AdtsFrame | None:
    """The frame that begins at ``start``, even where the data ends before it; None for none."""
    head = bytes(data[start : start + ADTS_HEADER_BYTES])
    if len(head) < ADTS_HEADER_BYTES or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return None
    rate_index = head[2] >> 2 & 0xF
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    if rate_index >= len(_RATES_HZ) or length <= ADTS_HEADER_BYTES:
        return None
    return AdtsFrame(_RATES_HZ[rate_index], start + length)


def silent_frame(rate_hz: int) -> bytes:
    """A mono AAC-LC frame of 1024 samples of silence."""
    length = ADTS_HEADER_BYTES + len(_SILENCE)
    header = (
        b"\xff\xf1"  # syncword, MPEG-4, no checksum
        + bytes([1 << 6 | _RATES_HZ.index(rate_hz) << 2])  # AAC-LC
        + (1 << 30 | length << 13 | 0x7FF << 2).to_bytes(4, "big")  # one channel, variable rate
    )
    return header + _SILENCE
