"""What is looked at of an RTP packet, and the quick way to it."""

from __future__ import annotations

import struct
from typing import NamedTuple, Protocol

_FIXED = struct.Struct("!BBHLL")


class Rtp(Protocol):
    """Ours, or aiortc's ``RtpPacket``, which knows more and takes its time."""

    @property
    def payload_type(self) -> int: ...

    @property
    def sequence_number(self) -> int: ...

    @property
    def timestamp(self) -> int: ...

    @property
    def ssrc(self) -> int: ...

    @property
    def payload(self) -> bytes: ...


class Packet(NamedTuple):
    """A packet without its header extensions."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


def parsed(data: bytes) -> Packet:
    """Read a packet (RFC 3550, section 5.1).

    Raises:
        ValueError: It is none.
    """
    if len(data) < _FIXED.size:
        raise ValueError(f"{len(data)} bytes are no RTP packet")
    flags, kind, number, timestamp, ssrc = _FIXED.unpack_from(data)
    if flags >> 6 != 2:
        raise ValueError("it is of another version of RTP")
    start, end = _FIXED.size + 4 * (flags & 15), len(data)
    if flags & 16:
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if flags & 32:
        end -= data[-1]
        if end == len(data):
            raise ValueError("its padding has no length")
    if start > end:
        raise ValueError("its header does not end within it")
    return Packet(kind & 127, number, timestamp, ssrc, data[start:end])
