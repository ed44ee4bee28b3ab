"""WebRtcRoom, over a real server and real WebRTC on the loopback interface."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import numpy as np
import pytest
from aiohttp import web

from roomtape.media.pushed_audio import PushedAudio
from roomtape.rooms.webrtc import signalling
from roomtape.rooms.webrtc.room import WebRtcRoom
from roomtape.server.app import RoomServer
from roomtape.server.token import make_token
from roomtape.types.clock import SystemClock
from roomtape.types.errors import (
    ConfigurationError,
    RoomRefusedError,
    RoomUnreachableError,
    StateError,
)
from support.lag import Lag
from support.meeting import Meeting, assert_hears
from support.processes import SUPPORT, kill, python_process
from support.room_listener import RoomEar, likeness, speaking, voice

pytestmark = pytest.mark.network

SECRET = "correct horse battery staple, twice over"
NOTICED_WITHIN_S = 10.0
"""The contract for a participant that vanishes."""


@pytest.fixture
async def meeting() -> AsyncIterator[Meeting]:
    async with RoomServer("127.0.0.1", 0) as server, AsyncExitStack() as stack:
        yield Meeting(server, stack)


async def test_three_participants_hear_each_other(meeting: Meeting) -> None:
    members = [await meeting.join(uid) for uid in ("alice", "bob", "carol")]
    pairs = [(ear, mouth) for ear in members for mouth in members if ear is not mouth]
    await asyncio.gather(*(assert_hears(ear, mouth.uid) for ear, mouth in pairs))
    for listener in members:
        assert set(listener.ear.frames) == {"alice", "bob", "carol"} - {listener.uid}


async def test_frames_are_48_khz_with_contiguous_positions(meeting: Meeting) -> None:
    alice = await meeting.join("alice", silent=True)
    await meeting.join("bob")
    await alice.ear.until_heard("bob", 2.0)
    frames = alice.ear.frames["bob"]
    assert {(frame.sample_rate, frame.pcm.dtype.name, frame.pcm.shape) for frame in frames} == {
        (48000, "int16", (960,))
    }
    assert np.unique(np.diff([frame.pts for frame in frames])).tolist() == [960]


async def test_who_leaves_is_missed_at_once_and_who_stays_is_heard_on(meeting: Meeting) -> None:
    alice, bob, carol = [await meeting.join(uid) for uid in ("alice", "bob", "carol")]
    await assert_hears(alice, "carol")
    await carol.room.leave()
    await alice.ear.until_event("left", "carol", "left")
    about_carol = [event[0] for event in alice.ear.events if event[1] == "carol"]
    assert about_carol == ["joined", "track ended", "left"]
    assert carol.ear.events[-1] == ("closed", "left")
    await assert_hears(alice, "bob")
    await assert_hears(bob, "alice")


async def test_who_comes_back_joins_anew(meeting: Meeting) -> None:
    alice, bob = [await meeting.join(uid) for uid in ("alice", "bob")]
    await alice.ear.until_heard("bob", 0.2)
    await bob.room.leave()
    await bob.room.join(
        token=None, channel="standup", uid="bob", listener=bob.ear, local_audio=bob.audio
    )
    await assert_hears(alice, "bob")
    about_bob = [event[0] for event in alice.ear.events if event[1] == "bob"]
    assert about_bob == ["joined", "track ended", "left", "joined"]


async def test_a_killed_participant_is_missed_within_ten_seconds(
    meeting: Meeting, lag: Lag
) -> None:
    alice = await meeting.join("alice")
    client = str(SUPPORT / "room_client.py")
    async with python_process(client, meeting.server.url, "standup", "bob", ready="joined") as bob:
        await assert_hears(alice, "bob")
        kill(bob)
        killed = time.monotonic()
        await alice.ear.until_event("left", "bob", "connection lost")
        noticed_s = time.monotonic() - killed
        lag.look()
        assert noticed_s < NOTICED_WITHIN_S + lag.worst_s


async def test_a_participant_that_hangs_is_missed_within_ten_seconds(
    meeting: Meeting, lag: Lag
) -> None:
    alice = await meeting.join("alice")
    client = str(SUPPORT / "room_client.py")
    async with python_process(client, meeting.server.url, "standup", "bob", ready="joined") as bob:
        await alice.ear.until_heard("bob", 0.5)
        # Its sockets stay open, as they do when a network is gone.
        bob.send_signal(signal.SIGSTOP)
        hung = time.monotonic()
        await alice.ear.until_event("left", "bob", "connection lost")
        noticed_s = time.monotonic() - hung
        lag.look()
        assert noticed_s < NOTICED_WITHIN_S + lag.worst_s
        kill(bob)


async def test_a_call_that_breaks_off_is_made_anew(meeting: Meeting) -> None:
    alice, bob = [await meeting.join(uid) for uid in ("alice", "bob")]
    await assert_hears(alice, "bob")
    call = bob.room._peers["alice"]._call
    assert call is not None
    await call._connection.close()
    await alice.ear.until_event("track ended", "bob")
    await assert_hears(alice, "bob")
    await assert_hears(bob, "alice")
    assert alice.ear.events == [("joined", "bob"), ("track ended", "bob")]


async def test_a_dropped_websocket_is_mended_and_the_audio_flows_on(meeting: Meeting) -> None:
    alice, bob = [await meeting.join(uid) for uid in ("alice", "bob")]
    await assert_hears(alice, "bob")
    bob.break_off()
    await bob.room.set_recording(True)
    await alice.ear.until_event("recording", "bob", True)
    await bob.room.say_consent(True)
    await alice.ear.until_event("consent", "bob", True)
    carol = await meeting.join("carol")
    await carol.ear.until_event("consent", "bob", True)
    pairs = ((alice, bob), (bob, alice), (carol, bob), (bob, carol))
    await asyncio.gather(*(assert_hears(ear, mouth.uid) for ear, mouth in pairs))
    assert alice.ear.events[:2] == [("joined", "bob"), ("recording", "bob", True)]
    assert np.unique(np.diff([frame.pts for frame in alice.ear.frames["bob"]])).tolist() == [960]


async def test_a_restarted_server_finds_everybody_again_without_a_gap(meeting: Meeting) -> None:
    alice, bob = [await meeting.join(uid) for uid in ("alice", "bob")]
    await assert_hears(alice, "bob")
    port = int(meeting.server.url.rsplit(":", 1)[1])
    await meeting.server.stop()
    async with RoomServer("127.0.0.1", port) as again:
        meeting.server = again
        carol = await meeting.join("carol")
        for uid in ("alice", "bob"):
            await carol.ear.until_event("joined", uid)
            await assert_hears(carol, uid)
        await alice.ear.until_event("joined", "carol")
        assert alice.ear.events == [("joined", "bob"), ("joined", "carol")]
        assert set(np.diff([frame.pts for frame in alice.ear.frames["bob"]])) == {960}
        for member in (alice, bob, carol):
            await member.room.leave()


async def test_publishing_can_begin_change_and_end_at_any_time(meeting: Meeting, lag: Lag) -> None:
    alice = await meeting.join("alice", silent=True)
    bob = await meeting.join("bob", silent=True)
    await bob.room.publish(None)
    first, second = speaking("first", 30), speaking("second", 30)
    for audio, name in ((first, "first"), (second, "second")):
        audio.start(SystemClock())
        await bob.room.publish(audio)
        await alice.ear.until_heard("bob", 0.5)
        start = len(alice.ear.frames["bob"])
        await alice.ear.until_heard("bob", 1.0)
        assert likeness(alice.ear.pcm("bob", start), voice(name, 30)) > 0.8
    await bob.room.publish(None)
    await asyncio.sleep(1.0)
    paused_at = len(alice.ear.frames["bob"])
    await bob.room.publish(first)
    await alice.ear.until_heard("bob", 0.5)
    before, after = alice.ear.frames["bob"][paused_at - 1 : paused_at + 1]
    assert before.pts is not None
    assert after.pts is not None
    assert after.gap_is_silence
    arrivals_ns = alice.ear.arrivals_ns["bob"]
    paused_s = (arrivals_ns[paused_at] - arrivals_ns[paused_at - 1]) / 1e9
    assert (after.pts - before.pts) / 48000 == pytest.approx(paused_s, abs=0.1 + lag.worst_s)
    assert ("track ended", "bob") not in alice.ear.events
    for audio in (first, second):
        await audio.stop()


async def test_a_blocked_sender_loses_nothing(meeting: Meeting) -> None:
    alice, bob = await meeting.join("alice", silent=True), await meeting.join("bob")
    await alice.ear.until_heard("bob", 0.5)
    time.sleep(1.5)  # noqa: ASYNC251 (a blocked event loop is what this is about)
    await alice.ear.until_heard("bob", 2.5)
    assert set(np.diff([frame.pts for frame in alice.ear.frames["bob"]])) == {960}
    assert bob.audio is not None


async def test_the_others_hear_who_is_muted_and_who_records(meeting: Meeting) -> None:
    alice, bob = [await meeting.join(uid) for uid in ("alice", "bob")]
    await alice.ear.until_heard("bob", 0.2)
    assert bob.audio is not None
    bob.audio.muted = True
    await alice.ear.until_event("muted", "bob", True)
    await bob.room.set_recording(True)
    await alice.ear.until_event("recording", "bob", True)
    carol = await meeting.join("carol")
    await carol.ear.until_event("recording", "bob", True)
    await carol.ear.until_event("muted", "bob", True)
    await carol.ear.until_heard("bob", 0.5)
    start = len(carol.ear.frames["bob"])
    await carol.ear.until_heard("bob", 0.5)
    assert np.abs(carol.ear.pcm("bob", start)).max() < 10
    bob.audio.muted = False
    await bob.room.set_recording(False)
    await carol.ear.until_event("muted", "bob", False)
    await carol.ear.until_event("recording", "bob", False)
    await assert_hears(carol, "bob")


@pytest.mark.parametrize("uid", ["爱丽丝 <b>&amp;</b>", "a/b?c#d%20", "o'\"neil\\", "👩‍🚀"])
async def test_names_may_be_odd(meeting: Meeting, uid: str) -> None:
    alice = await meeting.join("alice", silent=True)
    await meeting.join(uid)
    await assert_hears(alice, uid)
    assert alice.ear.events == [("joined", uid)]


@pytest.mark.parametrize("uid", ["", "x" * 65, "a\nb"])
async def test_an_impossible_name_is_refused_with_a_reason(meeting: Meeting, uid: str) -> None:
    with pytest.raises(RoomRefusedError, match='"uid"'):
        await meeting.join(uid, silent=True)


async def test_a_taken_name_is_refused_with_a_reason(meeting: Meeting) -> None:
    await meeting.join("alice", silent=True)
    with pytest.raises(RoomRefusedError, match="choose another name"):
        await meeting.join("alice", silent=True)


async def test_joining_twice_is_an_error(meeting: Meeting) -> None:
    alice = await meeting.join("alice", silent=True)
    with pytest.raises(StateError, match="leave"):
        await alice.room.join(
            token=None, channel="x", uid="y", listener=alice.ear, local_audio=None
        )


async def test_leaving_without_having_joined_does_nothing() -> None:
    await WebRtcRoom("http://127.0.0.1:1").leave()


async def join_alone(url: str, token: str | None = None) -> None:
    room = WebRtcRoom(url)
    await room.join(
        token=token, channel="standup", uid="alice", listener=RoomEar(), local_audio=None
    )
    await room.leave()


async def test_a_wrong_token_is_refused_with_a_reason() -> None:
    async with RoomServer("127.0.0.1", 0, secret=SECRET) as server:
        await join_alone(server.url, make_token(SECRET, room="standup", uid="alice"))
        with pytest.raises(RoomRefusedError, match="for uid 'bob', not 'alice'"):
            await join_alone(server.url, make_token(SECRET, room="standup", uid="bob"))
        with pytest.raises(RoomRefusedError, match="roomtape token"):
            await join_alone(server.url)


async def test_no_server_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free_port = taken.getsockname()[1]
    with pytest.raises(RoomUnreachableError) as error:
        await join_alone(f"http://127.0.0.1:{free_port}")
    assert f"127.0.0.1:{free_port}" in str(error.value)
    assert "roomtape serve" in str(error.value)
    assert "\n" not in str(error.value)


async def test_another_kind_of_server_is_one_clear_line() -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    with pytest.raises(RoomUnreachableError, match=r"is not a room server \(it answered 404"):
        await join_alone(f"http://127.0.0.1:{runner.addresses[0][1]}")
    await runner.cleanup()


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signalling, "JOIN_TIMEOUT_S", 0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(RoomUnreachableError, match="did not answer"),
    ):
        await join_alone(f"http://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://x", "http://", "http://a:99999"])
def test_what_is_no_url_is_told_so(url: str) -> None:
    with pytest.raises(ConfigurationError, match="looks like http://"):
        WebRtcRoom(url)


async def test_a_listener_that_raises_does_not_harm_the_room(
    meeting: Meeting, caplog: pytest.LogCaptureFixture
) -> None:
    class Clumsy(RoomEar):
        def on_participant_joined(self, uid: str) -> None:
            super().on_participant_joined(uid)
            raise RuntimeError("clumsy")

    room, ear = WebRtcRoom(meeting.server.url), Clumsy()
    await room.join(token=None, channel="standup", uid="x", listener=ear, local_audio=None)
    with caplog.at_level(logging.CRITICAL, "roomtape"):
        await meeting.join("bob")
        await ear.until_heard("bob", 0.5)
    await room.leave()
    assert ear.events[-1][0] == "closed"


async def test_a_bot_that_pushes_nothing_sends_silence(meeting: Meeting) -> None:
    alice = await meeting.join("alice", silent=True)
    await meeting.join("bot", audio=PushedAudio())
    await alice.ear.until_heard("bot", 0.5)
    assert not alice.ear.pcm("bot").any()
