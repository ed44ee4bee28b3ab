"""WebRtcRoom while its server is gone, or does not want it back: the audio does not need it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import numpy as np
import pytest

from roomtape.rooms.webrtc import room as room_module
from roomtape.rooms.webrtc import signalling
from roomtape.server import token as token_module
from roomtape.server.app import RoomServer
from roomtape.server.token import make_token
from support.meeting import Meeting, assert_hears

pytestmark = pytest.mark.network

SECRET = "correct horse battery staple, twice over"
GIVE_UP_S = 1.0
"""In place of half a minute."""


@pytest.fixture
async def meeting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Meeting]:
    monkeypatch.setattr(signalling, "RECONNECT_FOR_S", GIVE_UP_S)
    monkeypatch.setattr(signalling, "ALONE_AFTER_S", GIVE_UP_S)
    async with RoomServer("127.0.0.1", 0) as server, AsyncExitStack() as stack:
        yield Meeting(server, stack)


async def test_a_room_is_lost_when_neither_its_server_nor_anybody_in_it_is_there(
    meeting: Meeting,
) -> None:
    alice, bob = [await meeting.join(uid) for uid in ("alice", "bob")]
    await alice.ear.until_heard("bob", 0.2)
    await meeting.server.stop()
    await bob.room.leave()
    await alice.ear.until_event("closed")
    assert [event[0] for event in alice.ear.events] == ["joined", "track ended", "left", "closed"]
    assert "was lost" in str(alice.ear.events[-1][1])
    await alice.room.leave()
    assert alice.ear.events.count(alice.ear.events[-1]) == 1


async def test_a_call_outlives_its_server_and_is_back_with_it_without_a_gap(
    meeting: Meeting, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = [await meeting.join(uid) for uid in ("alice", "bob")]
    await assert_hears(alice, "bob")
    port = meeting.port
    await meeting.server.stop()
    await alice.ear.until_heard("bob", 4 * GIVE_UP_S)
    assert "nobody can join" in caplog.text, "who is alone says so"
    async with RoomServer("127.0.0.1", port) as again:
        meeting.server = again
        carol = await meeting.join("carol")
        for uid in ("alice", "bob"):
            await carol.ear.until_event("joined", uid)
            await assert_hears(carol, uid)
        assert alice.ear.events == [("joined", "bob"), ("joined", "carol")]
        assert set(np.diff([frame.pts for frame in alice.ear.frames["bob"]])) == {960}
        assert "is back" in caplog.text
        for member in (alice, bob, carol):
            await member.room.leave()


@pytest.mark.parametrize("resume_for_s", [24 * 3600, 0])
async def test_a_token_that_expired_ends_no_call_when_the_server_restarts(
    resume_for_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the key of before they are back at once; without one, the call goes on all the same."""
    monkeypatch.setattr(signalling, "RECONNECT_FOR_S", GIVE_UP_S)
    monkeypatch.setattr(token_module, "RESUME_FOR_S", resume_for_s)
    monkeypatch.setattr(token_module, "LEEWAY_S", 0)
    async with AsyncExitStack() as stack:
        server = RoomServer("127.0.0.1", 0, secret=SECRET)
        await server.start()
        meeting = Meeting(server, stack)
        alice, bob = [
            await meeting.join(uid, token=make_token(SECRET, room="standup", uid=uid, ttl_s=2))
            for uid in ("alice", "bob")
        ]
        await alice.ear.until_heard("bob", 2.5)
        port = meeting.port
        await server.stop()
        async with RoomServer("127.0.0.1", port, secret=SECRET) as again:
            meeting.server = again
            await alice.ear.until_heard("bob", 4 * GIVE_UP_S)
            token = make_token(SECRET, room="standup", uid="carol")
            carol = await meeting.join("carol", token=token)
            if resume_for_s:
                await carol.ear.until_event("joined", "alice")
                await assert_hears(carol, "alice")
            assert [event for event in alice.ear.events if event[1] != "carol"] == [
                ("joined", "bob")
            ]
            assert set(np.diff([frame.pts for frame in alice.ear.frames["bob"]])) == {960}
            for member in (alice, bob, carol):
                await member.room.leave()


async def test_who_lost_its_name_to_another_is_told_so(meeting: Meeting) -> None:
    """Without tokens anybody may take it, once the server has forgotten who was there."""
    alice = await meeting.join("alice", silent=True)
    port = meeting.port
    await meeting.server.stop()
    async with RoomServer("127.0.0.1", port) as server, aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{server.url}/ws") as thief:
            join = {"type": "join", "room": "standup", "uid": "alice", "session": "thief"}
            await thief.send_json(join)
            assert (await thief.receive_json())["type"] == "welcome"
            await alice.ear.until_event("closed")
            assert "somebody called 'alice' is in room 'standup'" in str(alice.ear.events[-1][1])
        await alice.room.leave()


async def test_who_may_come_back_keeps_the_call_with_who_may_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signalling, "RECONNECT_FOR_S", GIVE_UP_S)
    monkeypatch.setattr(room_module, "REAPPEAR_WITHIN_S", GIVE_UP_S)
    monkeypatch.setattr(token_module, "RESUME_FOR_S", 0)
    monkeypatch.setattr(token_module, "LEEWAY_S", 0)
    async with AsyncExitStack() as stack:
        server = RoomServer("127.0.0.1", 0, secret=SECRET)
        await server.start()
        meeting = Meeting(server, stack)
        alice, bob = [
            await meeting.join(uid, token=make_token(SECRET, room="standup", uid=uid, ttl_s=ttl_s))
            for uid, ttl_s in (("alice", 2), ("bob", 3600))
        ]
        await bob.ear.until_heard("alice", 2.5)
        port = meeting.port
        await server.stop()
        async with RoomServer("127.0.0.1", port, secret=SECRET) as again:
            meeting.server = again
            token = make_token(SECRET, room="standup", uid="carol")
            carol = await meeting.join("carol", token=token)
            await carol.ear.until_event("joined", "bob")
            await bob.ear.until_heard("alice", 4 * GIVE_UP_S)
            await assert_hears(carol, "bob")
            for member, other in ((alice, "bob"), (bob, "alice")):
                assert [event for event in member.ear.events if event[1] == other] == [
                    ("joined", other)
                ]
                assert set(np.diff([frame.pts for frame in member.ear.frames[other]])) == {960}
            await alice.room.leave()
            await bob.ear.until_event("left", "alice")
            for member in (bob, carol):
                await member.room.leave()


async def test_whoever_takes_the_name_of_somebody_who_is_heard_waits(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without tokens anybody may take it, once the server has forgotten who was there."""
    monkeypatch.setattr(room_module, "REAPPEAR_WITHIN_S", GIVE_UP_S)
    alice, bob = [await meeting.join(uid) for uid in ("alice", "bob")]
    await bob.ear.until_heard("alice", 0.5)
    port = meeting.port
    await meeting.server.stop()
    async with RoomServer("127.0.0.1", port) as server, aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{server.url}/ws") as thief:
            join = {"type": "join", "room": "standup", "uid": "alice", "session": "thief"}
            await thief.send_json(join)
            assert (await thief.receive_json())["type"] == "welcome"
            await bob.ear.until_heard("alice", 4 * GIVE_UP_S)
            assert bob.ear.events == [("joined", "alice")]
            assert set(np.diff([frame.pts for frame in bob.ear.frames["alice"]])) == {960}
            await alice.room.leave()
            await bob.ear.until(lambda: bob.ear.events.count(("joined", "alice")) == 2)
        await bob.ear.until(lambda: bob.ear.events[-1][:2] == ("left", "alice"))
        await bob.room.leave()
