"""One RTCPeerConnection, from the offer to the end."""

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
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.sdp import candidate_from_sdp

from .aiortc_internals import gather_on_loopback
from .send import PacketTrack

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 3.0


class Call:
    """A media connection to one participant: our packets out, their audio tracks in.

    Either :meth:`offer` and then :meth:`accept`, or :meth:`answer`; then :meth:`close`. A call
    that failed is not mended; the next one replaces it.

    Args:
        call: Its id in the signalling messages.
        track: What we send.
        ice_servers: STUN and TURN servers.
        loopback: Offer 127.0.0.1 as well.
        on_receiver: Called with the receiver of each remote audio track, before its first packet.
        on_state: Called when :attr:`connected` or :attr:`over` changed.
    """

    def __init__(
        self,
        call: str,
        *,
        track: PacketTrack,
        ice_servers: Sequence[RTCIceServer],
        loopback: bool,
        on_receiver: Callable[[RTCRtpReceiver], None],
        on_state: Callable[[Call], None],
    ) -> None:
        self.id = call
        self._on_receiver = on_receiver
        self._on_state = on_state
        self._loopback = loopback
        # An empty list, and not None, for which aiortc asks a STUN server on the internet.
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=list(ice_servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._connection.on("track", self._heard)
        self._connection.on("connectionstatechange", self._changed)
        # The sender is there from the first, so that what is published can come and go
        # without negotiating anew.
        transceiver = self._connection.addTransceiver(track, "sendrecv")
        _only_opus(transceiver)
        self.track = track

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
        await self._describe_locally()
        return str(self._connection.localDescription.sdp)

    async def answer(self, sdp: str) -> str:
        """The SDP of the answer to an offer, with all candidates.

        Raises:
            Exception: The offer is broken. aiortc raises whatever its parser runs into.
        """
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        for transceiver in self._connection.getTransceivers():
            if transceiver.kind != "audio":
                transceiver.direction = "inactive"
        await self._describe_locally()
        return str(self._connection.localDescription.sdp)

    async def accept(self, sdp: str) -> None:
        """Take in the answer to our offer.

        Raises:
            Exception: As for :meth:`answer`.
        """
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def add_candidate(self, candidate: dict[str, Any] | None) -> None:
        """Take in one more address of the other side; None says that there are no more.

        Raises:
            Exception: It is broken, or comes before the description.
        """
        text = str(candidate.get("candidate") or "") if candidate else ""
        if candidate is None or not text:
            await self._connection.addIceCandidate(None)
            return
        parsed = candidate_from_sdp(text.removeprefix("candidate:"))
        parsed.sdpMid = candidate.get("sdpMid")
        parsed.sdpMLineIndex = candidate.get("sdpMLineIndex")
        await self._connection.addIceCandidate(parsed)

    async def close(self) -> None:
        """End the call. Never raises."""
        self._connection.remove_all_listeners()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._connection.close()
        except TimeoutError:
            logger.warning("a connection took more than %.0f s to close", CLOSE_TIMEOUT_S)

    async def _describe_locally(self) -> None:
        if self._loopback:
            gather_on_loopback(self._connection)
        await self._connection.setLocalDescription()

    def _heard(self, track: RemoteStreamTrack) -> None:
        for transceiver in self._connection.getTransceivers():
            if transceiver.receiver.track is track and track.kind == "audio":
                self._on_receiver(transceiver.receiver)

    def _changed(self) -> None:
        self._on_state(self)


def _only_opus(transceiver: RTCRtpTransceiver) -> None:
    """What we send is encoded in Opus already, and every WebRTC endpoint has it (RFC 7874)."""
    capabilities = RTCRtpSender.getCapabilities("audio")
    transceiver.setCodecPreferences(
        [codec for codec in capabilities.codecs if codec.mimeType == "audio/opus"]
    )
