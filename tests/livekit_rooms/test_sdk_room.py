"""Recording a room that a program has joined with LiveKit's own SDK, as an agent does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from livekit import rtc

from roomtape import AudioRecordingConfiguration, ErrorCode, RtcEngine
from roomtape.rooms import LiveKitSdkRoom
from roomtape.rooms.attributes import AGREES
from roomtape.types.clock import SystemClock
from roomtape.types.errors import StateError
from support.lag import Lag
from support.livekit_call import place_of, talkers
from support.livekit_server import LiveKitServer, livekit_server, make_token, until
from support.readers import read_all
from support.room_listener import RoomEar
from support.signals import speech

pytestmark = pytest.mark.network

JITTER_BUFFER_S = 0.3
"""What libwebrtc may hold audio back for."""


class Program:
    """A program with the SDK: it has joined a room, and says what it is told to."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.source = rtc.AudioSource(24000, 1)

    async def join(self, server: LiveKitServer, channel: str) -> None:
        await self.room.connect(server.url, make_token(channel, "agent"))
        self.track = rtc.LocalAudioTrack.create_audio_track("voice", self.source)
        await self.room.local_participant.publish_track(self.track)

    async def say(self, voice: str, seconds: float) -> None:
        """As a speech synthesiser does: faster than it is spoken, and nothing in between."""
        pcm = speech(voice, seconds, 24000)
        for low in range(0, len(pcm), 4800):
            piece = pcm[low : low + 4800]
            await self.source.capture_frame(rtc.AudioFrame(piece.tobytes(), 24000, 1, len(piece)))


@pytest.fixture
async def program() -> AsyncIterator[Program]:
    made = Program()
    yield made
    await made.room.disconnect()


async def listen(room: LiveKitSdkRoom) -> RoomEar:
    ear = RoomEar()
    await room.join(token=None, channel="x", uid="x", listener=ear, local_audio=None)
    return ear


async def test_both_sides_of_a_call_are_recorded(
    server: LiveKitServer, program: Program, tmp_path: Path, lag: Lag
) -> None:
    await program.join(server, "agent")
    room = LiveKitSdkRoom(program.room)
    async with talkers(server, "agent", "alice") as others, RtcEngine(room) as engine:
        await engine.set_local_audio(room.local_audio)
        assert await engine.join_channel(None, "agent", "agent") is ErrorCode.OK
        await until(lambda: bool(room._tracks))
        await asyncio.sleep(1.0)
        config = AudioRecordingConfiguration(tmp_path / "call.wav", sample_rate=48000)
        assert await engine.start_audio_recording_with_config(config) is ErrorCode.OK
        loop = asyncio.get_running_loop()
        started = loop.time()
        others.say("alice", "alice", 2.5)
        await others.has_said("alice", "alice")
        await asyncio.sleep(2.5)
        said_s = loop.time() - started
        await program.say("bob", 2.5)
        await asyncio.sleep(3.0)
        await engine.stop_audio_recording()
        report = engine.last_recording_report
    assert report is not None
    pcm, _ = read_all(report.file_path)
    lag.look()
    ((_, _, at),) = others.said
    later_s, likeness = place_of(pcm, "alice", at - report.started_at.timestamp())
    assert likeness > 0.5  # what came late is concealed
    assert -0.05 < later_s < JITTER_BUFFER_S + lag.worst_s
    later_s, likeness = place_of(pcm, "bob", said_s)
    assert likeness > 0.5
    assert -0.05 < later_s < 0.2 + lag.worst_s
    sources = {source.name: source for source in report.sources}
    assert sources["alice"].loss_positions is False
    assert sources["agent"].local
    assert sources["agent"].loss_positions is True


async def test_nobody_is_heard_in_anothers_place(
    server: LiveKitServer, program: Program, lag: Lag
) -> None:
    """A stream that is not closed goes on with another participant's voice."""
    await program.join(server, "places")
    room = LiveKitSdkRoom(program.room)
    ear = await listen(room)
    async with talkers(server, "places", "alice") as first:
        await ear.until_heard("alice", 0.5)
        await first.do("alice", "leave")
        await ear.until_event("left", "alice")
        heard = len(ear.frames["alice"])
        async with talkers(server, "places", "bob") as second:
            second.say("bob", "bob")
            await ear.until_heard("bob", 1.0)
            assert len(ear.frames["alice"]) == heard
    await room.leave()
    assert ear.events[-1] == ("closed", "left")
    assert program.room.isconnected(), "the room is not ours to leave"


