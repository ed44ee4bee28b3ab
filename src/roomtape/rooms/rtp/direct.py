"""The short way of RTP, from a datagram to whoever listens.

aiortc puts each datagram into a queue, wakes up a task for it, and reads all of its header. That is
much for what comes fifty times a second from everybody who speaks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import pylibsrtp
from aiortc import RTCDtlsTransport

from .aiortc_guards import BROKEN
from .aiortc_internals import (
    received_directly,
    receiver_of_stream,
    routed,
    unprotected,
)
from .bounds import Excess
from .packet import Rtp, parsed

logger = logging.getLogger(__name__)


def direct_rtp(transport: RTCDtlsTransport, excess: Excess) -> Callable[[bytes, int], bool]:
    """For the RTP of one transport; make it before that connects.

    Args:
        transport: All of its receivers receive audio.
        excess: Where packets are counted that aiortc raises on.

    Returns:
        Takes a datagram, and when it came by ``time.monotonic_ns()``, if it is RTP and the
        transport is connected; all else, for which it gives False, goes aiortc's way.
    """
    connected = False

    def look() -> None:
        nonlocal connected
        connected = transport.state == "connected"

    transport.on("statechange", look)

    def take(data: bytes, arrived_ns: int) -> bool:
        # RFC 7983, section 7, and RFC 5761, section 4: all else is no RTP.
        if not connected or not 128 <= data[0] <= 191 or b"\xc0" <= data[1:2] <= b"\xd0":
            return False
        try:
            plain = unprotected(transport, data)
            packet: Rtp = parsed(plain)
            receiver = receiver_of_stream(transport, packet.ssrc)
            if receiver is None:
                packet, receiver = routed(transport, plain)
            if receiver is not None:
                received_directly(receiver, packet, arrived_ns)
        except (pylibsrtp.Error, ValueError) as error:  # forged, or twice, or no RTP
            logger.debug("a packet is left out: %r", error)
        except Exception as error:
            excess.add(BROKEN)
            logger.debug("aiortc raised on %s: %r", BROKEN, error)
        return True

    return take
