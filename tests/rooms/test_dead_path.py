"""A path between two participants that dies without a word, and the one that takes its place."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from roomtape.server.app import RoomServer
from roomtape.types import IntervalKind
from support.recorded_call import RecordingClient, speak, until_flowing
from support.relay import Relay

pytestmark = pytest.mark.network


async def test_a_path_that_dies_is_made_anew_and_the_hole_is_in_the_report(tmp_path: Path) -> None:
    async with (
        RoomServer("127.0.0.1", 0) as server,
        Relay(server.url) as relay,
        RecordingClient(relay.url, "x") as client,
        AsyncExitStack() as stack,
    ):
        bob = await speak(relay, "x", "bob", stack)
        await until_flowing(bob.way)
        await client.start(tmp_path / "x.wav")
        await asyncio.sleep(2.0)
        client.mark()
        relay.kill_path("bob", "x-recorder")
        streams = len(bob.way.counts)
        while len(bob.way.counts) == streams:  # noqa: ASYNC110 (a new call is a new stream)
            await asyncio.sleep(0.05)
        await until_flowing(bob.way)
        recorded = await client.stop()
        assert recorded.told.times_s("left", "bob") == []
    (dead_s,) = recorded.marks_s
    (stay,) = recorded.stays("bob")
    ((start_s, end_s),) = recorded.intervals("bob", IntervalKind.STALLED)
    assert start_s == pytest.approx(dead_s, abs=0.3)
    # Five seconds until it is noticed, one until the first new offer, and that takes a while.
    assert 5.0 < end_s - start_s < 10.0
    assert stay.lost_s == pytest.approx(end_s - start_s, abs=0.3)
    assert recorded.pcm[-24000:].any()


async def test_a_path_over_which_nobody_speaks_does_not_die(tmp_path: Path) -> None:
    async with (
        RoomServer("127.0.0.1", 0) as server,
        Relay(server.url) as relay,
        RecordingClient(relay.url, "x") as client,
        AsyncExitStack() as stack,
    ):
        bob = await speak(relay, "x", "bob", stack)
        await until_flowing(bob.way)
        bob.way.cut = True  # RTP, as when somebody says nothing for long; the path is there
        await client.start(tmp_path / "x.wav")
        await asyncio.sleep(7.0)
        bob.way.cut = False
        await until_flowing(bob.way)
        await client.stop()
    assert len(bob.way.counts) == 1
