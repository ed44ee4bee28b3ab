"""One participant's way to a LiveKit server is longer than another's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.lag import Lag
from support.livekit_call import later_than_said, livekit_room, talkers
from support.livekit_relay import ADDRESS, LiveKitRelay
from support.livekit_server import livekit_server
from support.recorded_call import RecordingClient

pytestmark = pytest.mark.network

LONGER_S = 0.15
REPORTS_S = 10.0
"""Two sender reports of each, and the time in which what they tell takes effect."""
SPOKEN_S = 2.5


async def test_trusted_clocks_bring_who_has_the_longer_way_beside_the_others(
    tmp_path: Path, lag: Lag
) -> None:
    with livekit_server(media_ip=ADDRESS) as server:
        relay = LiveKitRelay(server.media_port, loss=0.0)
        await relay.open()
        try:
            relay.longer_s = LONGER_S
            async with talkers(server, "slow", "bob") as slow:
                relay.longer_s = 0.0
                rooms = [livekit_room(server, trust_clocks=trusting) for trusting in (True, False)]
                async with (
                    talkers(server, "slow", "alice") as fast,
                    RecordingClient(server.url, "slow", room=rooms[0], uid="one") as trusting,
                    RecordingClient(server.url, "slow", room=rooms[1], uid="two") as doubting,
                ):
                    clients = {"trusting": trusting, "doubting": doubting}
                    for client in clients.values():
                        await client.told.until("joined", "alice")
                        await client.told.until("joined", "bob")
                    for name, client in clients.items():
                        await client.start(tmp_path / f"{name}.wav")
                    await asyncio.sleep(REPORTS_S)
                    fast.say("alice", "alice", SPOKEN_S)
                    slow.say("bob", "bob", SPOKEN_S)
                    await fast.has_said("alice", "alice")
                    await slow.has_said("bob", "bob")
                    await asyncio.sleep(SPOKEN_S + 1.0)
                    takes = {name: await client.stop() for name, client in clients.items()}
                    said = {uid: at for uid, _, at in (*fast.said, *slow.said)}
        finally:
            await relay.close()
    late: dict[tuple[str, str], float] = {}
    for name, take in takes.items():
        for uid, at in said.items():
            late[name, uid], likeness = later_than_said(take, uid, at)
            assert likeness > 0.3, (name, uid)
    (bob,) = takes["trusting"].stays("bob")
    assert bob.reanchored == 0
    assert bob.lost_s <= lag.late_s
    slack_s = lag.worst_s
    for uid in said:
        assert abs(late["trusting", uid]) < 0.040 + slack_s, late
    apart_s = late["doubting", "bob"] - late["doubting", "alice"]
    assert apart_s == pytest.approx(LONGER_S, abs=0.040 + slack_s), late
