"""One stay on a LiveKit server: its WebSocket, and the connections for the audio."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiortc import RTCIceServer

from ...server.addresses import is_loopback
from ..rtp.bounds import Excess
from ..rtp.receive import Incoming, RemoteAudio
from ..rtp.send import PacketTrack
from ..rtp.sender_clocks import SenderClocks
from . import wire
from .access import Access
from .description import OfferError
from .publication import Publication
from .signalling import Signalling
from .subscriber import Subscriber

logger = logging.getLogger(__name__)

CONNECT_WITHIN_S = 15.0
"""Until the audio can come; a server that is reached by its address needs a tenth of a second."""
MAX_INBOX = 2048
"""Messages that may wait: everybody in a large room coming at once."""


@dataclass(frozen=True)
class LinkEvents:
    """Whom a link tells; none of them raises.

    Attributes:
        on_update: What the server says of participants.
        on_track: As for :class:`~.subscriber.Subscriber`.
        on_not_allowed: A track that cannot be heard.
        on_token: A newer token for coming back.
        on_over: It is over, once: the link, why, and whether it may be joined again.
    """

    on_update: Callable[[Sequence[wire.Participant]], None]
    on_track: Callable[[str, Incoming], RemoteAudio | None]
    on_not_allowed: Callable[[wire.NotAllowed], None]
    on_token: Callable[[str], None]
    on_over: Callable[[Link, str, bool], None]


class Link:
    """:meth:`open`, then :meth:`begin`, then :meth:`close`. It is not mended: another takes its
    place, and until then its audio goes on, if it can.

    Args:
        access: The server.
        events: Whom to tell, from :meth:`begin` on.
        excess: Where is counted what the server sends beyond its bounds.
        clocks: As for :class:`~.subscriber.Subscriber`.
    """

    def __init__(
        self, access: Access, events: LinkEvents, excess: Excess, clocks: SenderClocks | None = None
    ) -> None:
        self._access = access
        self._events = events
        self._excess = excess
        self._clocks = clocks
        self._loop = asyncio.get_running_loop()
        self._signalling = Signalling(
            access, on_message=self._put, on_lost=self._lost, excess=excess
        )
        self._inbox: asyncio.Queue[wire.Message] = asyncio.Queue()
        self._subscriber: Subscriber | None = None
        self._publication: Publication | None = None
        self._sending: PacketTrack | None = None
        self._published = ""
        self._muted = False
        self._joined: wire.Joined | None = None
        self._relays: list[RTCIceServer] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._over = self._closed = False
        self.flowed = False
        """Whether audio could come at any time."""

    @property
    def flows(self) -> bool:
        """Audio can come."""
        return self._subscriber is not None and self._subscriber.connected

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel dropped because this process did not take them in time."""
        return 0 if self._subscriber is None else self._subscriber.dropped

    async def open(self, token: str) -> wire.Joined:
        """Join.

        Raises:
            RoomError: As :meth:`~.signalling.Signalling.join`.
        """
        joined = await self._signalling.join(token)
        self._joined = joined
        self._relays = [
            RTCIceServer(list(relay.urls), relay.username, relay.credential)
            for relay in joined.relays
        ]
        self._subscriber = Subscriber(
            relays=self._relays,
            loopback=is_loopback(self._access.host),
            on_track=self._events.on_track,
            on_state=self._changed,
            excess=self._excess,
            clocks=self._clocks,
        )
        return joined

    def take_waiting(self) -> None:
        """Take all audio that has come."""
        if self._subscriber is not None:
            self._subscriber.take_waiting()

    def begin(self) -> None:
        """Deal with what the server says from now on."""
        self._tasks.append(self._loop.create_task(self._work()))
        self._timer = self._loop.call_later(CONNECT_WITHIN_S, self._expire)

    def send(self, request: bytes) -> None:
        self._signalling.send(request)

    def publish(self, track: PacketTrack, *, muted: bool) -> None:
        """Send ``track``. Call it once."""
        assert self._joined is not None
        if not self._joined.may_publish:
            logger.warning(
                "the token does not allow to publish: the others do not hear the local audio"
            )
            return
        self._sending, self._muted = track, muted
        self.send(wire.add_track(track.id, muted=muted))

    def set_muted(self, muted: bool) -> None:
        """Say that what we send is muted, or no longer."""
        if muted is not self._muted:
            self._muted = muted
            if self._published:
                self.send(wire.mute(self._published, muted))

    def say(self, attributes: Mapping[str, str]) -> None:
        """Tell the others this of ourselves, if the token allows it."""
        if self._joined is not None and self._joined.may_say and attributes:
            self.send(wire.say(attributes))

    def retire(self) -> None:
        """Tell nothing any more: another link has taken its place. What comes of its audio is
        still taken in, until that is told to go elsewhere."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    async def close(self, *, goodbye: bool = True) -> None:
        """End it. Any number of times; never raises."""
        self.retire()
        with contextlib.suppress(Exception):
            await self._signalling.leave(goodbye=goodbye)
        if self._closed:
            return
        self._closed = True
        ends = (self._subscriber, self._publication)
        await asyncio.gather(*(end.close() for end in ends if end is not None))

    def _put(self, message: wire.Message) -> None:
        if self._inbox.qsize() >= MAX_INBOX:
            self._end("the server says more than can be taken in", again=True)
        else:
            self._inbox.put_nowait(message)

    async def _work(self) -> None:
        while True:
            message = await self._inbox.get()
            try:
                await self._handle(message)
            except Exception as error:
                # aiortc's parser raises whatever it runs into on a broken description.
                logger.debug("a message could not be dealt with", exc_info=True)
                why = str(error) if isinstance(error, OfferError) else type(error).__name__
                self._end(f"what the server offers cannot be taken: {why}", again=True)
                return

    async def _handle(self, message: wire.Message) -> None:
        assert self._subscriber is not None
        publication = self._publication
        self.take_waiting()  # it was sent before
        match message:
            case wire.Update():
                self._events.on_update(message.participants)
            case wire.Offer():
                sdp = await self._subscriber.answer(message.sdp)
                self.send(wire.answer(sdp, message.id))
            case wire.Candidate(receiving=True):
                await self._subscriber.add_candidate(message.text)
            case wire.Published() if self._sending and message.cid == self._sending.id:
                await self._send_audio(self._sending, message.sid)
            case wire.Answer() if publication is not None:
                await publication.accept(message.sdp)
            case wire.Candidate() if publication is not None:
                await publication.add_candidate(message.text)
            case wire.Renewed():
                self._events.on_token(message.token)
            case wire.NotAllowed():
                self._events.on_not_allowed(message)
            case wire.Leave():
                self._end(message.reason, again=message.again)
            case wire.Alien():
                self._end(
                    f"{self._access.place} {message.what}, which is not supported", again=False
                )

    async def _send_audio(self, track: PacketTrack, sid: str) -> None:
        if self._publication is not None:
            return
        muted_before = self._muted
        self._published = sid
        self._publication = Publication(
            track,
            relays=self._relays,
            loopback=is_loopback(self._access.host),
            on_state=self._changed,
            excess=self._excess,
        )
        self.send(wire.mute(sid, muted_before))
        self.send(wire.offer(await self._publication.offer(), 1))

    def _changed(self) -> None:
        ends = (self._subscriber, self._publication)
        if self.flows:
            self.flowed = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if any(end is not None and end.over for end in ends):
            self._end("the connection for the audio broke off", again=True)

    def _expire(self) -> None:
        self._timer = None
        self._end(
            f"no way was found for the audio within {CONNECT_WITHIN_S:.0f} s: is UDP blocked?",
            again=True,
        )

    def _lost(self, reason: str) -> None:
        # What it said last may say why.
        while not self._inbox.empty():
            message = self._inbox.get_nowait()
            if isinstance(message, wire.Leave):
                self._end(message.reason, again=message.again)
        self._end(reason, again=True)

    def _end(self, reason: str, *, again: bool) -> None:
        if not self._over:
            self._over = True
            self._events.on_over(self, reason, again)
