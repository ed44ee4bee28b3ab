"""One other participant of a room, and the calls we have with it, one at a time."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiortc import RTCIceServer

from ...types import NS_PER_S, AudioFrame
from ..base import RoomListener
from ..rtp.bounds import MAX_OFFERS, OFFERS_A_SECOND, Excess, TokenBucket
from ..rtp.datagrams.arrivals import Arrivals
from ..rtp.receive import Incoming, RemoteAudio
from ..rtp.send import Publisher
from .call import Call
from .messages import agreement_of

logger = logging.getLogger(__name__)

CONNECT_WITHIN_S = 10.0
"""An offer that has led to nothing after this time is made anew."""
RETRY_DELAYS_S = (0.5, 1.0, 2.0, 4.0)
MAX_EARLY = 64
"""Candidates kept until the answer that they belong to is here."""
MAX_INBOX = 128
"""Signalling messages of one participant that may wait; a call takes some ten."""
TURN_S = 0.025
"""A call takes some 10 ms to set up."""

Message = dict[str, Any]


class Turns:
    """Lets one after the other begin, with time for everybody's audio in between."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def wait(self) -> None:
        async with self._lock:
            await asyncio.sleep(TURN_S)


@dataclass(frozen=True)
class PeerContext:
    """What every peer of a room shares.

    Attributes:
        listener: Is told of tracks and audio; never raises.
        publisher: Where our own packets come from.
        send: Sends a signalling message.
        spawn: Runs something in the background that the room waits for when it closes.
        ice_servers, loopback, arrivals: As for :class:`~.call.Call`.
        turns: Of the peers at setting calls up, which is hard work.
    """

    listener: RoomListener
    publisher: Publisher
    send: Callable[[Message], None]
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    ice_servers: Sequence[RTCIceServer]
    loopback: bool
    arrivals: Arrivals
    turns: Turns = field(default_factory=Turns)


