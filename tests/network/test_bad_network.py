"""Real WebRTC over a relay that harms real packets, recorded by a real engine.

All calls run at the same time, each in a room of its own: 2.5 s undisturbed, then the harm, then
1.5 s undisturbed again. The tests look at what was recorded. Nothing is asked for again here:
tests/rooms/test_lost_on_the_way.py is about that.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from roomtape.server.app import RoomServer
from roomtape.types import IntervalKind
from support.lag import Lag
from support.processes import SUPPORT, python_process, tell
from support.recorded_call import (
    Harm,
    Recorded,
    RecordingClient,
    Speaker,
    Takes,
    assert_in_place,
    pieces,
    record_call,
    talk,
    until_flowing,
)
from support.relay import PACKET_S, Relay
from support.room_listener import voice

pytestmark = pytest.mark.network

QUIET_S = 2.5
CALM_S = 1.5
HELD_S = 1.0
TOLERANCE_S = 0.020
Calls = dict[str, Recorded]


def harm(seconds: float, **faults: float | bool) -> Harm:
    """Set the relay to ``faults`` for a while."""

    async def do(speaker: Speaker, client: RecordingClient) -> None:
        await asyncio.sleep(QUIET_S)
        client.mark()
        for name, value in faults.items():
            setattr(speaker.way, name, value)
        await asyncio.sleep(seconds)
        client.mark()
        for name, value in faults.items():
            setattr(speaker.way, name, type(value)(0))
        await asyncio.sleep(CALM_S)

    return do


async def wander(speaker: Speaker, client: RecordingClient) -> None:
    """The path gets 300 ms longer in mid-call, and stays so."""
    await asyncio.sleep(QUIET_S)
    speaker.way.delay_s = 0.3
    await asyncio.sleep(7 + CALM_S)


async def congest(speaker: Speaker, client: RecordingClient) -> None:
    """Nothing comes through for a second, and then at 2.5 times the pace of speech."""
    await asyncio.sleep(QUIET_S)
    client.mark()
    speaker.way.pace_s = 0.4 * PACKET_S
    speaker.way.held_until_s = asyncio.get_running_loop().time() + HELD_S
    await asyncio.sleep(7 + CALM_S)


HARMS = {
    "nothing": harm(7),
    "loss15": harm(7, loss=0.15),
    "loss25": harm(7, loss=0.25),
    "outage": harm(2, cut=True),
    "reordering": harm(7, reordered=0.3),
    "copies": harm(7, copies=0.3),
    "jitter": harm(7, jitter_s=0.06),
    "longer": wander,
    "congestion": congest,
    "all": harm(7, loss=0.1, reordered=0.2, copies=0.2, jitter_s=0.03, delay_s=0.05),
}


async def stalled_call(relay: Relay, directory: Path, together: asyncio.Barrier) -> Recorded:
    """The speaker is a process of its own, whose event loop is blocked for a second."""
    client_program = str(SUPPORT / "room_client.py")
    async with (
        RecordingClient(relay.url, "stall") as client,
        python_process(client_program, relay.url, "stall", "stall", ready="joined") as speaker,
    ):
        await until_flowing(relay.way("stall", "stall-recorder"))
        await together.wait()
        await client.start(directory / "stall.wav")
        await asyncio.sleep(QUIET_S)
        client.mark()
        tell(speaker, "stall 1.0")
        await asyncio.sleep(1.0)
        client.mark()
        await asyncio.sleep(4.0)
        return await client.stop()


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Takes:
    async def scene() -> Calls:
        directory, together = tmp_path_factory.mktemp("calls"), asyncio.Barrier(len(HARMS) + 1)
        async with RoomServer("127.0.0.1", 0) as server, Relay(server.url, nack=False) as relay:
            recorded = await asyncio.gather(
                *(
                    record_call(relay, name, directory, harm, together)
                    for name, harm in HARMS.items()
                ),
                stalled_call(relay, directory, together),
            )
        return dict(zip((*HARMS, "stall"), recorded, strict=True))

    return Takes(scene)


@pytest.fixture
def calls(takes: Takes, attempt: int, lag: Lag) -> Calls:
    return takes.of(attempt, lag)


@pytest.mark.parametrize("name", [*HARMS, "stall"])
def test_the_recording_is_as_long_as_the_call(calls: Calls, name: str) -> None:
    call = calls[name]
    assert len(call.pcm) / 48000 == pytest.approx(call.wall_s, abs=call.within(TOLERANCE_S))
    assert call.report.duration_s == len(call.pcm) / 48000
    assert [code.name for code, _ in call.told.recording] == ["START", "FINISH"]


@pytest.mark.parametrize("name", HARMS)
def test_every_surviving_word_is_in_its_place(calls: Calls, name: str) -> None:
    call = calls[name]
    missing = [
        each
        for kind in (IntervalKind.LOST, IntervalKind.STALLED)
        for each in call.intervals(name, kind)
    ]
    found = pieces(call.pcm, talk(), lost=missing)
    assert_in_place(found, at_least=round(0.9 * len(found)), within_s=call.within(TOLERANCE_S))


@pytest.mark.parametrize("name", ["nothing", "reordering", "copies", "jitter", "longer"])
def test_a_network_that_delivers_everything_costs_nothing(calls: Calls, name: str) -> None:
    call = calls[name]
    (stay,) = call.stays(name)
    assert call.counts["lost"] == 0
    assert stay.reanchored == 0 or call.lag.late_s
    assert max(stay.lost_s, stay.late_s) <= call.lag.late_s
    lost = call.intervals(name, IntervalKind.LOST)
    assert min(piece.likeness for piece in pieces(call.pcm, talk(), lost=lost)) > 0.9


@pytest.mark.parametrize(("name", "share"), [("loss15", 0.15), ("loss25", 0.25), ("all", 0.1)])
def test_the_report_says_what_was_lost(calls: Calls, name: str, share: float) -> None:
    call = calls[name]
    (stay,) = call.stays(name)
    start_s, end_s = call.marks_s
    # The relay really did what it was asked to ...
    assert call.counts["lost"] * PACKET_S / (end_s - start_s) == pytest.approx(
        share, abs=0.06 + share * call.lag.worst_s
    )
    # ... and that is what the report says: within 1 % of the time.
    lost_s = call.counts["lost"] * PACKET_S
    assert stay.lost_s + stay.fec_s == pytest.approx(
        lost_s, abs=0.01 * (end_s - start_s) + call.lag.late_s
    )
    assert stay.late_s <= call.lag.late_s
    assert stay.received_s + stay.lost_s == pytest.approx(
        call.report.duration_s, abs=call.within(0.1)
    )
    lost = call.intervals(name, IntervalKind.LOST)
    assert sum(end - start for start, end in lost) == pytest.approx(stay.lost_s, abs=0.01)
    margin_s = call.within(0.1)
    assert all(start_s - margin_s < start and end < end_s + margin_s for start, end in lost)


def test_the_relay_did_what_the_tests_are_about(calls: Calls) -> None:
    assert calls["reordering"].counts["overtaken"] > 50
    assert calls["copies"].counts["copied"] > 50
    assert calls["all"].counts["overtaken"] > 20
    assert calls["all"].counts["copied"] > 20


def test_an_outage_of_two_seconds_is_a_stall_in_the_report(calls: Calls) -> None:
    call = calls["outage"]
    (stay,) = call.stays("outage")
    start_s, end_s = call.marks_s
    ((low_s, high_s),) = call.intervals("outage", IntervalKind.STALLED)
    assert low_s == pytest.approx(start_s, abs=call.within(0.1))
    assert high_s == pytest.approx(end_s, abs=call.within(0.1))
    assert stay.lost_s == pytest.approx(
        call.counts["lost"] * PACKET_S, abs=TOLERANCE_S + call.lag.late_s
    )
    silent = call.pcm[round((low_s + 0.02) * 48000) : round((high_s - 0.02) * 48000)]
    assert not silent.any()


def test_a_sender_that_stalls_is_back_in_its_place_afterwards(calls: Calls) -> None:
    call = calls["stall"]
    (stay,) = call.stays("stall")
    start_s, end_s = call.marks_s
    found = pieces(call.pcm, voice("stall", 30))
    assert_in_place(found, at_least=len(found) - 2, within_s=call.within(TOLERANCE_S))
    # What was said half a second or more before it came is missing, and no more than that.
    margin_s = call.within(0.1)
    assert 0.3 <= stay.lost_s <= call.within(0.8)
    assert stay.late_s == pytest.approx(stay.lost_s, abs=margin_s)
    for kind in (IntervalKind.LOST, IntervalKind.LATE):
        for low_s, high_s in call.intervals("stall", kind):
            assert start_s - margin_s <= low_s <= high_s <= end_s + margin_s
    assert min(p.likeness for p in found if p.at_s > end_s + margin_s) > 0.7


def test_a_link_that_catches_up_slowly_brings_words_too_late_but_never_out_of_place(
    calls: Calls,
) -> None:
    call = calls["congestion"]
    (stay,) = call.stays("congestion")
    (start_s,) = call.marks_s
    assert call.counts["lost"] == 0
    assert stay.reanchored == 0 or call.lag.late_s
    # It takes a third of a second until what comes is less than half a second late. 0.83 s of
    # speech come in that time; the last of it before the mixer is there.
    assert 0.5 <= stay.late_s <= call.within(1.2)
    assert stay.lost_s == pytest.approx(stay.late_s, abs=call.within(0.05))
    assert stay.received_s + stay.lost_s == pytest.approx(
        call.report.duration_s, abs=call.within(0.1)
    )
    for kind in (IntervalKind.LOST, IntervalKind.LATE):
        for low_s, high_s in call.intervals("congestion", kind):
            assert start_s - 0.1 <= low_s <= high_s <= start_s + HELD_S + call.within(0.7)
    found = pieces(call.pcm, talk())
    assert min(p.likeness for p in found if p.at_s > start_s + HELD_S + call.within(0.7)) > 0.9


def test_the_report_stands_beside_the_file(calls: Calls) -> None:
    for call in calls.values():
        file = Path(call.report.file_path)
        assert json.loads(file.with_name(f"{file.name}.json").read_text()) == json.loads(
            json.dumps(call.report.as_dict())
        )
