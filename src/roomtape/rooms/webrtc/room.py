"""A room of the embedded server: several participants, each connected to each, over aiortc.

The server only introduces participants to each other (:mod:`.signalling`); the audio flows
between them (:mod:`.peer`). So a dropped WebSocket, and even a restarted server, is
mended without a gap in the audio.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from aiortc import RTCIceServer

from ...media.local_audio import LocalAudio
from ...server.addresses import is_loopback
from ...types.errors import StateError
from ..base import Room, RoomListener
from ..guarded import GuardedListener
from ..rtp.datagrams.arrivals import Arrivals
from ..rtp.send import Publisher
from .messages import Message, ice_servers_of
from .peer import Peer, PeerContext
from .signalling import Signalling, signalling_url

logger = logging.getLogger(__name__)

REAPPEAR_WITHIN_S = 6.0
"""How long a participant is kept that a restarted server does not know yet; longer while we are
connected to it, since the call does not need the server."""


class WebRtcRoom(Room):
    """A room of the server at ``url``.

    Args:
        url: The room server, as ``http://127.0.0.1:8080``.
        ice_servers: STUN and TURN servers, needed only where participants cannot reach each
            other directly. They come before those that the room server names; where neither names
            one, none is ever asked. aiortc uses the first of each kind.

    Raises:
        ConfigurationError: The URL is not one.
    """

    def __init__(self, url: str, *, ice_servers: Sequence[RTCIceServer] = ()) -> None:
        host = signalling_url(url).host or ""
        self._url = url
        self._own_ice_servers = tuple(ice_servers)
        self._ice_servers = list(ice_servers)
        self._loopback = is_loopback(host)
        self._listener: RoomListener | None = None
        self._signalling: Signalling | None = None
        self._publisher = Publisher(self._published_muted)
        self._context: PeerContext | None = None
        self._peers: dict[str, Peer] = {}
        # Who has the name of somebody to whom we are still connected, from before a restart.
        self._claims: dict[str, Message] = {}
        self._arrivals = Arrivals()
        self._number = 0
        self._server: str | None = None
        self._joining: dict[str, Any] = {}
        self._muted = True
        self._recording = False
        self._asks = False
        self._agrees: bool | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None

    async def join(
        self,
        *,
        token: str | None,
        channel: str,
        uid: str,
        listener: RoomListener,
        local_audio: LocalAudio | None,
    ) -> None:
        if self._signalling is not None:
            raise StateError("the room is joined already: leave() first")
        await self._closed()
        self._joining = {"room": channel, "uid": uid, "token": token}
        self._listener = GuardedListener(listener)
        self._recording, self._asks, self._agrees = False, False, None
        self._server = None
        self._signalling = signalling = Signalling(
            self._url,
            hello=self._hello,
            on_welcome=self._welcomed,
            on_message=self._told,
            on_lost=self._lost,
            media_flows=self._media_flows,
        )
        self._context = PeerContext(
            self._listener,
            self._publisher,
            signalling.send,
            self._spawn,
            self._ice_servers,
            self._loopback,
            self._arrivals,
        )
        self._publisher.publish(local_audio)
        try:
            await signalling.join()
        except BaseException:
            self._signalling = None
            self._publisher.publish(None)
            raise

    def hand_out_waiting(self) -> None:
        self._arrivals.take_waiting()

    async def leave(self) -> None:
        await self._close("left")
        await self._closed()

    async def publish(self, local_audio: LocalAudio | None) -> None:
        self._publisher.publish(local_audio)

    async def set_muted(self, muted: bool) -> None:
        self._published_muted(muted)

    async def set_recording(self, recording: bool) -> None:
        if recording != self._recording:
            self._recording = recording
            self._tell({"type": "state", "recording": recording})

    async def ask_consent(self, asks: bool) -> None:
        if asks != self._asks:
            self._asks = asks
            self._tell({"type": "state", "asks": asks})

    async def say_consent(self, agrees: bool) -> None:
        if agrees != self._agrees:
            self._agrees = agrees
            self._tell({"type": "state", "agrees": agrees})

    def _published_muted(self, muted: bool) -> None:
        if muted != self._muted:
            self._muted = muted
            self._tell({"type": "state", "muted": muted})

    def _tell(self, message: Message) -> None:
        # Until the welcome, the join message tells it.
        if self._signalling is not None and self._server is not None:
            self._signalling.send(message)

    def _hello(self) -> dict[str, Any]:
        state = {"muted": self._muted, "recording": self._recording}
        return {**self._joining, **state, "asks": self._asks, "agrees": self._agrees}

    def _media_flows(self) -> bool:
        return any(peer.connected for peer in self._peers.values())

    def _welcomed(self, welcome: Message) -> None:
        # In place: peers take them from here, call by call.
        self._ice_servers[:] = [*self._own_ice_servers, *ice_servers_of(welcome)]
        restarted = self._server is not None and welcome["server"] != self._server
        if self._server is not None and not restarted and not welcome["resumed"]:
            # The server gave our seat up, and the others gave us up.
            for peer in tuple(self._peers.values()):
                self._remove(peer, "connection lost")
        self._server = welcome["server"]
        self._number = welcome["number"]
        self._claims.clear()
        present = {participant["session"] for participant in welcome["participants"]}
        missing = [peer for peer in self._peers.values() if peer.session not in present]
        if restarted and missing:
            # They have to find the server again, as we had; the audio flows meanwhile.
            loop = asyncio.get_running_loop()
            loop.call_later(REAPPEAR_WITHIN_S, self._remove_missing, missing)
        else:
            for peer in missing:
                self._remove(peer, "left")
        for participant in welcome["participants"]:
            self._admit(participant)

    def _told(self, message: Message) -> None:
        self._arrivals.take_waiting()  # it was sent before
        match message.get("type"):
            case "joined":
                self._admit(message["participant"])
            case "left":
                claim = self._claims.get(message["uid"])
                if claim is not None and claim["session"] == message["session"]:
                    del self._claims[message["uid"]]
                peer = self._peers.get(message["uid"])
                if peer is not None and peer.session == message["session"]:
                    self._remove(peer, message["reason"])
            case "state":
                peer = self._peers.get(message["participant"]["uid"])
                if peer is not None and peer.session == message["participant"]["session"]:
                    peer.update(message["participant"])
            case "offer" | "answer" | "candidate":
                peer = self._peers.get(message["from"])
                if peer is not None:
                    peer.deliver(message)
            case "error":
                logger.warning("the room server: %s", message.get("message"))

    def _admit(self, participant: Message) -> None:
        """Somebody is here: new, or known and back after a restart of the server."""
        assert self._listener is not None
        assert self._context is not None
        assert self._server is not None
        uid = participant["uid"]
        offers = self._number > participant["number"]
        peer = self._peers.get(uid)
        if peer is not None and peer.session != participant["session"]:
            if peer.connected and peer.server != self._server:
                # It has not found the server again yet, or may not; and we hear it.
                self._claims[uid] = participant
                return
            self._remove(peer, "replaced")
            peer = None
        if peer is None:
            peer = self._peers[uid] = Peer(
                self._context, participant, offers=offers, server=self._server
            )
            self._listener.on_participant_joined(uid)
            if peer.recording:
                self._listener.on_participant_recording(uid, True)
            if peer.agrees is not None:
                self._listener.on_participant_consent(uid, peer.agrees)
        else:
            peer.offers = offers
            peer.server = self._server
            peer.update(participant)
        peer.connect()

    def _remove(self, peer: Peer, reason: str) -> None:
        if self._peers.get(peer.uid) is not peer:
            return
        assert self._listener is not None
        del self._peers[peer.uid]
        peer.close()
        self._listener.on_participant_left(peer.uid, reason)
        claim = self._claims.pop(peer.uid, None)
        if claim is not None:
            self._admit(claim)

    def _remove_missing(self, missing: list[Peer]) -> None:
        kept = []
        for peer in missing:
            if self._peers.get(peer.uid) is not peer or peer.server == self._server:
                continue  # It has left, or it is back.
            if peer.connected:
                kept.append(peer)
            else:
                self._remove(peer, "connection lost")
        if kept:
            loop = asyncio.get_running_loop()
            loop.call_later(REAPPEAR_WITHIN_S, self._remove_missing, kept)

    def _lost(self, reason: str) -> None:
        self._closing = asyncio.get_running_loop().create_task(self._close(reason))

    async def _close(self, reason: str) -> None:
        signalling, self._signalling = self._signalling, None
        if signalling is None:
            return
        listener = self._listener
        assert listener is not None
        self._publisher.publish(None)
        self._claims.clear()
        for peer in tuple(self._peers.values()):
            self._remove(peer, reason)
        await signalling.leave()
        if self._tasks:
            await asyncio.wait(self._tasks)
        listener.on_closed(reason)

    async def _closed(self) -> None:
        """Wait until a room that was lost is closed."""
        if self._closing is not None:
            await asyncio.wait([self._closing])

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
