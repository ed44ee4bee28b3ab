"""The places where Roomtape reaches into aiortc, but for those that bound what a peer can do with
it (:mod:`.aiortc_guards`). (:mod:`.datagrams` has those of aioice and asyncio, :mod:`.direct` the
short way of RTP.)

aiortc is made to play audio, and offers no way to have the packets as they come. Its jitter
buffer (``JitterBuffer(capacity=16, prefetch=4)``) delays audio by 80 ms, and by 300 ms for
good after a loss; throws away up to 15 packets that arrived when more than 16 in a row were
lost; keeps the last four when the sender leaves. Its ``TimestampMapper`` takes any step
backwards for a wrap of 2**32. Each of these is a hole or a shift in a recording. So the jitter
buffer of our receivers is replaced by :class:`_PacketTap`.

Single objects are changed, never classes. The dependency is pinned to one minor version, and
tests/rooms/test_aiortc_internals.py says clearly what a new one lacks.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from aioice import Connection
from aiortc import (
    MediaStreamTrack,
    RTCDtlsTransport,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCRtpTransceiver,
)
from aiortc.jitterbuffer import JitterBuffer as AiortcJitterBuffer
from aiortc.rtcdtlstransport import RtpRouter
from aiortc.rtcrtpreceiver import RemoteStreamTrack, StreamStatistics
from aiortc.rtp import (
    RtcpByePacket,
    RtcpRrPacket,
    RtcpSrPacket,
    RtpPacket,
)

from ...types import NS_PER_S
from .packet import Rtp

logger = logging.getLogger(__name__)

LAST_ARRIVAL = "_last_arrival"
JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
CODECS = "_RTCRtpReceiver__codecs"
CONNECT = "_RTCPeerConnection__connect"
REMOTE_STREAMS = "_RTCRtpReceiver__remote_streams"
HANDLE_RTCP = "_handle_rtcp_packet"

PacketListener = Callable[[Rtp, int], None]
"""Takes a packet, and when it came, by ``time.monotonic_ns()``."""
_Method = Callable[..., Awaitable[None]]


class _PacketTap(AiortcJitterBuffer):
    """Stands where a receiver's jitter buffer stood; no packet comes out of it."""

    def __init__(self, on_packet: PacketListener) -> None:
        super().__init__(capacity=1)
        self.on_packet = on_packet

    def add(self, packet: Rtp) -> tuple[bool, None]:
        self.on_packet(packet, time.monotonic_ns())
        return False, None


def tap_packets(
    receiver: RTCRtpReceiver,
    on_packet: PacketListener,
    on_goodbye: Callable[[], None],
    on_report: Callable[[RtcpSrPacket], None] | None = None,
) -> None:
    """Have ``on_packet`` called with each RTP packet of ``receiver``, at once.

    aiortc goes on to count packets and to send receiver reports; its decoder thread idles, and
    its track hands out nothing but its end. Packets have passed the SRTP replay check.
    ``on_goodbye`` is called when a stream of it says that it ends; another may begin. ``on_report``
    is called with each sender report.

    Raises:
        RuntimeError: This version of aiortc is built differently.
    """
    if not isinstance(getattr(receiver, JITTER_BUFFER, None), AiortcJitterBuffer):
        raise RuntimeError(
            "this version of aiortc keeps its packets elsewhere: install the one that Roomtape "
            "asks for"
        )
    setattr(receiver, JITTER_BUFFER, _PacketTap(on_packet))
    handle: _Method = getattr(receiver, HANDLE_RTCP)

    async def handle_rtcp(packet: Any) -> None:
        # aiortc would end the track, and with it all that the peer sends after this.
        if isinstance(packet, RtcpByePacket):
            on_goodbye()
            return
        if on_report is not None and isinstance(packet, RtcpSrPacket):
            on_report(packet)
        await handle(packet)

    setattr(receiver, HANDLE_RTCP, handle_rtcp)


def unprotected(transport: RTCDtlsTransport, data: bytes) -> bytes:
    """An SRTP packet of a connected transport without its protection.

    Raises:
        pylibsrtp.Error: It is forged, or was here before.
    """
    return transport._rx_srtp.unprotect(data)


def receiver_of_stream(transport: RTCDtlsTransport, ssrc: int) -> RTCRtpReceiver | None:
    """Whose packets these are, where that is known already."""
    return cast("RTCRtpReceiver | None", transport._rtp_router.ssrc_table.get(ssrc))


def routed(transport: RTCDtlsTransport, data: bytes) -> tuple[Rtp, RTCRtpReceiver | None]:
    """A packet of a new stream, and whose it is, which an extension of its header may say.

    Raises:
        ValueError: It is no RTP.
    """
    packet = RtpPacket.parse(data, transport._rtp_header_extensions_map)
    return packet, cast("RTCRtpReceiver | None", transport._rtp_router.route_rtp(packet))


def received_directly(receiver: RTCRtpReceiver, packet: Rtp, arrived_ns: int) -> None:
    """What aiortc does with a packet of audio, but for its lines of the log: count it for RTCP, and
    have the listener of :func:`tap_packets` take it."""
    codec = getattr(receiver, CODECS).get(packet.payload_type)
    if codec is None or not receiver._enabled:
        return
    streams = getattr(receiver, REMOTE_STREAMS)
    if packet.ssrc not in streams:
        streams[packet.ssrc] = StreamStatistics(codec.clockRate)
    _count(streams[packet.ssrc], packet, (time.monotonic_ns() - arrived_ns) * codec.clockRate)
    tap = getattr(receiver, JITTER_BUFFER)
    if isinstance(tap, _PacketTap):
        tap.on_packet(packet, arrived_ns)


