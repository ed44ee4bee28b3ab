"""Just enough of ADTS (ISO/IEC 13818-7, 6.2) to find where frames end, to know our own files, and
to say nothing."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ..types import SAMPLE_RATES_HZ

ADTS_HEADER_BYTES = 7
ADTS_FRAME_SAMPLES = 1024
MOST_FRAME_BYTES = (1 << 13) - 1
_RATES_HZ = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)

# One frame in which nothing is coded. Mono: single_channel_element, tag 0, global gain 0, one long
# window, max_sfb 0 (so neither sections, scale factors nor spectral data follow), no prediction,
# pulses, TNS or gain control: 29 zero bits. Then the END element, three ones. It decodes to silence
# at every rate, and takes the same time as the frame that it stands for. Stereo:
# channel_pair_element (001), tag 0, no common window, then the 22 zero bits of a channel, twice.
_SILENCE = {1: bytes.fromhex("00000007"), 2: bytes.fromhex("2000000000000e")}
# The same with an empty fill_element (110, count 0) before the END: one byte longer.
_LONGER_SILENCE = {1: bytes.fromhex("000000060e"), 2: bytes.fromhex("2000000000000c1c")}
_MOST_SKIPPED = 254

# A data_stream_element, which every decoder skips: 100 (what it is), tag 0, not aligned, 16 bytes.
# That these are whole bytes is why it can stand in front of what an encoder gave.
_MARK = b"\x80\x10ROOMTAPE LIVE 1\n"
_MOST_TURNED_BITS = 8

# Of the seven bytes of a header, the bits that hold the length.
_LENGTH_BITS = 0x1FFF << 13


class AdtsFrame(NamedTuple):
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


def least_frame_bytes(channels: int) -> int:
    """The shortest frame that :func:`silent_frame` gives."""
    return ADTS_HEADER_BYTES + len(_SILENCE[channels])


def silent_frame(rate_hz: int, channels: int = 1, length: int | None = None) -> bytes:
    """An AAC-LC frame of 1024 samples of silence.

    Args:
        rate_hz, channels: Of the stream.
        length: In bytes, header included; as short as possible if left out. What is longer than
            that is in data_stream_elements, which every decoder skips.
    """
    silence, least = _SILENCE[channels], least_frame_bytes(channels)
    more = 0 if length is None else length - least
    if more % (_MOST_SKIPPED + 2) == 1:  # no data_stream_element is so short
        silence, more = _LONGER_SILENCE[channels], more - 1
    skipped = b""
    while more:
        count = min(more - 2, _MOST_SKIPPED)
        skipped += bytes([0x80, count]) + bytes(count)
        more -= count + 2
    payload = skipped + silence
    return _header(rate_hz, channels, ADTS_HEADER_BYTES + len(payload)) + payload


def with_mark(frame: bytes) -> bytes:
    """A frame, header included, that tells whose file it begins, and sounds as it did."""
    length = len(frame) + len(_MARK)
    fixed = int.from_bytes(frame[:ADTS_HEADER_BYTES], "big") & ~_LENGTH_BITS
    header = (fixed | length << 13).to_bytes(ADTS_HEADER_BYTES, "big")
    return header + _MARK + frame[ADTS_HEADER_BYTES:]


def without_mark(frame: bytes) -> bytes:
    """The frame as it was before :func:`with_mark`, if it was given that."""
    if frame[ADTS_HEADER_BYTES : ADTS_HEADER_BYTES + len(_MARK)] != _MARK:
        return frame
    length = len(frame) - len(_MARK)
    fixed = int.from_bytes(frame[:ADTS_HEADER_BYTES], "big") & ~_LENGTH_BITS
    header = (fixed | length << 13).to_bytes(ADTS_HEADER_BYTES, "big")
    return header + frame[ADTS_HEADER_BYTES + len(_MARK) :]


def has_mark(head: bytes) -> bool:
    """Whether the file that begins so is one of ours, but for a few bits that a bad disk may have
    turned."""
    mark = head[ADTS_HEADER_BYTES : ADTS_HEADER_BYTES + len(_MARK)]
    difference = int.from_bytes(mark, "big") ^ int.from_bytes(_MARK, "big")
    return len(mark) == len(_MARK) and difference.bit_count() <= _MOST_TURNED_BITS


def is_our_frame(head: bytes, rate_hz: int, *, most_channels: int = 2) -> bool:
    """Whether a header, or what is left of it, is one that we write: AAC-LC of one or two
    channels at a rate of the contract, in MPEG-4, without a checksum, one block a frame."""
    if rate_hz not in SAMPLE_RATES_HZ:
        return False
    count = min(len(head), ADTS_HEADER_BYTES)
    missing = 8 * (ADTS_HEADER_BYTES - count)
    found = int.from_bytes(head[:count], "big") & ~(_LENGTH_BITS >> missing)
    return any(found == fixed >> missing for fixed in _fixed_bits(rate_hz)[:most_channels])


@lru_cache(maxsize=8)
def _fixed_bits(rate_hz: int) -> tuple[int, int]:
    """Our headers of one and of two channels, without their length."""
    one, two = (int.from_bytes(_header(rate_hz, channels, 0), "big") for channels in (1, 2))
    return one, two


def _header(rate_hz: int, channels: int, length: int) -> bytes:
    return (
        b"\xff\xf1"  # syncword, MPEG-4, no checksum
        + bytes([1 << 6 | _RATES_HZ.index(rate_hz) << 2])  # AAC-LC
        + (channels << 30 | length << 13 | 0x7FF << 2).to_bytes(4, "big")  # variable rate
    )
