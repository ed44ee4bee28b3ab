"""The header of a WAV file that grows (RIFF/WAVE; RF64 as in EBU Tech 3306).

The header is 80 bytes from the start: a ``JUNK`` chunk keeps the place of ``ds64``, which takes
over when the file passes 4 GiB, so nothing ever has to move::

    0  RIFF/RF64, size, WAVE     12  JUNK/ds64, 28 bytes     48  fmt, 16 bytes     72  data, size
"""

from __future__ import annotations

import struct

HEADER_BYTES = 80
_RIFF_MOST = 0xFFFFFFFF


def wav_header(rate_hz: int, data_bytes: int, *, channels: int = 1) -> bytes:
    """The header of 16-bit PCM with ``data_bytes`` of samples behind it."""
    block = 2 * channels
    riff_bytes = HEADER_BYTES - 8 + data_bytes + data_bytes % 2
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate_hz, rate_hz * block, block, 16)
    if riff_bytes <= _RIFF_MOST:
        return (
            struct.pack("<4sI4s", b"RIFF", riff_bytes, b"WAVE")
            + struct.pack("<4sI28x", b"JUNK", 28)
            + fmt
            + struct.pack("<4sI", b"data", data_bytes)
        )
    return (
        struct.pack("<4sI4s", b"RF64", _RIFF_MOST, b"WAVE")
        + struct.pack("<4sIQQQI", b"ds64", 28, riff_bytes, data_bytes, data_bytes // block, 0)
        + fmt
        + struct.pack("<4sI", b"data", _RIFF_MOST)
    )


def is_our_wav(header: bytes) -> bool:
    """Whether these first 80 bytes are such a header, of whatever size and rate."""
    return (
        len(header) >= HEADER_BYTES
        and header[:4] in (b"RIFF", b"RF64")
        and header[8:12] == b"WAVE"
        and header[12:16] in (b"JUNK", b"ds64")
        and header[48:52] == b"fmt "
        and header[72:76] == b"data"
    )


def declared_bytes(header: bytes) -> int:
    """How many bytes of samples such a header claims."""
    if header[:4] == b"RF64":
        return int(struct.unpack_from("<Q", header, 28)[0])
    return int(struct.unpack_from("<I", header, 76)[0])


def header_rate_hz(header: bytes) -> int:
    """The sample rate in such a header."""
    return int(struct.unpack_from("<I", header, 60)[0])
