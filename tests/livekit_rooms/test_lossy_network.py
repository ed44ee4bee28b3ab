"""A LiveKit server behind a network that loses one packet in ten."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.lag import Lag
from support.livekit_call import livekit_room, talkers
from support.livekit_relay import ADDRESS, LiveKitRelay
from support.livekit_server import livekit_server, until
from support.recorded_call import Recorded, RecordingClient, Takes

pytestmark = pytest.mark.network

LOSS = 0.1
LOSSY_S = 15.0
PACKET_S = 0.02


async def lossy_call(directory: Path) -> dict[str, Recorded]:
    with livekit_server(media_ip=ADDRESS) as server:
        relay = LiveKitRelay(server.media_port, loss=LOSS)
        await relay.open()
        try:
            async with (
                talkers(server, "lossy", "alice") as others,
                RecordingClient(server.url, "lossy", room=livekit_room(server)) as client,
            ):
                await client.told.until("joined", "alice")
                await until(lambda: relay.passed > 50)
                await client.start(directory / "lossy.wav")
                for voice in ("alice", "bob", "carol"):
                    others.say("alice", voice)
                relay.lossy = True
                await asyncio.sleep(LOSSY_S)
                relay.lossy = False
                await asyncio.sleep(1.0)
                recorded = await client.stop()
                recorded.counts = {"sent": relay.sent, "lost": relay.lost}
                return {"lossy": recorded}
        finally:
            await relay.close()


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Takes:
    return Takes(lambda: lossy_call(tmp_path_factory.mktemp("lossy")))


@pytest.fixture
def lossy(takes: Takes, attempt: int, lag: Lag) -> Recorded:
    return takes.of(attempt, lag)["lossy"]


def test_what_was_lost_on_the_way_is_reported(lossy: Recorded) -> None:
    (alice,) = lossy.stays("alice")
    lost_on_the_way_s = alice.lost_s - alice.late_s + alice.resent_s + alice.fec_s
    sent_s, lost_s = (lossy.counts[what] * PACKET_S for what in ("sent", "lost"))
    assert lost_s > 0.05 * sent_s, "the relay has lost next to nothing"
    assert lost_on_the_way_s == pytest.approx(lost_s, abs=0.01 * sent_s + lossy.lag.late_s)


def test_most_of_it_was_asked_for_again_and_came(lossy: Recorded) -> None:
    (alice,) = lossy.stays("alice")
    assert alice.resent_s > 0
    assert alice.lost_s < lossy.counts["lost"] * PACKET_S / 3 + lossy.lag.late_s
