"""The places where Roomtape reaches into aiortc to bound what a peer can do with it.

aiortc trusts whom it talks to: it keeps books of every SSRC for ever; more than 31 of them, or odd
timestamps, do not fit into its receiver reports, which end with an exception, after which closing
hangs and sockets stay open; one goodbye (RTCP BYE) makes a track deaf for good; packets are sent
again as often as they are asked for.

As in :mod:`.aiortc_internals`, single objects are changed and never classes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiortc import RTCDtlsTransport, RTCPeerConnection, RTCRtpTransceiver
from aiortc.rtcdtlstransport import RtpRouter
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpRtpfbPacket, RtpPacket

from .aiortc_internals import CONNECT, HANDLE_RTCP
from .bounds import Excess, MediaBounds, TokenBucket

logger = logging.getLogger(__name__)

RUN_RTCP = "_run_rtcp"
RETRANSMIT = "_retransmit"
_CONNECTING = "addresses to which there is no way"
BROKEN = "packets that are broken"
HANDLE_RTP = "_handle_rtp_data"
HANDLE_RTCP_DATA = "_handle_rtcp_data"
HANDLE_DATA = "_handle_data"

_Method = Callable[..., Awaitable[None]]


def guard(connection: RTCPeerConnection, bounds: MediaBounds, excess: Excess) -> None:
    """Bound what the other side can do. Call once, when all transceivers exist and before any
    description is set."""
    transport = connection.getTransceivers()[0].receiver.transport
    transport._rtp_router = _Router(bounds.ssrcs, excess)
    guard_transport(connection, transport, bounds, excess)
    for transceiver in connection.getTransceivers():
        guard_transceiver(transceiver, bounds, excess)


def guard_transport(
    connection: RTCPeerConnection, transport: RTCDtlsTransport, bounds: MediaBounds, excess: Excess
) -> None:
    """The part of :func:`guard` for what comes over the one transport. Call once, before
    candidates are gathered."""
    rtcp = TokenBucket(2 * bounds.rtcp_bytes_a_second, bounds.rtcp_bytes_a_second)
    setattr(connection, CONNECT, _caught(getattr(connection, CONNECT), excess, _CONNECTING))
    setattr(transport, HANDLE_RTP, _caught(getattr(transport, HANDLE_RTP), excess, BROKEN))
    handle_rtcp = _caught(getattr(transport, HANDLE_RTCP_DATA), excess, BROKEN)
    setattr(transport, HANDLE_RTCP_DATA, _paced(handle_rtcp, rtcp, excess, "RTCP"))
    if connection.sctp is not None:
        data = TokenBucket(2 * bounds.rtcp_bytes_a_second, bounds.rtcp_bytes_a_second)
        handle_data = _caught(getattr(connection.sctp, HANDLE_DATA), excess, BROKEN)
        setattr(connection.sctp, HANDLE_DATA, _paced(handle_data, data, excess, "data"))


def guard_transceiver(transceiver: RTCRtpTransceiver, bounds: MediaBounds, excess: Excess) -> None:
    """The part of :func:`guard` for one transceiver. Call once, before it sends or receives."""
    for end in (transceiver.sender, transceiver.receiver):
        setattr(end, RUN_RTCP, _again(getattr(end, RUN_RTCP), excess))
    sender = transceiver.sender
    resends = TokenBucket(2 * bounds.resends_a_second, bounds.resends_a_second)
    resend = _paced(getattr(sender, RETRANSMIT), resends, excess, "packets asked for again")
    setattr(sender, RETRANSMIT, resend)
    setattr(sender, HANDLE_RTCP, _brief(getattr(sender, HANDLE_RTCP)))


class _Router(RtpRouter):
    """Finds the receiver of a packet, by SSRC, or for a new one by MID (RFC 8843, section 9.2).

    Only so many streams are known of each receiver: aiortc keeps books of each.
    """

    def __init__(self, ssrcs: int, excess: Excess) -> None:
        super().__init__()
        self._ssrcs = ssrcs
        self._excess = excess
        self._streams: Counter[object] = Counter()

    def route_rtp(self, packet: RtpPacket) -> Any:
        known = self.ssrc_table.get(packet.ssrc)
        fitting = self.payload_type_table.get(packet.payload_type, set())
        if known is not None:
            return known if known in fitting else None
        receiver = self.mid_table.get(packet.extensions.mid)
        if receiver not in fitting:
            receiver = next(iter(fitting)) if len(fitting) == 1 else None
        if receiver is None:
            return None
        if self._streams[receiver] >= self._ssrcs:
            self._excess.add(f"streams (SSRCs) of one track, more than {self._ssrcs}")
            return None
        self._streams[receiver] += 1
        self.ssrc_table[packet.ssrc] = receiver
        return receiver


def _caught(method: _Method, excess: Excess, what: str) -> _Method:
    """Keep exceptions, which a peer can cause, from ending a task that nobody looks at."""

    async def caught(*args: Any, **keywords: Any) -> None:
        try:
            await method(*args, **keywords)
        except ConnectionError:
            if what == _CONNECTING:
                return
            raise
        except Exception as error:
            excess.add(what)
            logger.debug("aiortc raised on %s: %r", what, error)

    return caught


def _paced(method: _Method, bucket: TokenBucket, excess: Excess, what: str) -> _Method:
    """Take one token for a number, and as many as there are bytes for a packet."""

    async def paced(packet: bytes | int) -> None:
        cost = len(packet) if isinstance(packet, bytes) else 1
        if bucket.take(time.monotonic_ns(), cost):
            await method(packet)
        else:
            excess.add(what)

    return paced


def _again(method: _Method, excess: Excess) -> _Method:
    """Begin a task's work anew when it raises: closing waits for it to end as it should."""

    async def again() -> None:
        while True:
            try:
                return await method()
            except Exception as error:
                excess.add("numbers that do not fit into RTCP")
                logger.debug("aiortc raised while sending RTCP: %r", error)
                await asyncio.sleep(0)

    return again


MOST_ASKED_AT_ONCE = 128
"""Packets that one NACK asks for; aiortc keeps as many."""


def _brief(handle: _Method) -> _Method:
    async def brief(packet: Any) -> None:
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            packet.lost = list(dict.fromkeys(packet.lost))[:MOST_ASKED_AT_ONCE]
        await handle(packet)

    return brief
