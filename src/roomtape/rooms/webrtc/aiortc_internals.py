"""The places where Roomtape reaches into aiortc and aioice, all of them.

aiortc is made to play audio, and offers no way to have the packets as they come. Its jitter
buffer (``JitterBuffer(capacity=16, prefetch=4)``) delays audio by 80 ms, and by 300 ms for
good after a loss; throws away up to 15 packets that arrived when more than 16 in a row were
lost; keeps the last four when the sender leaves. Its ``TimestampMapper`` takes any step
backwards for a wrap of 2**32. Each of these is a hole or a shift in a recording. So the jitter
buffer of our receivers is replaced by :class:`_PacketTap`.

The dependency is pinned to one minor version, and tests/rooms/test_aiortc_internals.py says
clearly what a new one lacks.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

from aioice import Candidate
from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer as AiortcJitterBuffer
from aiortc.rtp import RtpPacket

JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
GATHER = "get_component_candidates"
LOOPBACK = "127.0.0.1"

PacketListener = Callable[[RtpPacket], None]


class _PacketTap(AiortcJitterBuffer):
    """Stands where a receiver's jitter buffer stood; no packet comes out of it."""

    def __init__(self, on_packet: PacketListener) -> None:
        super().__init__(capacity=1)
        self._on_packet = on_packet

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        self._on_packet(packet)
        return False, None


def tap_packets(receiver: RTCRtpReceiver, on_packet: PacketListener) -> None:
    """Have ``on_packet`` called with each RTP packet of ``receiver``, at once.

    aiortc goes on to count packets and to send receiver reports; its decoder thread idles, and
    its track hands out nothing but its end. Packets have passed the SRTP replay check.

    Raises:
        RuntimeError: This version of aiortc is built differently.
    """
    if not isinstance(getattr(receiver, JITTER_BUFFER, None), AiortcJitterBuffer):
        raise RuntimeError(
            "this version of aiortc keeps its packets elsewhere: install the one that Roomtape "
            "asks for"
        )
    setattr(receiver, JITTER_BUFFER, _PacketTap(on_packet))


def gather_on_loopback(connection: RTCPeerConnection) -> None:
    """Offer 127.0.0.1 as well, which ICE leaves out (RFC 8445, section 5.1.1.1).

    For rooms on this machine: without it, a machine without a network has no address at all.
    Call it after the transceivers exist and before the local description is set.
    """
    for transceiver in connection.getTransceivers():
        ice = transceiver.receiver.transport.transport.iceGatherer._connection
        # An attribute of this one object; the class stays as it is.
        setattr(ice, GATHER, functools.partial(_gather_with_loopback, getattr(ice, GATHER)))


async def _gather_with_loopback(
    gather: Callable[..., Awaitable[list[Candidate]]], component: int, addresses: list[str]
) -> list[Candidate]:
    return await gather(component=component, addresses=[*addresses, LOOPBACK])
