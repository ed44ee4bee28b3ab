"""rooms/rtp/direct.py and packet.py: RTP from a datagram to whoever listens."""

from __future__ import annotations

import random
from typing import Any

import pytest
from aiortc.rtp import RtpPacket

from roomtape.rooms.rtp.bounds import Excess
from roomtape.rooms.rtp.direct import direct_rtp
from roomtape.rooms.rtp.packet import parsed

SEEN = ("payload_type", "sequence_number", "timestamp", "ssrc", "payload")


def test_a_packet_is_read_as_aiortc_reads_it() -> None:
    """Or refused as it is: packets with everything that a header can have, whole and broken."""
    dice = random.Random(1)
    read = refused = 0
    for _ in range(20_000):
        flags = dice.choice([0x80] * 8 + [0x40]) | dice.choice([0, 0x10]) | dice.choice([0, 0x20])
        flags |= dice.choice([0, 0, 1, 15])
        head = bytes([flags]) + dice.randbytes(11)
        csrc = dice.randbytes(4 * (flags & 15))
        words = dice.choice([0, 1, 3])
        # A profile that nobody knows: what is in it is not looked at.
        extension = b"\x12\x34" + words.to_bytes(2, "big") + dice.randbytes(4 * words)
        payload = dice.randbytes(dice.randrange(60))
        padding = dice.choice([b"\0\0\3", b"\1", b"\0", b"\xff"])
        data = head + csrc + extension * bool(flags & 0x10) + payload + padding * bool(flags & 0x20)
        data = data[: dice.choice([len(data)] * 3 + [dice.randrange(len(data))])]
        try:
            theirs = RtpPacket.parse(data)
        except ValueError:
            refused += 1
            with pytest.raises(ValueError, match=" "):
                parsed(data)
        else:
            read += 1
            ours = parsed(data)
            assert [getattr(ours, name) for name in SEEN] == [
                getattr(theirs, name) for name in SEEN
            ]
    assert min(read, refused) > 1000


class Transport:
    """As much of a DTLS transport as is asked; SRTP is the identity."""

    def __init__(self) -> None:
        self.state = "new"
        self._rx_srtp = self
        self._rtp_header_extensions_map = None
        self._rtp_router = self
        self.ssrc_table: dict[int, Any] = {}

    def on(self, event: str, look: Any) -> None:
        assert event == "statechange"
        self.look = look

    def enter(self, state: str) -> None:
        self.state = state
        self.look()

    def unprotect(self, data: bytes) -> bytes:
        return data


def test_only_rtp_of_a_connected_transport_goes_this_way() -> None:
    transport, excess = Transport(), Excess("x")
    take = direct_rtp(transport, excess)  # type: ignore[arg-type]
    rtp, rtcp, dtls, stun = (
        bytes([*head]) + bytes(10) for head in ((128, 96), (128, 200), (22, 0), (0, 1))
    )
    transport.ssrc_table[0] = object()  # no receiver at all: whatever is asked of it raises
    assert not take(rtp, 0)
    transport.enter("connected")
    assert [take(data, 0) for data in (rtp, rtcp, dtls, stun)] == [True, False, False, False]
    assert excess.counts.total() == 1
    assert take(b"\x80", 0)  # broken, and nobody's fault of importance
    assert excess.counts.total() == 1
    transport.enter("closed")
    assert not take(rtp, 0)
