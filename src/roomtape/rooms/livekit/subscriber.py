"""The peer connection over which a LiveKit server sends everybody's audio."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.rtp import RtcpSrPacket

from ..rtp.aiortc_guards import guard_transceiver, guard_transport
from ..rtp.aiortc_internals import (
    forget_stream,
    ice_of_transport,
    route_by_ssrc,
    start_receivers,
    tap_packets,
    transport_of,
)
from ..rtp.bounds import Excess, MediaBounds
from ..rtp.closing import close_connection
from ..rtp.datagrams.aioice_internals import Door
from ..rtp.datagrams.arrivals import Arrivals
from ..rtp.direct import direct_rtp
from ..rtp.packet import Rtp
from ..rtp.receive import Incoming, RemoteAudio
from ..rtp.sender_clocks import SenderClocks
from .candidates import Candidates
from .description import OfferError, Section, ServerOffer

logger = logging.getLogger(__name__)

BOUNDS = MediaBounds(
    tracks=256,
    datagrams=40000,
    datagrams_a_second=15000.0,
    rtcp_bytes_a_second=200000.0,
    resends_a_second=1.0,
)
"""Of what a server may send: 256 tracks of 50 packets a second, and a fifth of it again."""


class Subscriber:
    """Receives. The server makes the offers, a new one whenever tracks come or go.

    :meth:`answer` each offer, one after the other; then :meth:`close`. It is not mended.

    Args:
        relays: TURN servers.
        loopback: The server is on this machine.
        on_track: Called with the id of each track that begins to be sent. What it returns takes the
            packets, until it is asked for another one, or the track is no longer sent.
        on_state: Called when :attr:`connected` or :attr:`over` changed.
        excess: Where is counted what the server sends beyond its bounds.
        clocks: Is told of the sender reports; None if nobody asks it.
    """

    def __init__(
        self,
        *,
        relays: Sequence[RTCIceServer],
        loopback: bool,
        on_track: Callable[[str, Incoming], RemoteAudio | None],
        on_state: Callable[[], None],
        excess: Excess,
        clocks: SenderClocks | None = None,
    ) -> None:
        self._loopback = loopback
        self._on_track = on_track
        self._on_state = on_state
        self._excess = excess
        self._clocks = clocks
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=list(relays), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._connection.on("connectionstatechange", self._changed)
        self._door: Door | None = None
        self._arrivals = Arrivals()
        self._candidates = Candidates(self._connection, excess)
        self._watcher: asyncio.Task[None] | None = None
        self._ufrag = ""
        self._guarded: set[RTCRtpReceiver] = set()
        self._receivers: dict[int, RTCRtpReceiver] = {}
        """By SSRC, of all tracks that are sent now ..."""
        self._tracks: dict[int, str] = {}
        self._streams: dict[int, RemoteAudio] = {}
        """... and what takes their packets."""

    @property
    def connected(self) -> bool:
        return bool(self._connection.connectionState == "connected")

    @property
    def over(self) -> bool:
        """The connection has failed, or the server has closed it."""
        return self._connection.connectionState in ("failed", "closed")

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel dropped because this process did not take them in time."""
        return 0 if self._door is None else self._door.dropped

    async def answer(self, sdp: str) -> str:
        """The SDP of the answer to an offer, with all candidates.

        Raises:
            OfferError: It cannot be answered; the connection is of no use any more.
            Exception: aiortc raises whatever its parser runs into.
        """
        offer = ServerOffer(sdp)
        if self._ufrag and offer.ufrag != self._ufrag:
            raise OfferError("it restarts ICE, which is done by joining again")
        self._ufrag = offer.ufrag
        await self._connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        self._guard()
        self._assign(offer.sections)
        await self._connection.setLocalDescription()
        await self._candidates.described(offer.sections[0].mid, offer.candidates)
        return offer.answered(self._connection.localDescription.sdp)

    async def add_candidate(self, text: str) -> None:
        """Take in one more address of the server. One that is broken or too many is left out."""
        await self._candidates.add(text)

    def take_waiting(self) -> None:
        """Take all that has come."""
        self._arrivals.take_waiting()

    async def close(self) -> None:
        """End it. Never raises."""
        self.take_waiting()
        if self._watcher is not None:
            self._watcher.cancel()
        streams, self._streams = self._streams, {}
        if self._clocks is not None:
            for ssrc in self._tracks:
                self._clocks.forget(ssrc)
        self._receivers.clear()
        for stream in streams.values():
            stream.close()
        await close_connection(self._connection, self._door)

    def _guard(self) -> None:
        """Bound what is new since the last offer."""
        transceivers = self._connection.getTransceivers()
        if self._door is None:
            transport = transport_of(self._connection)
            guard_transport(self._connection, transport, BOUNDS, self._excess)
            route_by_ssrc(transport, self._receivers)
            self._door = Door(
                ice_of_transport(transport),
                loopback=self._loopback,
                bounds=BOUNDS,
                excess=self._excess,
                take=direct_rtp(transport, self._excess),
                arrivals=self._arrivals,
            )
            self._door.open()
        for transceiver in transceivers:
            if transceiver.receiver not in self._guarded:
                self._guarded.add(transceiver.receiver)
                guard_transceiver(transceiver, BOUNDS, self._excess)
                tap_packets(transceiver.receiver, self._take, _ignore, self._reported)

    def _assign(self, sections: Sequence[Section]) -> None:
        """Say which packets are whose from now on."""
        assert self._door is not None
        by_mid = {each.mid: each.receiver for each in self._connection.getTransceivers()}
        sent: dict[int, tuple[str, Section]] = {
            ssrc: (track, section)
            for section in sections
            for ssrc, track in section.tracks.items()
            if section.mid in by_mid
        }
        for ssrc in [*self._tracks]:
            if ssrc not in sent or sent[ssrc][0] != self._tracks[ssrc]:
                del self._tracks[ssrc]
                forget_stream(self._receivers.pop(ssrc), ssrc)
                if self._clocks is not None:
                    self._clocks.forget(ssrc)
                stream = self._streams.pop(ssrc, None)
                if stream is not None:
                    stream.close()
        for ssrc, (track, section) in sent.items():
            receiver = by_mid[section.mid]
            if ssrc in self._tracks and self._receivers.get(ssrc) is receiver:
                continue
            self._receivers[ssrc] = receiver
            self._tracks[ssrc] = track
            # Its offers do not say so of every codec, but it answers NACKs for all of them.
            take_dropped = self._door.take_dropped
            incoming = Incoming(
                receiver, section.codecs, True, self._excess, take_dropped, self._clocks
            )
            stream = self._on_track(track, incoming)
            if stream is not None:
                self._streams[ssrc] = stream

    def _take(self, packet: Rtp, arrived_ns: int) -> None:
        stream = self._streams.get(packet.ssrc)
        if stream is not None:
            stream.take(packet, arrived_ns)

    def _reported(self, report: RtcpSrPacket) -> None:
        if self._clocks is not None and report.ssrc in self._tracks:
            told = report.sender_info
            self._clocks.report(report.ssrc, told.ntp_timestamp, told.rtp_timestamp)

    def _changed(self) -> None:
        if self.connected and self._watcher is None and self._door is not None:
            loop = asyncio.get_running_loop()
            self._watcher = loop.create_task(self._watch(self._door))
        self._on_state()

    async def _watch(self, door: Door) -> None:
        await start_receivers(self._connection)
        await door.watch_path()


def _ignore(*_: Any) -> None:
    """A stream says that it ends; the signalling says it as well."""
