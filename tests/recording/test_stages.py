"""A tick has stages: mixing, encoding, writing. A recording can end between any two of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.types.clock import ScriptedClock
from support.signals import noise

RATE = 16000


@pytest.mark.parametrize("stages", [0, 1, 2])
async def test_what_was_mixed_is_written_wherever_a_tick_was_when_the_recording_ended(
    tmp_path: Path, stages: int
) -> None:
    clock, path, speech = ScriptedClock(), tmp_path / "call.wav", noise(1, 4, RATE)
    recorder = AudioRecorder(AudioRecordingConfiguration(path, sample_rate=RATE), clock=clock)
    await recorder.start()
    recorder.add_source("alice").push(speech, RATE, 0)
    await clock.advance(3.05)
    run = recorder._run
    assert run is not None
    stage = run.pump.tick(clock.now_ns())
    for _ in range(stages):
        assert stage is not None
        stage = stage()
    await recorder.stop()
    while stage is not None:  # it comes too late, and does nothing
        stage = stage()
    recording, _ = soundfile.read(path, dtype="int16")
    assert np.array_equal(recording, speech[: len(recording)])
    assert len(recording) == 3.05 * RATE
