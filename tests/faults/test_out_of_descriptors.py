"""A process that may open no more files (RLIMIT_NOFILE)."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.storage.recover import recover
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import FileError, OpenFileError
from support.readers import read_all
from support.scripted_recording import listing
from support.signals import noise

RATE_HZ = 16000


@contextmanager
def no_more_files() -> Iterator[None]:
    """What is open stays so; nothing more can be opened."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def started(
    path: Path, cycle_time: int, seconds: float = 2
) -> tuple[AudioRecorder, ScriptedClock]:
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(path, sample_rate=RATE_HZ, cycle_time=cycle_time)
    recorder = AudioRecorder(config, clock=clock)
    await recorder.start()
    recorder.add_source("alice").push(noise(1, 4.0, RATE_HZ), RATE_HZ)
    await clock.advance(seconds)
    return recorder, clock


@pytest.mark.parametrize("cycle_time", [0, 10])
async def test_it_is_told_at_the_start(cycle_time: int, tmp_path: Path):
    recorder = AudioRecorder(
        AudioRecordingConfiguration(tmp_path / "a.wav", cycle_time=cycle_time),
        clock=ScriptedClock(),
    )
    with no_more_files(), pytest.raises(OpenFileError, match="too many open files"):
        await recorder.start()
    assert listing(tmp_path) == []


@pytest.mark.parametrize("seconds", [0, 2])
async def test_a_live_recording_that_has_begun_needs_no_more(seconds: float, tmp_path: Path):
    recorder, clock = await started(tmp_path / "a.wav", 0, seconds)
    with no_more_files():
        await clock.advance(4 - seconds)
        report = await recorder.stop()
    assert report.duration_s == 4
    assert len(read_all(tmp_path / "a.wav")[0]) == 4 * RATE_HZ


async def test_a_cyclic_recording_that_cannot_be_finished_keeps_its_ring(tmp_path: Path):
    recorder, clock = await started(tmp_path / "a.wav", 10)
    with no_more_files():
        await clock.advance(2)
        with pytest.raises(FileError, match="too many open files"):
            await recorder.stop()
    assert listing(tmp_path) == [tmp_path / "a.wav.ring"]
    assert recover(tmp_path / "a.wav").duration_s == 4
