"""The header of a WAV file that grows (RIFF/WAVE; RF64 as in EBU Tech 3306), and how to know ours.

The header is 80 bytes from the start: a ``JUNK`` chunk keeps the place of ``ds64``, which takes
over when the file passes 4 GiB, so nothing ever has to move::

    0  RIFF/RF64, size, WAVE     12  JUNK/ds64, 28 bytes     48  fmt, 16 bytes     72  data, size

Other programs write chunks of the same sizes in the same order. So the ``JUNK`` chunk holds our
mark: a text, the rate and the channels once more, and their CRC-32. A file is ours where its header
is the one that we would have written, but for a few bits that a bad disk may have turned.
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from ..types import SAMPLE_RATES_HZ

HEADER_BYTES = 80
_RIFF_MOST = 0xFFFFFFFF
_MARK = b"ROOMTAPE WAV 1\n\0"
_CHANNELS = (1, 2)
_RIFF_SIZES = ((4, 8), (76, 80))
_RF64_SIZES = ((20, 44),)
# So many bits of a marked header may have turned: those of a stranger differ by far more than a
# hundred, and those of two rates or channels by more than twenty.
_MOST_TURNED_BITS = 8


class OurHeader(NamedTuple):
    """What a header of ours says.

    Attributes:
        rate_hz: Sample rate.
        channels: 1 or 2.
        declared_bytes: How many bytes of samples it claims; None where its sizes contradict each
            other.
        marked: Whether it has our mark, which headers past 4 GiB and those of the first version
            lack.
        whole: Whether it is, bit by bit, a header that we write, its sizes left aside.
    """

    rate_hz: int
    channels: int
    declared_bytes: int | None
    marked: bool
    whole: bool

    @property
    def frame_bytes(self) -> int:
        """Of one sample of all channels."""
        return 2 * self.channels


def wav_header(rate_hz: int, data_bytes: int, *, channels: int = 1, behind_bytes: int = 0) -> bytes:
    """The header of 16-bit PCM with ``data_bytes`` of samples behind it, and so many bytes of other
    chunks behind those."""
    return _header(rate_hz, data_bytes, channels, _mark(rate_hz, channels), behind_bytes)


def streamed_wav_header(rate_hz: int, *, channels: int = 1) -> bytes:
    """The header of a file of which nobody knows how long it will be: all to its end."""
    open_size = struct.pack("<I", _RIFF_MOST)
    header = wav_header(rate_hz, 0, channels=channels)
    return header[:4] + open_size + header[8:-4] + open_size


def our_header(head: bytes) -> OurHeader | None:
    """The header in these first 80 bytes; None where it is a stranger's."""
    if len(head) < HEADER_BYTES:
        return None
    found = min(
        (
            (_turned_bits(head, rate_hz, channels, form), form, rate_hz, channels)
            for rate_hz in SAMPLE_RATES_HZ
            for channels in _CHANNELS
            for form in _FORMS
            if channels <= form.most_channels
        ),
        key=lambda each: each[0],
    )
    turned, form, rate_hz, channels = found
    if turned > form.most_turned_bits:
        return None
    declared = _declared(head, form, channels)
    return OurHeader(rate_hz, channels, declared, form is _MARKED, turned == 0)


def is_our_wav(header: bytes) -> bool:
    """Whether these first 80 bytes are such a header, of whatever size and rate."""
    return our_header(header) is not None


def declared_bytes(header: bytes) -> int:
    """How many bytes of samples such a header claims."""
    if header[:4] == b"RF64":
        return int(struct.unpack_from("<Q", header, 28)[0])
    return int(struct.unpack_from("<I", header, 76)[0])


class _Form(NamedTuple):
    """One of the shapes that the header had or has."""

    rf64: bool
    marked: bool
    most_turned_bits: int
    most_channels: int = 2


_MARKED = _Form(rf64=False, marked=True, most_turned_bits=_MOST_TURNED_BITS)
_FIRST_VERSION = _Form(rf64=False, marked=False, most_turned_bits=0, most_channels=1)
_PAST_4_GIB = _Form(rf64=True, marked=False, most_turned_bits=1)
_FORMS = (_MARKED, _FIRST_VERSION, _PAST_4_GIB)


def _mark(rate_hz: int, channels: int) -> bytes:
    said = struct.pack("<16sIHH", _MARK, rate_hz, channels, 16)
    return said + struct.pack("<I", zlib.crc32(said))


def _header(
    rate_hz: int, data_bytes: int, channels: int, junk: bytes, behind_bytes: int = 0
) -> bytes:
    block = 2 * channels
    riff_bytes = HEADER_BYTES - 8 + data_bytes + data_bytes % 2 + behind_bytes
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate_hz, rate_hz * block, block, 16)
    if riff_bytes <= _RIFF_MOST:
        return (
            struct.pack("<4sI4s", b"RIFF", riff_bytes, b"WAVE")
            + struct.pack("<4sI28s", b"JUNK", 28, junk)
            + fmt
            + struct.pack("<4sI", b"data", data_bytes)
        )
    return (
        struct.pack("<4sI4s", b"RF64", _RIFF_MOST, b"WAVE")
        + struct.pack("<4sIQQQI", b"ds64", 28, riff_bytes, data_bytes, data_bytes // block, 0)
        + fmt
        + struct.pack("<4sI", b"data", _RIFF_MOST)
    )


def _turned_bits(head: bytes, rate_hz: int, channels: int, form: _Form) -> int:
    """In how many bits a header differs from the one of this form, sizes left aside."""
    junk = _mark(rate_hz, channels) if form.marked else b""
    expected = bytearray(_header(rate_hz, _RIFF_MOST if form.rf64 else 0, channels, junk))
    found = bytearray(head[:HEADER_BYTES])
    for start, stop in _RF64_SIZES if form.rf64 else _RIFF_SIZES:
        expected[start:stop] = found[start:stop] = bytes(stop - start)
    difference = int.from_bytes(expected, "big") ^ int.from_bytes(found, "big")
    return difference.bit_count()


def _declared(head: bytes, form: _Form, channels: int) -> int | None:
    if form.rf64:
        riff_bytes, data_bytes, samples = struct.unpack_from("<QQQ", head, 20)
        if samples != data_bytes // (2 * channels):
            return None
    else:
        (riff_bytes,), (data_bytes,) = (struct.unpack_from("<I", head, at) for at in (4, 76))
    agree = riff_bytes == HEADER_BYTES - 8 + data_bytes + data_bytes % 2
    return int(data_bytes) if agree else None
