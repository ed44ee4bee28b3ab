"""Participants who come, leave, come back and vanish while a room is recorded, and a server that
is restarted meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from roomtape.server.app import RoomServer
from roomtape.types import IntervalKind, Pcm
from support.lag import Lag
from support.processes import SUPPORT, kill, python_process
from support.recorded_call import (
    Recorded,
    RecordingClient,
    Speaker,
    Takes,
    assert_in_place,
    pieces,
    record_call,
    speak,
    talk,
    until_flowing,
)
from support.relay import Relay
from support.room_listener import voice
from support.signals import offset_of

pytestmark = pytest.mark.network

TOLD_S = 0.05
"""Between the room's event and the report."""
CONNECTED_WITHIN_S = 2.0
VOICES = {name: voice(name, 30) for name in ("alice", "alice again", "bob", "carol")}


async def busy_room(directory: Path) -> Recorded:
    """Alice leaves and comes back, Bob is killed, Carol is new."""
    client_program = str(SUPPORT / "room_client.py")
    async with (
        RoomServer("127.0.0.1", 0) as server,
        Relay(server.url) as relay,
        RecordingClient(relay.url, "busy") as client,
        AsyncExitStack() as carols_stay,
        python_process(client_program, relay.url, "busy", "bob", ready="joined") as bob,
    ):
        async with AsyncExitStack() as first_stay:
            await speak(relay, "busy", "alice", first_stay, said=VOICES["alice"])
            for uid in ("alice", "bob"):
                await until_flowing(relay.way(uid, "busy-recorder"))
            await client.start(directory / "busy.wav")
            await asyncio.sleep(2.0)
            client.mark()
            kill(bob)
        await client.told.until("left", "alice")
        await asyncio.sleep(2.0)
        await speak(relay, "busy", "carol", carols_stay, said=VOICES["carol"])
        async with AsyncExitStack() as second_stay:
            await speak(relay, "busy", "alice", second_stay, said=VOICES["alice again"])
            await asyncio.sleep(4.0)
            await client.told.until("left", "bob")
            await asyncio.sleep(1.0)
            return await client.stop()


async def restarted_server(directory: Path) -> Recorded:
    server = RoomServer("127.0.0.1", 0)
    await server.start()
    port = int(server.url.rsplit(":", 1)[1])
    async with AsyncExitStack() as stack, Relay(server.url) as relay:

        async def harm(speaker: Speaker, client: RecordingClient) -> None:
            await asyncio.sleep(2.5)
            await server.stop()
            await asyncio.sleep(2.0)
            await stack.enter_async_context(RoomServer("127.0.0.1", port))
            await asyncio.sleep(5.0)

        return await record_call(relay, "restart", directory, harm, asyncio.Barrier(1))


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Takes:
    async def scene() -> dict[str, Recorded]:
        directory = tmp_path_factory.mktemp("calls")
        busy, restart = await asyncio.gather(busy_room(directory), restarted_server(directory))
        return {"busy": busy, "restart": restart}

    return Takes(scene)


@pytest.fixture
def recorded(takes: Takes, attempt: int, lag: Lag) -> dict[str, Recorded]:
    return takes.of(attempt, lag)


@pytest.fixture
def busy(recorded: dict[str, Recorded]) -> Recorded:
    return recorded["busy"]


def loudness_of(said: Pcm, heard: Pcm) -> float:
    """How much of what is heard is this voice."""
    return offset_of(heard, said, 48000)[1]


@pytest.mark.parametrize("name", ["busy", "restart"])
def test_the_recording_is_as_long_as_the_call(recorded: dict[str, Recorded], name: str) -> None:
    call = recorded[name]
    assert len(call.pcm) / 48000 == pytest.approx(call.wall_s, abs=call.within(0.02))


def test_each_stay_is_in_the_report_with_its_times(busy: Recorded) -> None:
    first, second = busy.stays("alice")
    (carol,) = busy.stays("carol")
    (left_s, *_) = busy.told.times_s("left", "alice")
    told_s = busy.within(TOLD_S)
    assert (first.joined_s, first.left_s) == pytest.approx((0, left_s), abs=told_s)
    assert second.joined_s == pytest.approx(busy.told.times_s("joined", "alice")[-1], abs=told_s)
    assert carol.joined_s == pytest.approx(busy.told.times_s("joined", "carol")[-1], abs=told_s)
    for stay in (second, carol):
        assert stay.left_s == pytest.approx(busy.report.duration_s, abs=busy.within(0.02))
        # From when the call stands; nothing of it is missing.
        in_room_s = stay.left_s - stay.joined_s
        # Connecting is hard work, of which a busy machine makes seconds.
        assert in_room_s - CONNECTED_WITHIN_S - 10 * busy.lag.worst_s < stay.received_s <= in_room_s
        assert stay.lost_s <= busy.lag.late_s


def test_who_is_away_is_absent_in_the_intervals(busy: Recorded) -> None:
    absent = [
        interval
        for interval in busy.intervals("alice", IntervalKind.ABSENT)
        if np.ptp(interval) > 0.1
    ]
    first, second = busy.stays("alice")
    away = [(first.left_s, busy.report.duration_s), (0.0, second.joined_s)]
    assert np.shape(absent) == np.shape(away)
    assert absent == [pytest.approx(each, abs=0.05) for each in away]


def test_a_killed_participant_stalls_and_then_has_left(busy: Recorded) -> None:
    (bob,) = busy.stays("bob")
    (killed_s,) = busy.marks_s
    assert bob.left_s == pytest.approx(busy.told.times_s("left", "bob")[0], abs=busy.within(TOLD_S))
    ((start_s, end_s),) = busy.intervals("bob", IntervalKind.STALLED)
    assert start_s == pytest.approx(killed_s, abs=busy.within(0.15))
    assert end_s == pytest.approx(bob.left_s, abs=busy.within(0.15))
    assert bob.received_s == pytest.approx(killed_s, abs=busy.within(0.15))


def test_all_are_heard_while_they_are_there_and_only_then(busy: Recorded) -> None:
    (killed_s,) = busy.marks_s
    start = busy.pcm[48000 : round(killed_s * 48000)]
    end = busy.pcm[-3 * 48000 : -48000]
    for name, then, now in (
        ("alice", start, end),
        ("bob", start, end),
        ("alice again", end, start),
        ("carol", end, start),
    ):
        assert loudness_of(VOICES[name], then) > 0.4
        assert loudness_of(VOICES[name], now) < 0.2


def test_two_of_one_room_stand_in_their_places_against_each_other(busy: Recorded) -> None:
    """Neither moves: each voice is as far from its place at the end as at its beginning."""
    for name in ("alice again", "carol"):
        places = [
            offset_of(busy.pcm[-low * 48000 : -(low - 1) * 48000], VOICES[name], 48000)[0] + low
            for low in (4, 3, 2)
        ]
        assert np.ptp(places) <= busy.within(0.02)


def test_a_restarted_server_harms_no_recording(recorded: dict[str, Recorded]) -> None:
    call = recorded["restart"]
    (stay,) = call.stays("restart")
    assert stay.reanchored == 0 or call.lag.late_s
    assert max(stay.lost_s, stay.late_s) <= call.lag.late_s
    assert stay.received_s == pytest.approx(call.report.duration_s, abs=call.within(0.1))
    found = pieces(call.pcm, talk())
    assert_in_place(found, at_least=len(found), within_s=call.within(0.020))
    assert [code.name for code, _ in call.told.recording] == ["START", "FINISH"]
