"""Somebody does the worst that the room server allows, and a speaker is heard all the same."""

from __future__ import annotations

import asyncio
import subprocess

import numpy as np
import pytest

from roomtape.rooms.webrtc.room import WebRtcRoom
from support.processes import SUPPORT, python_process, tell
from support.room_attack import descriptors, resident_mib
from support.room_listener import RoomEar
from support.serving import serving

pytestmark = [pytest.mark.network, pytest.mark.alone]

FRAME = 960


async def _lost_s(ear: RoomEar, attack: subprocess.Popen[str] | None) -> float:
    """How much of alice is missing from the next seconds, or from those that an attack takes.

    What comes more than half a second late has no place in a recording.
    """
    start = len(ear.frames["alice"])
    if attack is None:
        await asyncio.sleep(6.0)
    else:
        tell(attack, "go")
        assert attack.stdout is not None
        assert (await asyncio.to_thread(attack.stdout.readline)).startswith("done")
    # What was held up still comes.
    await ear.until_heard("alice", 1.0)
    pts = np.array([frame.pts or 0 for frame in ear.frames["alice"]])
    arrivals_s = np.array(ear.arrivals_ns["alice"]) / 1e9
    late_s = arrivals_s - pts / 48000
    late_s -= late_s.min()
    in_time = np.count_nonzero(late_s[start:] < 0.5)
    return float(((pts[-1] - pts[start]) / FRAME + 1 - in_time) * 0.02)


@pytest.mark.parametrize("kind", ["candidates", "offers", "states", "visits"])
async def test_a_flood_through_the_server_costs_no_audio(kind: str) -> None:
    with serving() as (_, url):
        room, ear = WebRtcRoom(url), RoomEar()
        await room.join(token=None, channel="standup", uid="tape", listener=ear, local_audio=None)
        speak = (str(SUPPORT / "room_client.py"), url, "standup", "alice")
        harm = (str(SUPPORT / "mallory.py"), url, kind, "tape")
        async with (
            python_process(*speak, ready="joined"),
            python_process(*harm, ready="joined") as mallory,
        ):
            await ear.until_heard("alice", 1.0)
            control_s = await _lost_s(ear, None)
            before, before_mib = descriptors(), resident_mib()
            attack_s = await _lost_s(ear, mallory)
            assert ("track ended", "alice") not in ear.events
            assert len(ear.events) < 250, "what everybody is told of is bounded"
            assert attack_s <= control_s + 0.04
            assert descriptors() <= before + 20
            assert resident_mib() < before_mib + 30
        await room.leave()
