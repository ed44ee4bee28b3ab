"""One RTCPeerConnection, from the offer to the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.sdp import candidate_from_sdp

from ..rtp.aiortc_guards import guard
from ..rtp.aiortc_internals import codecs_of, ice_of, tell_loss
from ..rtp.bounds import MAX_CANDIDATE_BYTES, MAX_CANDIDATES, Excess, MediaBounds
from ..rtp.closing import close_connection
from ..rtp.datagrams.aioice_internals import Door
from ..rtp.datagrams.arrivals import Arrivals
from ..rtp.direct import direct_rtp
from ..rtp.receive import Incoming
from ..rtp.send import PacketTrack
from .description import CODECS, Description, DescriptionError, Section, spoken

logger = logging.getLogger(__name__)


class Call:
    """A media connection to one participant: our packets out, their audio tracks in.

    Either :meth:`offer` and then :meth:`accept`, or :meth:`answer`; then :meth:`close`. A call
    that failed is not mended; the next one replaces it. It fails, too, when nothing has come for
    five seconds.

    Args:
        call: Its id in the signalling messages.
        track: What we send.
        ice_servers: STUN and TURN servers.
        loopback: Offer 127.0.0.1 as well.
        on_incoming: Called with each remote audio track, before its first packet.
        on_state: Called when :attr:`connected` or :attr:`over` changed.
        excess: Where is counted what the other side sends beyond its bounds.
        bounds: Of what comes.
        arrivals: By whom its sockets are read; None reads each datagram as soon as it comes.
        codecs: What an answer takes, the best first.
    """

    def __init__(
        self,
        call: str,
        *,
        track: PacketTrack,
        ice_servers: Sequence[RTCIceServer],
        loopback: bool,
        on_incoming: Callable[[Incoming], None],
        on_state: Callable[[Call], None],
        excess: Excess,
        bounds: MediaBounds | None = None,
        codecs: Sequence[str] = CODECS,
        arrivals: Arrivals | None = None,
    ) -> None:
        self.id = call
        self.track = track
        self._on_incoming = on_incoming
        self._on_state = on_state
        self._excess = excess
        self._bounds = bounds or MediaBounds()
        self._codecs = codecs
        self._sections: list[Section] = []
        self._candidates = 0
        self._watcher: asyncio.Task[None] | None = None
        # An empty list, and not None, for which aiortc asks a STUN server on the internet.
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=list(ice_servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._connection.on("track", self._heard)
        self._connection.on("connectionstatechange", self._changed)
        # The sender is there from the first, so that what is published can come and go
        # without negotiating anew.
        self._transceiver = self._connection.addTransceiver(track, "sendrecv")
        tell_loss(self._transceiver.sender, track.report_loss)
        self._door = Door(
            ice_of(self._connection),
            loopback=loopback,
            bounds=self._bounds,
            excess=excess,
            take=direct_rtp(self._transceiver.receiver.transport, excess),
            arrivals=arrivals,
        )
        self._door.open()

    @property
    def connected(self) -> bool:
        return bool(self._connection.connectionState == "connected")

    @property
    def described(self) -> bool:
        """Whether the other side's description is here, so that candidates can be added."""
        return self._connection.remoteDescription is not None

    @property
    def over(self) -> bool:
        """The connection has failed, or the other side has closed it."""
        return self._connection.connectionState in ("failed", "closed")

    async def offer(self) -> str:
        """The SDP of an offer, with all candidates."""
        # What we send is encoded in Opus already, and every WebRTC endpoint has it (RFC 7874).
        _prefer(self._transceiver, ("opus",))
        guard(self._connection, self._bounds, self._excess)
        await self._connection.setLocalDescription()
        return spoken(self._connection.localDescription.sdp, nack=[True])

    async def answer(self, sdp: str) -> str:
        """The SDP of the answer to an offer, with all candidates.

        Raises:
            Exception: The offer is broken. aiortc raises whatever its parser runs into.
        """
        offered = self._read(sdp, tracks=self._bounds.tracks)
        if not set(self._codecs).intersection(self._sections[0].codecs.values()):
            raise DescriptionError(f"it has no audio in {', '.join(self._codecs)}")
        _prefer(self._transceiver, self._codecs)
        for _ in self._sections[1:]:
            _prefer(self._connection.addTransceiver("audio", "recvonly"), self._codecs)
        guard(self._connection, self._bounds, self._excess)
        if not self._sections[0].has_opus:
            self._transceiver.direction = "recvonly"
        await self._connection.setRemoteDescription(RTCSessionDescription(offered.sdp, "offer"))
        await self._add_candidates(offered)
        await self._connection.setLocalDescription()
        ours = spoken(
            self._connection.localDescription.sdp,
            nack=[bool(section.nack) for section in self._sections],
        )
        return offered.answered(ours)

    async def accept(self, sdp: str) -> None:
        """Take in the answer to our offer.

        Raises:
            Exception: As for :meth:`answer`.
        """
        answered = self._read(sdp, tracks=1)
        if not self._sections[0].has_opus:
            self._transceiver.sender.replaceTrack(None)
        await self._connection.setRemoteDescription(RTCSessionDescription(answered.sdp, "answer"))
        await self._add_candidates(answered)

    async def add_candidate(self, candidate: object) -> None:
        """Take in one more address of the other side, an ``RTCIceCandidate`` as JSON; None, or
        one that is empty, says that there are no more. One that is broken or one too many is
        left out.

        Raises:
            Exception: It comes before the description.
        """
        text = candidate.get("candidate") if isinstance(candidate, dict) else candidate
        if text is None or text == "":
            await self._connection.addIceCandidate(None)
        else:
            await self._add(text)

    async def close(self) -> None:
        """End the call. Never raises."""
        if self._watcher is not None:
            self._watcher.cancel()
        await close_connection(self._connection, self._door)

    def _read(self, sdp: str, *, tracks: int) -> Description:
        description = Description(sdp, tracks=tracks)
        if description.surplus:
            self._excess.add(f"audio sections, more than {tracks}", description.surplus)
        self._sections = description.taken
        return description

    async def _add_candidates(self, description: Description) -> None:
        # Together, since names (of mDNS) have to be looked up.
        await asyncio.gather(*map(self._add, description.candidates[: MAX_CANDIDATES + 1]))
        if description.complete:
            await self._connection.addIceCandidate(None)

    async def _add(self, text: object) -> None:
        self._candidates += 1
        if self._candidates > MAX_CANDIDATES:
            self._excess.add(f"candidates, more than {MAX_CANDIDATES} of a call")
            return
        parsed = parsed_candidate(text)
        if parsed is None:
            self._excess.add("candidates that are broken")
        elif parsed.component == 1 and parsed.protocol.lower() == "udp":
            # All sections share one transport, whichever the candidate was found for.
            parsed.sdpMid = self._transceiver.mid
            await self._connection.addIceCandidate(parsed)

    def _heard(self, track: RemoteStreamTrack) -> None:
        for number, transceiver in enumerate(self._connection.getTransceivers()):
            if transceiver.receiver.track is track:
                codecs = codecs_of(transceiver)
                nack = self._sections[number].nack.intersection(codecs)
                take_dropped = self._door.take_dropped
                self._on_incoming(
                    Incoming(transceiver.receiver, codecs, bool(nack), self._excess, take_dropped)
                )

    def _changed(self) -> None:
        if self.connected and self._watcher is None:
            loop = asyncio.get_running_loop()
            self._watcher = loop.create_task(self._door.watch_path())
        self._on_state(self)


def _prefer(transceiver: RTCRtpTransceiver, codecs: Sequence[str]) -> None:
    known = {codec.name.lower(): codec for codec in RTCRtpSender.getCapabilities("audio").codecs}
    transceiver.setCodecPreferences([known[codec] for codec in codecs])


def parsed_candidate(text: object) -> RTCIceCandidate | None:
    """A candidate, with or without ``candidate:`` in front; None if it is none."""
    if not isinstance(text, str) or len(text) > MAX_CANDIDATE_BYTES:
        return None
    try:
        candidate = candidate_from_sdp(text.removeprefix("candidate:"))
    except (ValueError, AssertionError, IndexError):
        return None
    return candidate if 0 < candidate.port < 65536 else None