async def test_mute_unpublish_and_leaving_are_told(server: LiveKitServer, program: Program) -> None:
    await program.join(server, "told")
    room = LiveKitSdkRoom(program.room)
    ear = await listen(room)
    async with talkers(server, "told", "alice") as others:
        await ear.until_heard("alice", 0.2)
        await others.do("alice", "mute")
        await ear.until(lambda: ear.events[-1] == ("muted", "alice", True))
        await others.do("alice", "unmute")
        await ear.until(lambda: ear.events[-1] == ("muted", "alice", False))
        await others.do("alice", "unpublish")
        await ear.until(lambda: ear.events[-1] == ("muted", "alice", True))
        assert ear.events[-2] == ("track ended", "alice")
        await others.do("alice", "publish")
        await ear.until_heard("alice", 0.2)
        assert ear.events[-1] == ("muted", "alice", False)
        await others.do("alice", "leave")
        await ear.until_event("left", "alice")
    await room.leave()
    await room.leave()
    assert [event for event in ear.events if event[0] == "closed"] == [("closed", "left")]


async def test_a_room_that_is_disconnected_is_lost(program: Program) -> None:
    with livekit_server() as server:
        await program.join(server, "lost")
        ear = await listen(LiveKitSdkRoom(program.room))
        await program.room.disconnect()
        await ear.until_event("closed", "the program's room was disconnected")


async def test_a_room_that_is_not_connected_or_listened_to_twice_is_an_error(
    server: LiveKitServer, program: Program
) -> None:
    room = LiveKitSdkRoom(program.room)
    with pytest.raises(StateError, match=r"connect\(\) it first"):
        await listen(room)
    await program.join(server, "twice")
    await listen(room)
    with pytest.raises(StateError, match=r"leave\(\) first"):
        await listen(room)
    await room.leave()


async def test_what_a_program_does_not_say_is_silence(
    server: LiveKitServer, program: Program, lag: Lag
) -> None:
    """So that what it says later is heard later."""
    await program.join(server, "pauses")
    audio = LiveKitSdkRoom(program.room).local_audio
    frames: list[np.ndarray] = []
    audio.subscribe(lambda frame: frames.append(frame.pcm))
    audio.start(SystemClock())
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.sleep(1.0)
    said_s = loop.time() - began
    await program.say("alice", 2.5)
    await asyncio.sleep(1.0)
    await audio.stop()
    lag.look()
    pcm = np.concatenate(frames)
    assert len(pcm) / 48000 == pytest.approx(loop.time() - began, abs=0.15 + lag.worst_s)
    later_s, likeness = place_of(pcm, "alice", said_s)
    assert likeness > 0.9
    assert -0.03 < later_s < 0.15 + lag.worst_s


async def test_what_a_program_says_while_it_is_muted_nobody_hears(
    server: LiveKitServer, program: Program
) -> None:
    await program.join(server, "muted")
    audio = LiveKitSdkRoom(program.room).local_audio
    frames: list[np.ndarray] = []
    audio.subscribe(lambda frame: frames.append(frame.pcm))
    audio.start(SystemClock())
    await program.say("alice", 1.0)
    await asyncio.sleep(1.0)
    program.track.mute()
    await asyncio.sleep(0.2)
    before = len(frames)
    await program.say("alice", 1.0)
    await asyncio.sleep(0.5)
    await audio.stop()
    assert np.concatenate(frames[:before]).any()
    assert not np.concatenate(frames[before:]).any()


async def test_who_agrees_to_be_recorded_is_told(server: LiveKitServer, program: Program) -> None:
    """By an attribute that any of LiveKit's clients can set; who takes it back does not agree."""
    other = rtc.Room()
    await other.connect(server.url, make_token("consent", "bob", can_update_own_metadata=True))
    await other.local_participant.set_attributes({AGREES: "true"})
    await program.join(server, "consent")
    room = LiveKitSdkRoom(program.room)
    ear = await listen(room)
    await ear.until_event("consent", "bob", True)
    for said, agrees in (("false", False), ("true", True), ("", False)):
        await other.local_participant.set_attributes({AGREES: said})
        await ear.until_event("consent", "bob", agrees)
        ear.events.clear()
    await room.leave()
    await other.disconnect()
