"""Somebody does the worst that the room server allows, and a speaker is heard all the same.

One kind after the other in one room, after a stretch without any: that is the control of all.
"""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass, field

import numpy as np
import pytest

from roomtape.rooms.webrtc.room import WebRtcRoom
from support.lag import Lag
from support.processes import SUPPORT, python_process, tell
from support.recorded_call import Takes
from support.room_attack import descriptors, resident_mib
from support.room_listener import RoomEar
from support.serving import serving

pytestmark = [pytest.mark.network, pytest.mark.alone]

FRAME = 960
CONTROL_S = 4.0
KINDS = ("candidates", "offers", "states", "visits")


@dataclass
class Suffered:
    """What a stretch of time cost.

    Attributes:
        lost_s: How much of alice is missing from it: what comes more than half a second late has no
            place in a recording.
        events: How much was told meanwhile.
        ended: Whether her audio ended.
        descriptors, mib: By how much more there are after it.
    """

    lost_s: float
    events: int
    ended: bool
    descriptors: int
    mib: float


@dataclass
class Flooded:
    stretches: dict[str, Suffered]
    lag: Lag = field(default_factory=Lag)


async def suffer(ear: RoomEar, mallory: subprocess.Popen[str], kind: str | None) -> Suffered:
    start, events = len(ear.frames["alice"]), len(ear.events)
    before, before_mib = descriptors(), resident_mib()
    if kind is None:
        await asyncio.sleep(CONTROL_S)
    else:
        tell(mallory, kind)
        assert mallory.stdout is not None
        assert (await asyncio.to_thread(mallory.stdout.readline)).startswith("done")
    # What was held up still comes.
    await ear.until_heard("alice", 0.7)
    pts = np.array([frame.pts or 0 for frame in ear.frames["alice"]])
    arrivals_s = np.array(ear.arrivals_ns["alice"]) / 1e9
    late_s = arrivals_s - pts / 48000
    late_s -= late_s.min()
    in_time = np.count_nonzero(late_s[start:] < 0.5)
    return Suffered(
        lost_s=float(((pts[-1] - pts[start]) / FRAME + 1 - in_time) * 0.02),
        events=len(ear.events) - events,
        ended=("track ended", "alice") in ear.events,
        descriptors=descriptors() - before,
        mib=resident_mib() - before_mib,
    )


async def scene() -> dict[str, Flooded]:
    with serving() as (_, url):
        room, ear = WebRtcRoom(url), RoomEar()
        await room.join(token=None, channel="standup", uid="tape", listener=ear, local_audio=None)
        speak = (str(SUPPORT / "room_client.py"), url, "standup", "alice", "120")
        harm = (str(SUPPORT / "mallory.py"), url, "tape")
        async with (
            python_process(*speak, ready="joined"),
            python_process(*harm, ready="joined") as mallory,
        ):
            await ear.until_heard("alice", 1.0)
            stretches = {"control": await suffer(ear, mallory, None)}
            for kind in KINDS:
                stretches[kind] = await suffer(ear, mallory, kind)
        await room.leave()
    return {"all": Flooded(stretches)}


@pytest.fixture(scope="module")
def takes() -> Takes:
    return Takes(scene)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_through_the_server_costs_no_audio(
    kind: str, takes: Takes, attempt: int, lag: Lag
) -> None:
    stretches = takes.of(attempt, lag)["all"].stretches
    control, suffered = stretches["control"], stretches[kind]
    assert not suffered.ended
    assert suffered.events < 250, "what everybody is told of is bounded"
    assert suffered.lost_s <= control.lost_s + 0.04
    assert suffered.descriptors <= 20
    assert suffered.mib < 30
