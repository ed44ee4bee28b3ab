"""A disk that hangs for seconds, and one that hangs for good."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.recording import pump, run
from roomtape.types import AudioRecordingCode, RecordingEvent
from roomtape.types.errors import FileError
from support.faulty_disk import HangingDisk
from support.lag import Lag
from support.readers import read_all, read_libsndfile
from support.scripted_recording import listing, until
from support.signals import noise

pytestmark = pytest.mark.realtime

BLOCKED_S = 5.0
MOST_LOOP_BLOCK_S = 0.1  # we promise 0.02; a collection of garbage may take longer


class Heartbeat:
    """Measures for how long the event loop does not come round."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    async def beat(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.002)
            self.worst_s = max(self.worst_s, time.monotonic() - before - 0.002)


async def make_noise(sources: list[object]) -> None:
    """20 ms frames in real time."""
    pcm, start = noise(3, 10), time.monotonic()
    for number in range(50 * 60):
        await asyncio.sleep(max(0.0, start + number * 0.02 - time.monotonic()))
        at = number * 960 % len(pcm)
        for source in sources:
            source.push(pcm[at : at + 960], 48000, number * 960)


async def test_a_disk_that_blocks_for_5_s_blocks_nobody_and_costs_nothing(tmp_path: Path, lag: Lag):
    disk, events, heartbeat = HangingDisk("write", "fsync"), list[RecordingEvent](), Heartbeat()
    recorders = [
        AudioRecorder(
            AudioRecordingConfiguration(tmp_path / name, sample_rate=48000, cycle_time=cycle_time),
            on_event=events.append,
            disk=disk,
        )
        for name, cycle_time in (("a.wav", 0), ("a.aac", 0), ("b.wav", 10), ("b.aac", 10))
    ]
    for each in recorders:
        await each.start()
    noisy = asyncio.create_task(make_noise([each.add_source("alice") for each in recorders]))
    beating = asyncio.create_task(heartbeat.beat())
    await asyncio.sleep(2)
    before_s, heartbeat.worst_s = heartbeat.worst_s, 0.0
    disk.hang()
    await asyncio.sleep(BLOCKED_S)
    assert disk.waiting.is_set()
    disk.release()
    await asyncio.sleep(0.5)
    beating.cancel()
    lengths_s = [each.duration_s for each in recorders]
    reports = [await each.stop() for each in recorders]
    noisy.cancel()
    print(  # noqa: T201
        f"the event loop was blocked for at most {heartbeat.worst_s * 1000:.1f} ms "
        f"(before, with a disk that works: {before_s * 1000:.1f} ms)"
    )
    lag.look()
    assert heartbeat.worst_s <= MOST_LOOP_BLOCK_S + lag.worst_s
    told = Counter(event.code.name for event in events)
    assert told == {"START": 4, "SLOW_DISK": 4, "FINISH": 4}
    for report, length_s in zip(reports, lengths_s, strict=True):
        assert report.unwritten_s == 0
        assert report.sources[0].lost_s <= lag.late_s
        assert report.duration_s >= length_s - 0.02 - lag.worst_s
        pcm, rate_hz = read_all(report.file_path)
        assert len(pcm) / rate_hz == pytest.approx(report.duration_s, abs=0.001)
        # The noise goes through without a hole. (What AAC lets be heard of it before is quieter.)
        sounding = np.flatnonzero(np.abs(pcm) > 1000)
        assert sounding[0] < (0.2 + lag.worst_s) * rate_hz
        assert np.diff(sounding).max() < (0.005 + lag.late_s) * rate_hz


async def test_a_disk_that_hangs_beyond_the_bound_is_one_error_with_the_loss_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lag: Lag
):
    monkeypatch.setattr(pump, "_MOST_BACKLOG_S", 2)
    disk, events = HangingDisk("write"), list[RecordingEvent]()
    hung = AudioRecorder(
        AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=16000, report=True),
        on_event=events.append,
        disk=disk,
    )
    await hung.start()
    noisy = asyncio.create_task(make_noise([hung.add_source("alice")]))
    await asyncio.sleep(1.5)
    disk.hang()
    try:
        await until(lambda: hung.over)
        ran_s = hung.report.duration_s + hung.report.unwritten_s
        codes = [event.code for event in events if isinstance(event.code, AudioRecordingCode)]
        assert codes == [AudioRecordingCode.START, AudioRecordingCode.ERROR]
        assert "has not kept up" in hung.report.error
        assert 2 < hung.report.unwritten_s < 6 + lag.worst_s
        assert ran_s > 3.5
        # Nothing waits for the disk any more, and another recording starts at once.
        async with AudioRecorder(AudioRecordingConfiguration(tmp_path / "b.wav")) as other:
            assert other.recording
        pcm, _ = read_all(tmp_path / "a.wav")
        assert len(pcm) / 16000 >= hung.report.duration_s
    finally:
        noisy.cancel()
        disk.release()
    # The disk came back: what waited is written all the same, and nobody is told a second time.
    least = (ran_s - 0.8 - lag.worst_s) * 16000
    await until(lambda: len(read_libsndfile(tmp_path / "a.wav")[0]) > least)
    assert [event.code.name for event in events].count("ERROR") == 1


@pytest.mark.parametrize("cycle_time", [0, 10])
async def test_stop_returns_within_its_bound_on_a_disk_that_hangs(
    cycle_time: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run, "HUNG_DISK_S", 0.5)
    monkeypatch.setattr(run, "_SLOWEST_BYTES_PER_S", 1 << 30)
    disk, events = HangingDisk("write", "fsync"), list[RecordingEvent]()
    hung = AudioRecorder(
        AudioRecordingConfiguration(tmp_path / "a.wav", cycle_time=cycle_time, report=True),
        on_event=events.append,
        disk=disk,
    )
    await hung.start()
    disk.hang()
    try:
        await asyncio.sleep(0.3)
        async with asyncio.timeout(60):
            with pytest.raises(FileError, match="has not answered"):
                await hung.stop()
        assert events[-1].code is AudioRecordingCode.ERROR
        assert hung.report.unwritten_s > 0.2
    finally:
        disk.release()
    await until(lambda: [each.name for each in listing(tmp_path)] == ["a.wav"])
    await until(lambda: len(read_libsndfile(tmp_path / "a.wav")[0]) > 0.2 * 32000)
    assert [event.code.name for event in events].count("ERROR") == 1