class Peer:
    """Keeps a call with one participant going for as long as it is in the room.

    Whoever came later makes the offers (``offers``), so both sides never offer at once; who came
    earlier takes whatever offer comes. A call that fails is replaced, and its tracks end.

    :meth:`deliver` takes signalling messages in; they are dealt with one after the other.

    Attributes:
        server: The instance of the room server that told of the participant last.
    """

    def __init__(
        self, context: PeerContext, participant: Message, *, offers: bool, server: str
    ) -> None:
        self.uid: str = participant["uid"]
        self.session: str = participant["session"]
        self.offers = offers
        self.server = server
        self.muted = bool(participant["muted"])
        self.recording = bool(participant["recording"])
        self.agrees = agreement_of(participant)
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._call: Call | None = None
        self._tracks: dict[str, RemoteAudio] = {}
        self._track_numbers = itertools.count(1)
        self._early: deque[Message] = deque(maxlen=MAX_EARLY)
        self._inbox: deque[Message | None] = deque()
        self._arrived = asyncio.Event()
        self._offers = TokenBucket(MAX_OFFERS, OFFERS_A_SECOND)
        self._excess = Excess(self.uid)
        self._timer: asyncio.TimerHandle | None = None
        self._retries = iter(RETRY_DELAYS_S)
        self._failed = False
        """Connecting has failed since it worked last, which is told once."""
        self._worker = self._loop.create_task(self._work())

    @property
    def connected(self) -> bool:
        return self._call is not None and self._call.connected

    def connect(self) -> None:
        """See to it that there is a call: make an offer if that is ours to do."""
        if self.offers and not self.connected:
            self._put(None)

    def deliver(self, message: Message) -> None:
        """Take in an offer, an answer or a candidate of this participant."""
        self._put(message)

    def update(self, participant: Message) -> None:
        """Take in what the server says of the participant, and tell what changed."""
        muted, recording = bool(participant["muted"]), bool(participant["recording"])
        if muted != self.muted:
            self.muted = muted
            for track in self._tracks:
                self._context.listener.on_muted(self.uid, track, muted)
        if recording != self.recording:
            self.recording = recording
            self._context.listener.on_participant_recording(self.uid, recording)
        agrees = agreement_of(participant)
        if agrees is not None and agrees != self.agrees:
            self.agrees = agrees
            self._context.listener.on_participant_consent(self.uid, agrees)

    def close(self) -> None:
        """End everything; the listener hears nothing of the participant after this."""
        self._set_timer(None)
        self._worker.cancel()
        self._end_call()

    def _put(self, message: Message | None) -> None:
        if message is not None and message["type"] == "offer":
            # What came before belongs to a call that is over with this.
            offers = sum(each is not None and each["type"] == "offer" for each in self._inbox)
            self._inbox = deque(each for each in self._inbox if each is None)
            if offers:
                self._excess.add("offers", offers)
        if len(self._inbox) >= MAX_INBOX:
            self._excess.add("signalling messages")
            return
        self._inbox.append(message)
        self._arrived.set()

    async def _work(self) -> None:
        while True:
            while not self._inbox:
                self._arrived.clear()
                await self._arrived.wait()
            await self._wait_for_leave(self._inbox[0])
            message = self._inbox.popleft()
            try:
                if message is None:
                    await self._offer()
                else:
                    await self._handle(message)
            except Exception as error:
                # aiortc's parser raises whatever it runs into on a broken description.
                level = logging.DEBUG if self._failed else logging.WARNING
                self._failed = True
                logger.log(level, "connecting to %r failed: %r", self.uid, error)
                self._end_call()
                self._retry_later()

    async def _wait_for_leave(self, message: Message | None) -> None:
        """Until the next message may be dealt with. Meanwhile another may take its place."""
        if message is None or message["type"] == "candidate":
            return
        if message["type"] == "offer":
            now_ns = time.monotonic_ns()
            await asyncio.sleep(self._offers.wait_ns(now_ns) / NS_PER_S)
            self._offers.take(time.monotonic_ns())
        await self._context.turns.wait()

    async def _offer(self) -> None:
        if self.connected:
            return
        call = self._new_call(secrets.token_urlsafe(8))
        self._set_timer(CONNECT_WITHIN_S)
        self._send(call, {"type": "offer", "sdp": await call.offer()})

    async def _handle(self, message: Message) -> None:
        if message["type"] == "offer":
            call = self._new_call(message["call"])
            self._send(call, {"type": "answer", "sdp": await call.answer(message["sdp"])})
            return
        call_now = self._call
        if call_now is None or message["call"] != call_now.id:
            return  # It belongs to a call that was given up.
        if message["type"] == "answer":
            await call_now.accept(message["sdp"])
            while self._early:
                await call_now.add_candidate(self._early.popleft()["candidate"])
        elif call_now.described:
            await call_now.add_candidate(message["candidate"])
        else:
            self._early.append(message)

    def _new_call(self, call_id: str) -> Call:
        self._end_call()
        track = self._context.publisher.add_track()
        self._call = Call(
            call_id,
            track=track,
            ice_servers=self._context.ice_servers,
            loopback=self._context.loopback,
            on_incoming=self._add_track,
            on_state=self._call_changed,
            excess=self._excess,
            arrivals=self._context.arrivals,
        )
        return self._call

    def _end_call(self) -> None:
        self._context.arrivals.take_waiting()
        call, self._call = self._call, None
        self._early.clear()
        for name in tuple(self._tracks):
            self._end_track(name)
        if call is not None:
            self._context.publisher.remove_track(call.track)
            self._context.spawn(call.close())

    def _call_changed(self, call: Call) -> None:
        if call is not self._call:
            return
        if call.connected:
            self._set_timer(None)
            self._retries = iter(RETRY_DELAYS_S)
            self._failed = False
        elif call.over:
            logger.info("the call with %r broke off", self.uid)
            for name in tuple(self._tracks):
                self._end_track(name)
            self._retry_later()

    def _retry_later(self) -> None:
        if self.offers:
            self._set_timer(next(self._retries, RETRY_DELAYS_S[-1]))

    def _set_timer(self, delay_s: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if delay_s is None else self._loop.call_later(delay_s, self.connect)

    def _send(self, call: Call, message: Message) -> None:
        self._context.send({**message, "to": self.uid, "call": call.id})

    def _add_track(self, incoming: Incoming) -> None:
        name = f"audio{next(self._track_numbers)}"
        listener, uid = self._context.listener, self.uid

        def on_frame(frame: AudioFrame) -> None:
            listener.on_audio(uid, name, frame)

        self._tracks[name] = RemoteAudio(incoming, on_frame, lambda: self._end_track(name))
        if self.muted:
            listener.on_muted(uid, name, True)

    def _end_track(self, name: str) -> None:
        track = self._tracks.pop(name, None)
        if track is not None:
            track.close()
            self._context.listener.on_track_ended(self.uid, name)
