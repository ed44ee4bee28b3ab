"""Loss on real packets, both ways: what is asked for again, what FEC makes up for, what is missing,
and whether the report says so."""

from __future__ import annotations

import asyncio

import pytest

from roomtape.server.app import RoomServer
from roomtape.types import LeftOut
from support.lag import Lag
from support.recorded_call import (
    Harm,
    Recorded,
    RecordingClient,
    Speaker,
    Takes,
    pieces,
    record_call,
    talk,
)
from support.relay import PACKET_S, Relay

pytestmark = pytest.mark.network

QUIET_S = 2.5
CALM_S = 1.5
LOSSY_S = 16.0
ONE_WAY_S = 0.030
Calls = dict[str, Recorded]

LOSSES = {"loss5": 0.05, "loss10": 0.10, "loss20": 0.20}
MISSING = {"loss5": 0.005, "loss10": 0.02, "loss20": 0.06}


def lossy(relay: Relay, name: str, share: float, *, nack: bool = True) -> Harm:
    ways = [relay.way(name, f"{name}-recorder"), relay.way(f"{name}-recorder", name)]
    for way in ways:
        way.delay_s, way.rtcp, way.nack = ONE_WAY_S, True, nack

    async def do(speaker: Speaker, client: RecordingClient) -> None:
        await asyncio.sleep(QUIET_S)
        client.mark()
        for way in ways:
            way.loss = share
        await asyncio.sleep(LOSSY_S)
        client.mark()
        for way in ways:
            way.loss = 0.0
        await asyncio.sleep(CALM_S)

    return do


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Takes:
    async def scene() -> Calls:
        directory, together = tmp_path_factory.mktemp("calls"), asyncio.Barrier(4)
        async with RoomServer("127.0.0.1", 0) as server, Relay(server.url) as relay:
            harms = {name: lossy(relay, name, share) for name, share in LOSSES.items()}
            harms["unasked"] = lossy(relay, "unasked", 0.05, nack=False)
            recorded = await asyncio.gather(
                *(
                    record_call(relay, name, directory, harm, together)
                    for name, harm in harms.items()
                )
            )
        return dict(zip(harms, recorded, strict=True))

    return Takes(scene)


@pytest.fixture
def calls(takes: Takes, attempt: int, lag: Lag) -> Calls:
    return takes.of(attempt, lag)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_lost_on_the_way_is_asked_for_again(calls: Calls, name: str) -> None:
    call = calls[name]
    (stay,) = call.stays(name)
    # The relay really did what it was asked to ...
    assert call.counts["dropped"] * PACKET_S / LOSSY_S == pytest.approx(LOSSES[name], abs=0.04)
    # ... and next to nothing of it is missing from the file.
    assert stay.lost_s <= MISSING[name] * LOSSY_S + call.lag.late_s
    assert stay.reanchored == 0
    found = pieces(call.pcm, talk())
    worst_s = max(abs(piece.off_s) for piece in found if piece.likeness > 0.7)
    assert worst_s < call.within(0.020)
    assert sum(piece.likeness > 0.7 for piece in found) >= len(found) - 1


@pytest.mark.parametrize("name", [*LOSSES, "unasked"])
def test_the_report_says_what_was_lost_what_came_back_and_what_was_made_up_for(
    calls: Calls, name: str
) -> None:
    call = calls[name]
    (stay,) = call.stays(name)
    within_s = 0.01 * LOSSY_S + call.lag.late_s
    dropped_s = call.counts["dropped"] * PACKET_S
    assert stay.resent_s == pytest.approx(call.counts["resent"] * PACKET_S, abs=within_s)
    assert stay.lost_s - stay.late_s + stay.resent_s + stay.fec_s == pytest.approx(
        dropped_s, abs=within_s
    )
    assert LeftOut.TOO_FAST not in stay.left_out


def test_without_answers_forward_error_correction_halves_what_is_missing(calls: Calls) -> None:
    call = calls["unasked"]
    (stay,) = call.stays("unasked")
    dropped_s = call.counts["dropped"] * PACKET_S
    assert dropped_s > 0.3
    assert call.counts["resent"] == 0 == stay.resent_s
    assert stay.fec_s > 0
    assert stay.lost_s <= dropped_s / 2 + call.lag.late_s
