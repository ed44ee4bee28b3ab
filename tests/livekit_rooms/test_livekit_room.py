"""LiveKitRoom against the real server: tracks that come and go, who is seen, and who records."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import numpy as np
import pytest
from livekit import rtc

from roomtape import PushedAudio
from roomtape.rooms import LiveKitRoom
from roomtape.types import AudioFrame, Pcm
from roomtape.types.clock import SystemClock
from support.livekit_call import livekit_room
from support.livekit_server import KEY, SECRET, LiveKitServer, make_token, until
from support.room_listener import RoomEar, likeness, speaking, voice

pytestmark = pytest.mark.network

RATE_HZ = 48000
FRAME = RATE_HZ // 100


class TrackEar(RoomEar):
    """Remembers what came on which track."""

    def __init__(self) -> None:
        super().__init__()
        self.tracks: defaultdict[str, list[AudioFrame]] = defaultdict(list)

    def on_audio(self, uid: str, track: str, frame: AudioFrame) -> None:
        self.tracks[track].append(frame)
        super().on_audio(uid, track, frame)

    async def until_on_track(self, track: str, seconds: float) -> Pcm:
        """So much more of a track."""
        start = len(self.tracks[track])
        count = round(seconds * 50)
        await self.until(lambda: len(self.tracks[track]) >= start + count)
        return np.concatenate([frame.pcm for frame in self.tracks[track][start:]])


class Publisher:
    """An SDK client that publishes several tracks, each with a voice of its own."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self._tasks: list[asyncio.Task[None]] = []

    async def publish(self, name: str) -> str:
        """Say :func:`voice` of ``name`` on a new track; its id."""
        source = rtc.AudioSource(RATE_HZ, 1)
        track = rtc.LocalAudioTrack.create_audio_track(name, source)
        publication = await self.room.local_participant.publish_track(track)
        self._tasks.append(asyncio.create_task(self._say(source, voice(name, 30))))
        return publication.sid

    async def _say(self, source: rtc.AudioSource, pcm: Pcm) -> None:
        for low in range(0, len(pcm) - FRAME, FRAME):
            frame = rtc.AudioFrame(pcm[low : low + FRAME].tobytes(), RATE_HZ, 1, FRAME)
            await source.capture_frame(frame)

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.room.disconnect()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as made:
        yield made


async def join(room: LiveKitRoom, channel: str, stack: AsyncExitStack, uid: str = "me") -> TrackEar:
    ear = TrackEar()
    await room.join(token=None, channel=channel, uid=uid, listener=ear, local_audio=None)
    stack.push_async_callback(room.leave)
    return ear


async def publisher(server: LiveKitServer, channel: str, stack: AsyncExitStack) -> Publisher:
    made = Publisher()
    await made.room.connect(server.url, make_token(channel, "alice"))
    stack.push_async_callback(made.leave)
    return made


async def test_a_section_that_is_used_again_is_another_track(
    server: LiveKitServer, stack: AsyncExitStack
) -> None:
    """Each track has its own voice, and nobody else's, whatever came in its section before."""
    ear = await join(livekit_room(server), "tracks", stack)
    alice = await publisher(server, "tracks", stack)
    names = {await alice.publish(name): name for name in ("first", "second")}
    for _ in range(2):
        heard = await asyncio.gather(*(ear.until_on_track(sid, 1.0) for sid in names))
        for pcm, name in zip(heard, names.values(), strict=True):
            for other in ("first", "second", "third"):
                like = await asyncio.to_thread(likeness, pcm, voice(other, 30))
                assert like > 0.6 if other == name else like < 0.2, (name, other)
        gone = next(iter(names))
        if names[gone] == "first":
            await alice.room.local_participant.unpublish_track(gone)
            await ear.until_event("track ended", "alice")
            names = {sid: name for sid, name in names.items() if sid != gone}
            names[await alice.publish("third")] = "third"
    assert [event for event in ear.events if event[0] == "left"] == []


async def test_a_hidden_recorder_hears_and_is_not_seen(
    server: LiveKitServer, stack: AsyncExitStack
) -> None:
    alice = await publisher(server, "hidden", stack)
    await alice.publish("alice")
    room = LiveKitRoom(server.url, api_key=KEY, api_secret=SECRET, hidden=True)
    ear = await join(room, "hidden", stack)
    await ear.until_heard("alice", 0.5)
    assert not alice.room.remote_participants


async def test_the_others_hear_who_records_and_who_is_muted(
    server: LiveKitServer, stack: AsyncExitStack
) -> None:
    ear = await join(livekit_room(server), "told", stack)
    room, audio = livekit_room(server), speaking("bob", 30)
    audio.start(SystemClock())
    stack.push_async_callback(audio.stop)
    await room.join(token=None, channel="told", uid="bob", listener=RoomEar(), local_audio=audio)
    stack.push_async_callback(room.leave)
    await ear.until_heard("bob", 0.2)
    for recording in (True, False):
        await room.set_recording(recording)
        await ear.until_event("recording", "bob", recording)
    await room.ask_consent(True)
    for agrees in (True, False):
        await room.say_consent(agrees)
        await ear.until_event("consent", "bob", agrees)
    audio.muted = True
    await ear.until(lambda: ear.events[-1] == ("muted", "bob", True))


async def test_publishing_can_begin_change_and_end_at_any_time(
    server: LiveKitServer, stack: AsyncExitStack
) -> None:
    ear = await join(livekit_room(server), "begins", stack)
    room = livekit_room(server)
    await join(room, "begins", stack, uid="bob")
    await ear.until_event("muted", "bob", True)
    for name in ("first", "second"):
        audio: PushedAudio = speaking(name, 30)
        audio.start(SystemClock())
        stack.push_async_callback(audio.stop)
        await room.publish(audio)
        await ear.until_heard("bob", 0.5)
        start = len(ear.frames["bob"])
        await ear.until_heard("bob", 1.0)
        heard = ear.pcm("bob", start)
        assert await asyncio.to_thread(likeness, heard, voice(name, 30)) > 0.6
    await room.publish(None)
    await ear.until(lambda: ear.events[-1] == ("muted", "bob", True))


async def test_another_connection_under_our_name_takes_it(
    server: LiveKitServer, stack: AsyncExitStack
) -> None:
    ear = await join(livekit_room(server), "taken", stack)
    await join(livekit_room(server), "taken", stack)
    await ear.until_event("closed", "another connection took this name")


async def test_a_room_that_is_deleted_is_lost(server: LiveKitServer, stack: AsyncExitStack) -> None:
    from livekit import api

    ear = await join(livekit_room(server), "deleted", stack)
    service = api.LiveKitAPI(server.url.replace("ws", "http", 1), KEY, SECRET)
    stack.push_async_callback(service.aclose)
    await service.room.delete_room(api.DeleteRoomRequest(room="deleted"))
    await until(lambda: bool(ear.events))
    assert ear.events[-1] == ("closed", "the room was deleted")
