"""rooms/rtp/receive.py: every packet that arrives becomes audio, whatever happens on the way."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from aiortc import RTCRtpReceiver

from roomtape.rooms.rtp import direct
from roomtape.rooms.rtp.packet import Rtp
from roomtape.rooms.webrtc.room import WebRtcRoom
from roomtape.server.app import RoomServer
from roomtape.types import NS_PER_S, FrameOrigin
from roomtape.types.clock import SystemClock
from support.lag import Lag
from support.room_listener import RoomEar, likeness, speaking, voice

pytestmark = pytest.mark.network


class Line:
    """The way of RTP packets into this process; drops those that ``loses`` names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loses: Callable[[int], bool] = lambda number: False
        self.arrived = 0
        self.sent = 0
        deliver = direct.received_directly

        def lossy(receiver: RTCRtpReceiver, packet: Rtp, arrived_ns: int) -> None:
            self.sent += 1
            if not self.loses(self.sent):
                self.arrived += bool(packet.payload)
                deliver(receiver, packet, arrived_ns)

        monkeypatch.setattr(direct, "received_directly", lossy)


async def heard_over(line: Line, seconds: float) -> RoomEar:
    """What one participant hears of another who speaks for so long, and then leaves."""
    ear, audio = RoomEar(), speaking("bob", seconds + 5)
    async with RoomServer("127.0.0.1", 0) as server:
        alice, bob = WebRtcRoom(server.url), WebRtcRoom(server.url)
        audio.start(SystemClock())
        await alice.join(token=None, channel="x", uid="alice", listener=ear, local_audio=None)
        await bob.join(token=None, channel="x", uid="bob", listener=RoomEar(), local_audio=audio)
        await ear.until(lambda: line.sent >= seconds * 50, within_s=seconds + 120)
        await bob.leave()
        await ear.until_event("left", "bob")
        await alice.leave()
        await audio.stop()
    return ear


def assert_in_place(ear: RoomEar) -> None:
    """Frames stand a whole number of packets apart, in order, and sound as they should."""
    steps = np.diff([frame.pts for frame in ear.frames["bob"]])
    assert (steps > 0).all()
    assert not (steps % 960).any()
    assert not any(frame.gap_is_silence for frame in ear.frames["bob"])
    start = ear.frames["bob"][0].pts
    end = ear.frames["bob"][-1].pts
    assert start is not None
    assert end is not None
    whole = np.zeros(end - start + 960, np.int16)
    for frame in ear.frames["bob"]:
        assert frame.pts is not None
        whole[frame.pts - start :][:960] = frame.pcm
    assert likeness(whole, voice("bob", 20)) > 0.5


async def test_under_loss_every_packet_that_arrived_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line, dice = Line(monkeypatch), random.Random(1)
    line.loses = lambda number: dice.random() < 0.25
    ear = await heard_over(line, 6)
    assert line.arrived < line.sent
    made_up = [each for each in ear.frames["bob"] if each.origin is FrameOrigin.FEC]
    assert len(ear.frames["bob"]) - len(made_up) == line.arrived
    assert_in_place(ear)


async def test_after_an_outage_every_packet_that_arrived_is_heard_and_nothing_stays_late(
    monkeypatch: pytest.MonkeyPatch, lag: Lag
) -> None:
    line = Line(monkeypatch)
    line.loses = lambda number: 100 <= number < 200
    ear = await heard_over(line, 6)
    assert len(ear.frames["bob"]) == line.arrived
    assert_in_place(ear)
    steps = np.diff([frame.pts for frame in ear.frames["bob"]]) // 960
    assert steps.max() == 101
    outage = int(steps.argmax())
    # How much later than its own time each frame came; the least of a few, as a busy machine
    # delays some.
    lateness_ns = np.array(ear.arrivals_ns["bob"]) - np.array(
        [frame.pts * 1_000_000_000 // 48000 for frame in ear.frames["bob"]]
    )
    later_s = (lateness_ns[outage + 20 :].min() - lateness_ns[:outage].min()) / NS_PER_S
    assert later_s < 0.020 + lag.worst_s


async def test_the_last_packets_before_a_goodbye_are_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Line(monkeypatch)
    ear = await heard_over(line, 2)
    assert len(ear.frames["bob"]) == line.arrived == line.sent
    assert ear.events == [
        ("joined", "bob"),
        ("track ended", "bob"),
        ("left", "bob", "left"),
        ("closed", "left"),
    ]