def _count(statistics: StreamStatistics, packet: Rtp, waited: int) -> None:
    """Count a packet that came before now, by ``waited`` billionths of a unit of its clock. aiortc
    takes it to come now, which is jitter that no network has."""
    units = waited // NS_PER_S
    before = getattr(statistics, LAST_ARRIVAL)
    if before is not None:
        setattr(statistics, LAST_ARRIVAL, before + units)
    statistics.add(cast("RtpPacket", packet))  # its header is all that is looked at
    setattr(statistics, LAST_ARRIVAL, getattr(statistics, LAST_ARRIVAL) - units)


def codecs_of(transceiver: RTCRtpTransceiver) -> dict[int, str]:
    """What was negotiated: the payload types, and their codecs' names in small letters."""
    return {int(codec.payloadType or 0): codec.name.lower() for codec in transceiver._codecs}


def receiver_of(track: MediaStreamTrack) -> RTCRtpReceiver | None:
    """Whose track it is; None if it is no receiver's own. (A track does not know: whoever refers to
    it is looked up, which takes milliseconds.)"""
    if not isinstance(track, RemoteStreamTrack):
        return None
    for each in gc.get_referrers(track):
        # Its attributes may be kept in a dictionary, or not.
        owners = gc.get_referrers(each) if isinstance(each, dict) else [each]
        for owner in owners:
            if isinstance(owner, RTCRtpReceiver) and owner.track is track:
                return owner
    return None


class CodecsOfReceiver(Mapping[int, str]):
    """What a receiver was told to expect, whenever that is: as :func:`codecs_of`."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._codecs: dict[int, Any] = getattr(receiver, CODECS)

    def __getitem__(self, payload_type: int) -> str:
        return str(self._codecs[payload_type].name).lower()

    def __iter__(self) -> Iterator[int]:
        return iter(self._codecs)

    def __len__(self) -> int:
        return len(self._codecs)


def ice_of(connection: RTCPeerConnection) -> Connection:
    """The ICE connection of a bundled peer connection, which has one."""
    return connection.getTransceivers()[0].receiver.transport.transport.iceGatherer._connection


def transport_of(connection: RTCPeerConnection) -> RTCDtlsTransport:
    """The one transport of a bundled peer connection that was told what the other side offers."""
    sctp = connection.sctp
    end = connection.getTransceivers()[0].receiver if sctp is None else sctp
    return end.transport


def ice_of_transport(transport: RTCDtlsTransport) -> Connection:
    """The ICE connection below a transport."""
    return transport.transport.iceGatherer._connection


async def start_receivers(connection: RTCPeerConnection) -> None:
    """Start those that were added while the connection was being made: aiortc forgets them, since
    it looks at each once, and starts none before the handshake is over. Call it after that."""
    await getattr(connection, CONNECT)()


def forget_stream(receiver: RTCRtpReceiver, ssrc: int) -> None:
    """Keep no more books of a stream that has ended: of more than 31, no report can be made."""
    getattr(receiver, REMOTE_STREAMS).pop(ssrc, None)


async def ask_again(receiver: RTCRtpReceiver, ssrc: int, numbers: Sequence[int]) -> None:
    """Send a NACK (RFC 4585, section 6.2.1) for packets of these 16-bit sequence numbers."""
    # aiortc packs them well only where they ascend.
    ascending: list[list[int]] = []
    for number in numbers:
        if not ascending or number < ascending[-1][-1]:
            ascending.append([])
        ascending[-1].append(number)
    for run in ascending:
        await receiver._send_rtcp_nack(ssrc, run)


def route_by_ssrc(transport: RTCDtlsTransport, receivers: dict[int, RTCRtpReceiver]) -> None:
    """Have packets go to the receivers of their SSRCs and to no other.

    Args:
        transport: Nothing has come over it yet.
        receivers: By SSRC. They may change at any time; what belongs to none of them (a track that
            has just ended) is left out.
    """
    transport._rtp_router = _SsrcRouter(receivers)


def tell_loss(sender: RTCRtpSender, on_loss: Callable[[float], None]) -> None:
    """Have ``on_loss`` called with the share of packets that each report of the other side (RTCP
    RR, RFC 3550, section 6.4.1) says it lacks."""
    handle: _Method = getattr(sender, HANDLE_RTCP)

    async def handle_rtcp(packet: Any) -> None:
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == sender._ssrc:
                    on_loss(report.fraction_lost / 256)
        await handle(packet)

    setattr(sender, HANDLE_RTCP, handle_rtcp)


def abandon(connection: RTCPeerConnection) -> None:
    """Give back threads of a connection that could not be closed."""
    for transceiver in connection.getTransceivers():
        transceiver.receiver._handle_disconnect()


class _SsrcRouter(RtpRouter):
    """Finds the receiver of a packet by its SSRC alone, where the signalling names all of them."""

    def __init__(self, receivers: dict[int, RTCRtpReceiver]) -> None:
        super().__init__()
        self.ssrc_table: dict[int, Any] = receivers

    def route_rtp(self, packet: RtpPacket) -> Any:
        return self.ssrc_table.get(packet.ssrc)
