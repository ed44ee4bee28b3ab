"""A transport that conceals loss says how much there was, and not where."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from roomtape import ErrorCode, RtcEngine
from roomtape.rooms import MemoryRoom
from roomtape.types import AudioFrame, IntervalKind
from roomtape.types.clock import ScriptedClock


async def test_it_is_a_total_and_no_interval(tmp_path: Path) -> None:
    clock = ScriptedClock()
    room = MemoryRoom(clock)
    async with RtcEngine(room, clock=clock) as engine:
        await engine.join_channel(None, "standup", "me")
        for uid in ("bob", "carol"):
            room.enter(uid)
        started = await engine.start_audio_recording(str(tmp_path / "call.wav"), 48000)
        assert started is ErrorCode.OK
        pcm = np.full(480, 1000, np.int16)
        for number in range(100):
            lost = 960 if number % 50 == 10 else 0
            room.send("bob", AudioFrame(pcm, 48000, lost_somewhere=lost))
            room.send("carol", AudioFrame(pcm, 48000, number * 480))
            await clock.advance(0.01)
        await engine.stop_audio_recording()
        report = engine.last_recording_report
    assert report is not None
    sources = {source.name: source for source in report.sources}
    assert sources["bob"].loss_positions is False
    assert sources["bob"].lost_s == 0.04
    assert not [each for each in sources["bob"].intervals if each.kind is IntervalKind.LOST]
    assert sources["carol"].loss_positions is True
    assert sources["carol"].lost_s == 0.0
    assert report.as_dict()["sources"][0]["loss_positions"] is False
