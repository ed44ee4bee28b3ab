"""What the command line says of audio that came and is not in the file."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration, SourceReport
from roomtape.cli.telling import Teller, left_out_line
from roomtape.types import FrameOrigin, LeftOut
from roomtape.types.bounded import summed_up
from roomtape.types.clock import ScriptedClock


async def test_what_was_left_out_has_a_line_that_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=16000)
    async with AudioRecorder(config, clock=clock) as recorder:
        for name in ("alice", "bob"):
            source = recorder.add_source(name)
            source.push(np.ones(16000, np.int16), 16000, 0)
            if name == "bob":
                source.count_origin(
                    FrameOrigin.SENT, 16000, 16000, left_out=40000, dropped_packets=3
                )
        await clock.advance(2.0)
    assert recorder.report is not None
    Teller(asyncio.Event()).finished(recorder.report)
    _, alice, bob, left_out = capsys.readouterr().out.splitlines()
    assert alice.startswith("  alice: ")
    assert bob.endswith("3 packets dropped by this machine")
    why = "2.50 s came faster than it can have been spoken"
    assert left_out == f"    left out 2.50 of 3.50 s: {why}"


@pytest.mark.parametrize("reason", LeftOut)
async def test_each_reason_has_words(reason: LeftOut, tmp_path: Path) -> None:
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=16000)
    async with AudioRecorder(config, clock=clock) as recorder:
        recorder.add_source("alice").push(np.ones(16000, np.int16), 16000, 0)
        await clock.advance(1.0)
    assert recorder.report is not None
    (alice,) = recorder.report.sources
    left_out = dataclasses.replace(alice, left_out={reason: 2.0}, left_out_s=2.0)
    assert left_out_line(left_out).startswith("left out 2.00 of 1.00 s: 2.00 s ")


def test_a_sum_of_many_has_every_field() -> None:
    given = inspect.getsource(summed_up)
    fields = {each.name for each in dataclasses.fields(SourceReport)}
    assert {name for name in fields if f"{name}=" not in given} == {"intervals"}
