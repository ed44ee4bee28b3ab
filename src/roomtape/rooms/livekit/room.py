"""A room of a LiveKit server, joined with aiortc, so that the times of what is heard are true.

The server forwards everybody's audio, unmixed, with its own numbers and timestamps. A
:class:`~.link.Link` is one stay there. When it breaks off (a network, a restarted server, a node
that died) the room is joined again under the same name, and everybody goes on where they were: what
did not come meanwhile is a hole of the right name in the recording.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Iterable, Mapping, Sequence

from ...media.local_audio import LocalAudio
from ...types.errors import RoomError, RoomRefusedError, StateError
from ..attributes import AGREES, ASKS, RECORDING
from ..base import Room, RoomListener
from ..guarded import GuardedListener
from ..rtp.bounds import Excess
from ..rtp.receive import Incoming, RemoteAudio
from ..rtp.send import PacketTrack, Publisher
from ..rtp.sender_clocks import SenderClocks
from . import wire
from .access import Access
from .link import Link, LinkEvents
from .roster import Roster

logger = logging.getLogger(__name__)

COME_BACK_WITHIN_S = 60.0
"""How long it is tried to join again while nothing is heard. After the death of a node that takes a
moment, after a restart a second; a service that is being renewed may take half a minute."""
DELAYS_S = (0.0, 0.2, 0.5, 1.0, 2.0)
"""The last one goes on ..."""
SETTLED_S = 10.0
"""... until a link has lasted for so long."""


class State(enum.Enum):
    """Where we are."""

    OUT = "out"
    JOINING = "joining"
    IN = "in"
    AWAY = "away"
    """The link broke off; joining again."""
    LEAVING = "leaving"


FOLLOWS: dict[State, frozenset[State]] = {
    State.OUT: frozenset({State.JOINING}),
    State.JOINING: frozenset({State.IN, State.OUT}),
    State.IN: frozenset({State.AWAY, State.LEAVING}),
    State.AWAY: frozenset({State.IN, State.LEAVING}),
    State.LEAVING: frozenset({State.OUT}),
}


class LiveKitRoom(Room):
    """A room of the LiveKit server at ``url``. Only audio is asked for.

    Args:
        url: As ``ws://127.0.0.1:7880`` or ``wss://rooms.example.org``. Default: ``LIVEKIT_URL``.
        token: Lets one participant into one room; the token of ``join`` comes before it. Without
            either, tokens are made with the key.
        api_key, api_secret: Of the server. Default: ``LIVEKIT_API_KEY`` and
            ``LIVEKIT_API_SECRET``.
        hidden: Be in the room without being seen, as a recorder: clients show that the room is
            recorded. Only where tokens are made here; a hidden participant publishes nothing.
        trust_clocks: The wall clocks of all who speak agree (NTP; no browsers): place what they say
            by these, so that who has the slower network stands no later than the others.

    Raises:
        ConfigurationError: The URL is missing, or not one.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        api_key: str | None = None,
        api_secret: str | None = None,
        hidden: bool = False,
        trust_clocks: bool = False,
    ) -> None:
        self._access = Access(
            url, token=token, api_key=api_key, api_secret=api_secret, hidden=hidden
        )
        self._state = State.OUT
        self._listener: RoomListener | None = None
        self._link: Link | None = None
        self._roster: Roster | None = None
        self._excess = Excess(self._access.place)
        self._clocks = SenderClocks() if trust_clocks else None
        self._publisher = Publisher(self._published_muted)
        self._track: PacketTrack | None = None
        self._publishing = False
        self._muted = True
        self._said: dict[str, str] = {}
        """What the others are to know of us: see :mod:`..attributes`."""
        self._channel = self._uid = self._life = ""
        self._token: str | None = None
        self._coming_back: asyncio.Task[None] | None = None
        self._delays = iter(DELAYS_S)
        self._joined_s = 0.0  # when, by the event loop's clock ...
        self._heard_s = 0.0  # ... and until when audio could come
        self._closing: asyncio.Task[None] | None = None
        self._retired: set[asyncio.Task[None]] = set()
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel dropped because this process did not take them in time, in
        this stay."""
        return self._dropped + (0 if self._link is None else self._link.dropped)

    async def join(
        self,
        *,
        token: str | None,
        channel: str,
        uid: str,
        listener: RoomListener,
        local_audio: LocalAudio | None,
    ) -> None:
        await self._closed()
        if self._state is not State.OUT:
            raise StateError("the room is joined already: leave() first")
        self._become(State.JOINING)
        self._listener = GuardedListener(listener)
        self._roster = Roster(self._listener, subscribe=self._subscribe, excess=self._excess)
        self._channel, self._uid, self._token = channel, uid, token
        self._said, self._life, self._dropped = {}, "", 0
        self._publishing = local_audio is not None
        link = None
        try:
            link = await self._open(self._access.token_for(token, room=channel, identity=uid))
            self._refuse_encrypted(self._roster)
        except BaseException:
            self._become(State.OUT)
            self._link = None
            self._roster.clear("left")
            if link is not None:
                await link.close()
            raise
        self._heard_s = asyncio.get_running_loop().time()
        self._become(State.IN)
        self._publisher.publish(local_audio)
        self._settle(link)

    def hand_out_waiting(self) -> None:
        if self._link is not None:
            self._link.take_waiting()

    async def leave(self) -> None:
        self._lose("left")
        await self._closed()

    @property
    def can_publish(self) -> bool:
        return not self._access.hidden

    async def publish(self, local_audio: LocalAudio | None) -> None:
        self._publishing = self._publishing or local_audio is not None
        self._publisher.publish(local_audio)
        if self._link is not None and self._state is State.IN:
            self._send_audio(self._link)

    async def set_muted(self, muted: bool) -> None:
        self._published_muted(muted)

    async def set_recording(self, recording: bool) -> None:
        self._say(RECORDING, "true" if recording else "")

    async def ask_consent(self, asks: bool) -> None:
        self._say(ASKS, "true" if asks else "")

    async def say_consent(self, agrees: bool) -> None:
        self._say(AGREES, "true" if agrees else "false")

    def _say(self, attribute: str, value: str) -> None:
        if self._said.get(attribute, "") == value:
            return
        self._said[attribute] = value
        if self._link is not None and self._state is State.IN:
            self._link.say({attribute: value})

    # -- inside -------------------------------------------------------------------------------

    def _become(self, state: State) -> None:
        assert state in FOLLOWS[self._state], f"{self._state} -> {state}"
        self._state = state

    async def _open(self, token: str) -> Link:
        """Join with a new link, which takes the place of the one before."""
        assert self._roster is not None
        events = LinkEvents(
            on_update=self._update,
            on_track=self._open_track,
            on_not_allowed=self._not_allowed,
            on_token=self._renew,
            on_over=self._broke_off,
        )
        link = Link(self._access, events, self._excess, self._clocks)
        try:
            joined = await link.open(token)
        except BaseException:
            await link.close()
            raise
        same_life, self._life = joined.life == self._life, joined.life
        before, self._link = self._link, link
        if before is not None:
            before.retire()
            self._dropped += before.dropped
            task = asyncio.get_running_loop().create_task(before.close(goodbye=False))
            self._retired.add(task)
            task.add_done_callback(self._retired.discard)
        self._roster.welcome(self._others(joined.participants), same_life=same_life)
        return link

    def _settle(self, link: Link) -> None:
        """We are in: say who we are, and listen."""
        self._joined_s = asyncio.get_running_loop().time()
        link.begin()
        self._send_audio(link)
        link.say({attribute: value for attribute, value in self._said.items() if value})

    def _send_audio(self, link: Link) -> None:
        if self._publishing and self._track is None:
            self._track = self._publisher.add_track()
            link.publish(self._track, muted=self._muted)

    def _published_muted(self, muted: bool) -> None:
        self._muted = muted
        if self._link is not None:
            self._link.set_muted(muted)

    def _subscribe(self, tracks: Mapping[str, Iterable[str]]) -> None:
        if self._link is not None:
            self._link.send(wire.subscribe(tracks))

    def _update(self, participants: Sequence[wire.Participant]) -> None:
        assert self._roster is not None
        self._roster.update(self._others(participants))
        try:
            self._refuse_encrypted(self._roster)
        except RoomRefusedError as error:
            self._lose(str(error))

    def _others(self, participants: Sequence[wire.Participant]) -> list[wire.Participant]:
        return [each for each in participants if each.uid != self._uid]

    def _open_track(self, sid: str, incoming: Incoming) -> RemoteAudio | None:
        assert self._roster is not None
        return self._roster.open(sid, incoming)

    def _not_allowed(self, refused: wire.NotAllowed) -> None:
        assert self._roster is not None
        owner = self._roster.owner(refused.track)
        if owner:
            logger.warning("the audio of %r cannot be recorded: %s", owner, refused.why)

    def _renew(self, token: str) -> None:
        if not self._access.makes_tokens:
            self._token = token  # the one that was given may have expired when we need it

    def _refuse_encrypted(self, roster: Roster) -> None:
        if roster.encrypted:
            raise RoomRefusedError(
                f"the audio of room {self._channel!r} is encrypted from end to end "
                f"({roster.encrypted!r} sends it so): it cannot be recorded without its key"
            )

    def _broke_off(self, link: Link, reason: str, again: bool) -> None:
        if link is not self._link or self._state is not State.IN:
            return
        if not again:
            self._lose(reason)
            return
        logger.info("%s: joining again (%s)", self._access.place, reason)
        self._become(State.AWAY)
        loop = asyncio.get_running_loop()
        if loop.time() - self._joined_s > SETTLED_S:
            self._delays = iter(DELAYS_S)
        if link.flowed:
            self._heard_s = loop.time()
        self._coming_back = loop.create_task(self._come_back(link, reason))

    async def _come_back(self, link: Link, reason: str) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() - self._heard_s <= COME_BACK_WITHIN_S:
            await asyncio.sleep(next(self._delays, DELAYS_S[-1]))
            try:
                token = self._access.token_for(self._token, room=self._channel, identity=self._uid)
                fresh = await self._open(token)
                break
            except RoomError as error:
                logger.debug("not yet back: %s", error)
                reason = str(error)
            except Exception as error:
                logger.debug("not yet back", exc_info=True)
                reason = f"{self._access.place} sent what is not understood: {type(error).__name__}"
            if link.flows:
                self._heard_s = loop.time()
        else:
            self._lose(reason)
            return
        self._become(State.IN)
        self._forget_track()
        self._settle(fresh)

    def _forget_track(self) -> None:
        track, self._track = self._track, None
        if track is not None:
            self._publisher.remove_track(track)

    def _lose(self, reason: str) -> None:
        """End this stay: in a task of its own, which nobody's cancellation reaches."""
        if self._state in (State.IN, State.AWAY):
            self._become(State.LEAVING)
            self._closing = asyncio.get_running_loop().create_task(self._close(reason))

    async def _close(self, reason: str) -> None:
        assert self._listener is not None
        assert self._roster is not None
        coming_back, self._coming_back = self._coming_back, None
        if coming_back is not None and coming_back is not asyncio.current_task():
            coming_back.cancel()
            await asyncio.wait([coming_back])
        self._publisher.publish(None)
        self._forget_track()
        link = self._link
        try:
            self._roster.clear(reason)
            if link is not None:
                await link.close()
                self._dropped += link.dropped
            if self._retired:
                await asyncio.wait(self._retired)
        finally:
            self._link = None
            self._become(State.OUT)
            self._listener.on_closed(reason)

    async def _closed(self) -> None:
        """Wait until a room that was lost is closed."""
        if self._closing is not None:
            await asyncio.wait([self._closing])
