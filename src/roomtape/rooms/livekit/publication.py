"""The peer connection over which we send our audio to a LiveKit server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from ..rtp.aiortc_guards import guard
from ..rtp.aiortc_internals import ice_of, tell_loss
from ..rtp.bounds import Excess, MediaBounds
from ..rtp.closing import close_connection
from ..rtp.datagrams.aioice_internals import Door
from ..rtp.send import PacketTrack
from .candidates import Candidates
from .description import ServerOffer

logger = logging.getLogger(__name__)


class Publication:
    """Sends one track. :meth:`offer`, then :meth:`accept`, then :meth:`close`; it is not mended.

    Args:
        track: What is sent.
        relays, loopback, on_state, excess: As for :class:`~.subscriber.Subscriber`.
    """

    def __init__(
        self,
        track: PacketTrack,
        *,
        relays: Sequence[RTCIceServer],
        loopback: bool,
        on_state: Callable[[], None],
        excess: Excess,
    ) -> None:
        self.track = track
        self._on_state = on_state
        self._excess = excess
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=list(relays), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._connection.on("connectionstatechange", self._changed)
        self._transceiver = self._connection.addTransceiver(track, "sendonly")
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        self._transceiver.setCodecPreferences([each for each in codecs if each.name == "opus"])
        tell_loss(self._transceiver.sender, track.report_loss)
        bounds = MediaBounds()
        self._door = Door(ice_of(self._connection), loopback=loopback, bounds=bounds, excess=excess)
        self._door.open()
        guard(self._connection, bounds, excess)
        self._candidates = Candidates(self._connection, excess)
        self._watcher: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """The connection has failed, or the server has closed it."""
        return self._connection.connectionState in ("failed", "closed")

    async def offer(self) -> str:
        """The SDP of the offer, with all candidates."""
        await self._connection.setLocalDescription()
        sdp: str = self._connection.localDescription.sdp
        return sdp

    async def accept(self, sdp: str) -> None:
        """Take in the answer.

        Raises:
            OfferError: It is broken.
            Exception: aiortc raises whatever its parser runs into.
        """
        answer = ServerOffer(sdp)
        await self._connection.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        await self._candidates.described(self._transceiver.mid or "0", answer.candidates)

    async def add_candidate(self, text: str) -> None:
        """Take in one more address of the server. One that is broken or too many is left out."""
        await self._candidates.add(text)

    async def close(self) -> None:
        """End it. Never raises."""
        if self._watcher is not None:
            self._watcher.cancel()
        await close_connection(self._connection, self._door)

    def _changed(self) -> None:
        if self._connection.connectionState == "connected" and self._watcher is None:
            loop = asyncio.get_running_loop()
            self._watcher = loop.create_task(self._door.watch_path())
        self._on_state()
