"""What holds for every kind of room (rooms/base.py), whatever stands behind it."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import numpy as np
import pytest
from livekit import rtc

from roomtape import PushedAudio
from roomtape.rooms import LiveKitRoom, LiveKitSdkRoom, MemoryRoom, Room, WebRtcRoom
from roomtape.server.app import RoomServer
from roomtape.types import Pcm
from roomtape.types.clock import SystemClock
from roomtape.types.errors import RoomRefusedError, StateError
from support.livekit_server import KEY, SECRET, LiveKitServer, make_token
from support.room_listener import RoomEar, likeness, voice

pytestmark = pytest.mark.network

SECONDS = 30.0


class Speaker(ABC):
    """Somebody else in the room, who says :func:`voice` of its own name from the first."""

    @abstractmethod
    async def mute(self, muted: bool) -> None: ...

    @abstractmethod
    async def leave(self) -> None: ...


class Stage(ABC):
    """A kind of room, and who else is there.

    Attributes:
        exact: Its frames have timestamps, and are what was said.
    """

    exact = True

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack = stack

    @abstractmethod
    async def begin(self) -> None:
        """Once, before anything else."""

    @abstractmethod
    async def room(self) -> Room:
        """The one under test."""

    @abstractmethod
    async def enter(self, uid: str) -> Speaker:
        """Somebody comes in and speaks."""

    @abstractmethod
    async def lose(self) -> None:
        """The room is gone for good."""

    async def join(self, room: Room, ear: RoomEar) -> None:
        await room.join(token=None, channel="contract", uid="me", listener=ear, local_audio=None)
        self.stack.push_async_callback(room.leave)


class MemoryStage(Stage):
    async def begin(self) -> None:
        self._memory = MemoryRoom(SystemClock())

    async def room(self) -> Room:
        return self._memory

    async def enter(self, uid: str) -> Speaker:
        memory = self._memory
        memory.enter(uid)
        memory.speak(uid, voice(uid, SECONDS), 48000)

        class Scripted(Speaker):
            async def mute(self, muted: bool) -> None:
                memory.mute(uid, muted)

            async def leave(self) -> None:
                memory.exit(uid)

        return Scripted()

    async def lose(self) -> None:
        self._memory.lose()


class _OurClient(Speaker):
    """One of our own clients."""

    def __init__(self, room: Room, audio: PushedAudio) -> None:
        self._room = room
        self._audio = audio

    async def mute(self, muted: bool) -> None:
        self._audio.muted = muted

    async def leave(self) -> None:
        await self._room.leave()


async def our_client(room: Room, uid: str, stack: AsyncExitStack) -> Speaker:
    audio = PushedAudio()
    audio.push(voice(uid, SECONDS))
    audio.start(SystemClock())
    stack.push_async_callback(audio.stop)
    await room.join(token=None, channel="contract", uid=uid, listener=RoomEar(), local_audio=audio)
    stack.push_async_callback(room.leave)
    return _OurClient(room, audio)


class WebRtcStage(Stage):
    async def begin(self) -> None:
        self._server = await self.stack.enter_async_context(RoomServer("127.0.0.1", 0))

    async def room(self) -> Room:
        return WebRtcRoom(self._server.url)

    async def enter(self, uid: str) -> Speaker:
        self._speaker = await our_client(WebRtcRoom(self._server.url), uid, self.stack)
        return self._speaker

    async def lose(self) -> None:
        """Neither the server nor anybody else is there any more."""
        await self._server.stop()
        await self._speaker.leave()


class LiveKitStage(Stage):
    async def begin(self) -> None:
        self._server = LiveKitServer()
        self.stack.callback(self._server.remove)
        await asyncio.to_thread(self._server.start)

    def _ours(self) -> Room:
        return LiveKitRoom(self._server.url, api_key=KEY, api_secret=SECRET)

    async def room(self) -> Room:
        return self._ours()

    async def enter(self, uid: str) -> Speaker:
        return await our_client(self._ours(), uid, self.stack)

    async def lose(self) -> None:
        """Who comes under our name takes it."""
        await our_client(self._ours(), "me", self.stack)


class LiveKitSdkStage(LiveKitStage):
    exact = False

    async def room(self) -> Room:
        self._program = rtc.Room()
        await self._program.connect(self._server.url, make_token("contract", "me"))
        self.stack.push_async_callback(self._program.disconnect)
        return LiveKitSdkRoom(self._program)

    async def lose(self) -> None:
        await self._program.disconnect()


STAGES = {
    "memory": MemoryStage,
    "webrtc": WebRtcStage,
    "livekit": LiveKitStage,
    "livekit sdk": LiveKitSdkStage,
}


@pytest.fixture(params=STAGES)
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        made: Stage = STAGES[request.param](stack)
        await made.begin()
        yield made


async def assert_heard(stage: Stage, ear: RoomEar, uid: str) -> None:
    """From now on it is heard, and nobody else in its place."""
    start = len(ear.frames[uid])
    await ear.until(lambda: len(_pcm(ear, uid, start)) > 48000)
    heard = _pcm(ear, uid, start)
    least = 0.6 if stage.exact else 0.25  # the SDK stretches time
    assert await asyncio.to_thread(likeness, heard, voice(uid, SECONDS)) > least
    assert await asyncio.to_thread(likeness, heard, voice("nobody", SECONDS)) < 0.2


def _pcm(ear: RoomEar, uid: str, start: int) -> Pcm:
    frames = ear.frames[uid][start:]
    return np.concatenate([frame.pcm for frame in frames]) if frames else np.zeros(0, np.int16)


def about(ear: RoomEar, uid: str) -> list[object]:
    """What was told of somebody, but for mutes."""
    return [event[0] for event in ear.events if event[1:2] == (uid,) and event[0] != "muted"]


async def test_who_is_there_and_who_comes_is_told_and_heard(stage: Stage) -> None:
    room, ear = await stage.room(), RoomEar()
    await stage.enter("alice")
    await stage.join(room, ear)
    await stage.enter("bob")
    await asyncio.gather(assert_heard(stage, ear, "alice"), assert_heard(stage, ear, "bob"))
    assert about(ear, "alice")[0] == about(ear, "bob")[0] == "joined"
    assert set(ear.frames) == {"alice", "bob"}


async def test_frames_are_handed_out_as_they_come_in_order(stage: Stage) -> None:
    room, ear = await stage.room(), RoomEar()
    await stage.join(room, ear)
    await stage.enter("alice")
    await ear.until_heard("alice", 1.0)
    frames = ear.frames["alice"]
    assert {(frame.sample_rate, frame.pcm.dtype.name) for frame in frames} == {(48000, "int16")}
    if stage.exact:
        assert set(np.diff([frame.pts for frame in frames])) == {960}
        assert all(frame.lost_somewhere is None for frame in frames)
    else:
        assert all(frame.lost_somewhere is not None for frame in frames)


async def test_mute_is_told(stage: Stage) -> None:
    room, ear = await stage.room(), RoomEar()
    await stage.join(room, ear)
    speaker = await stage.enter("alice")
    await ear.until_heard("alice", 0.2)
    for muted in (True, False):
        await speaker.mute(muted)
        await ear.until(lambda muted=muted: ear.events[-1] == ("muted", "alice", muted))
    await assert_heard(stage, ear, "alice")


async def test_who_leaves_is_told_last_and_who_comes_back_joins_anew(stage: Stage) -> None:
    room, ear = await stage.room(), RoomEar()
    await stage.join(room, ear)
    speaker = await stage.enter("alice")
    await ear.until_heard("alice", 0.2)
    await speaker.leave()
    await ear.until_event("left", "alice")
    heard = len(ear.frames["alice"])
    assert about(ear, "alice")[-1] == "left"
    await stage.enter("alice")
    await ear.until(lambda: len(ear.frames["alice"]) > heard + 25)
    told = [event for event in about(ear, "alice") if event in ("joined", "left")]
    assert told == ["joined", "left", "joined"]


async def test_leaving_closes_once_and_silences(stage: Stage) -> None:
    room, ear = await stage.room(), RoomEar()
    await stage.join(room, ear)
    await stage.enter("alice")
    await ear.until_heard("alice", 0.2)
    await room.leave()
    heard = len(ear.frames["alice"])
    await room.leave()
    await asyncio.sleep(0.2)
    assert [event for event in ear.events if event[0] == "closed"] == [("closed", "left")]
    assert ear.events[-1][0] == "closed"
    assert len(ear.frames["alice"]) == heard


async def test_it_can_be_joined_again(stage: Stage) -> None:
    room, first, second = await stage.room(), RoomEar(), RoomEar()
    await stage.join(room, first)
    await room.leave()
    await stage.join(room, second)
    await stage.enter("alice")
    await assert_heard(stage, second, "alice")
    assert first.events[-1] == ("closed", "left")
    assert about(first, "alice") == []


async def test_a_room_that_is_lost_is_closed_once_with_the_reason(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roomtape.rooms.webrtc.signalling.RECONNECT_FOR_S", 0.5)
    room, ear = await stage.room(), RoomEar()
    await stage.join(room, ear)
    await stage.enter("alice")
    await ear.until_heard("alice", 0.2)
    await stage.lose()
    await ear.until_event("closed")
    await asyncio.sleep(0.2)
    (closed,) = [event for event in ear.events if event[0] == "closed"]
    assert closed[1] not in ("", "left")


async def test_leaving_without_having_joined_does_nothing(stage: Stage) -> None:
    await (await stage.room()).leave()


async def test_joining_twice_is_an_error(stage: Stage) -> None:
    room = await stage.room()
    if isinstance(room, MemoryRoom):
        return  # a script knows what it does
    await stage.join(room, RoomEar())
    with pytest.raises((StateError, RoomRefusedError)):
        await stage.join(room, RoomEar())


async def test_what_a_listener_raises_is_logged_and_harms_nobody(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    class Clumsy(RoomEar):
        def on_muted(self, uid: str, track: str, muted: bool) -> None:
            super().on_muted(uid, track, muted)
            raise RuntimeError("clumsy")

    room, ear = await stage.room(), Clumsy()
    if isinstance(room, MemoryRoom):
        return  # the script would have to mute
    await stage.join(room, ear)
    speaker = await stage.enter("alice")
    await ear.until_heard("alice", 0.2)
    with caplog.at_level(logging.CRITICAL, "roomtape"):
        await speaker.mute(True)
        await ear.until(lambda: ("muted", "alice", True) in ear.events)
        await stage.enter("bob")
        await ear.until_heard("bob", 0.2)
