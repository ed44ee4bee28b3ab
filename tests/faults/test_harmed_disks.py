"""Real disks that run out of inodes, hang, turn read-only or forbid the target's name.

All need root, to mount them. What the tests of injected faults assume, the kernel does here.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration, ErrorCode
from roomtape.recording import reservation as target
from roomtape.storage.recover import recover
from roomtape.types import AudioRecordingCode, RecordingEvent
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import FileError
from support.disks import LoopDisk, immutable, loop_disk, need_root, run_as_root, tmpfs
from support.lag import Lag
from support.readers import read_all
from support.scripted_call import joined_call
from support.scripted_recording import listing, record_scripted, until
from support.signals import noise

pytestmark = pytest.mark.root

RATE_HZ = 16000
START, ERROR, OPEN_FILE_FAILED = (
    AudioRecordingCode.START,
    AudioRecordingCode.ERROR,
    AudioRecordingCode.OPEN_FILE_FAILED,
)
BOTH_KINDS = pytest.mark.parametrize("cycle_time", [0, 10], ids=["live", "cyclic"])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    need_root()
    with loop_disk(tmp_path) as disk:
        yield disk


class Recording:
    """A recorder on a scripted clock, fed with noise."""

    def __init__(self, path: Path, cycle_time: int) -> None:
        self.clock = ScriptedClock()
        self.events: list[RecordingEvent] = []
        self.recorder = AudioRecorder(
            AudioRecordingConfiguration(path, sample_rate=RATE_HZ, cycle_time=cycle_time),
            on_event=self.events.append,
            clock=self.clock,
        )

    async def run(self, seconds: int) -> None:
        if not self.recorder.sources:
            await self.recorder.start()
            self.recorder.add_source("alice")
        for _ in range(seconds):
            self.recorder.sources[0].push(noise(1, 1.0, RATE_HZ), RATE_HZ)
            await self.clock.advance(1)

    @property
    def codes(self) -> list[AudioRecordingCode]:
        return [each.code for each in self.events if isinstance(each.code, AudioRecordingCode)]


@BOTH_KINDS
async def test_a_disk_without_inodes_is_told_at_the_start(cycle_time: int, tmp_path: Path):
    need_root()
    with tmpfs(tmp_path / "small", options="size=8M,nr_inodes=1") as small:
        outcome = await record_scripted(small / "a.wav", cycle_time=cycle_time)
        assert "no space left" in outcome.refused
        assert outcome.codes == []
        assert listing(small) == []


async def test_a_disk_without_an_inode_for_the_finished_file_keeps_the_ring(tmp_path: Path):
    need_root()
    with tmpfs(tmp_path / "small", options="size=8M,nr_inodes=2") as small:
        outcome = await record_scripted(small / "a.wav", cycle_time=10)
        assert outcome.codes == [START, ERROR]
        assert listing(small) == [small / "a.wav.ring"]
        # More room, and it is recovered where it was meant to go.
        run_as_root("mount", "-o", "remount,nr_inodes=9", str(small))
        assert recover(small / "a.wav.ring").duration_s == 1.6
        assert listing(small) == [small / "a.wav"]


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_disk_that_turns_read_only_is_one_error_and_what_was_synced_is_readable(
    suffix: str, disk: LoopDisk
):
    path = disk.path / f"a.{suffix}"
    here = Recording(path, 0)
    await here.run(5)
    disk.break_down()
    await here.run(3)
    await until(lambda: here.recorder.over)
    assert here.codes == [START, ERROR]
    report = here.recorder.report
    assert report is not None
    assert report.error in ("read-only file system", "input/output error")
    # All that was heard until the error, what the mixer still held included.
    assert 4.95 <= report.unwritten_s + report.duration_s <= 8
    assert len(read_all(path)[0]) / RATE_HZ >= 3
    disk.unmount()
    disk.mount()
    assert 3 <= len(read_all(path)[0]) / RATE_HZ <= 5


async def test_a_ring_on_a_disk_that_turns_read_only_is_recovered_elsewhere(
    disk: LoopDisk, tmp_path: Path
):
    here = Recording(disk.path / "a.wav", 10)
    await here.run(15)
    disk.break_down()
    with pytest.raises(FileError, match=r"read-only|input/output"):
        await here.recorder.stop()
    assert here.codes == [START, ERROR]
    disk.unmount()
    disk.mount()
    recovered = recover(disk.path / "a.wav.ring", tmp_path / "b.wav")
    assert recovered.start_s + recovered.duration_s >= 13
    assert recovered.missing == ()


async def test_a_file_that_may_not_be_moved_aside_is_told_and_stays(tmp_path: Path):
    need_root()
    older = tmp_path / "a.wav"
    older.write_bytes(b"an older recording")
    with immutable(older):
        outcome = await record_scripted(older)
        assert "not permitted" in outcome.refused
        assert listing(tmp_path) == [older]
        # A cyclic one needs the name only at its end.
        outcome = await record_scripted(older, cycle_time=10)
        assert outcome.codes == [START, ERROR]
        assert listing(tmp_path) == [older, tmp_path / "a.wav.ring"]
        assert older.read_bytes() == b"an older recording"
    assert recover(tmp_path / "a.wav.ring").duration_s == 1.6
    assert (tmp_path / "a.1.wav").read_bytes() == b"an older recording"


@pytest.mark.realtime
async def test_a_disk_that_is_frozen_for_seconds_costs_nothing(disk: LoopDisk, lag: Lag):
    events: list[RecordingEvent] = []
    recorders = [
        AudioRecorder(
            AudioRecordingConfiguration(disk.path / name, sample_rate=RATE_HZ, cycle_time=cycle_s),
            on_event=events.append,
        )
        for name, cycle_s in (("a.wav", 0), ("b.aac", 10))
    ]
    for each in recorders:
        await each.start()
        each.add_source("alice").push(noise(1, 6.0, RATE_HZ), RATE_HZ)
    begin_s = time.monotonic()
    await asyncio.sleep(0.5)
    await asyncio.to_thread(disk.freeze)
    await asyncio.sleep(3.5)
    await asyncio.to_thread(disk.thaw)
    await asyncio.sleep(0.3)
    reports = [await each.stop() for each in recorders]
    ran_s = time.monotonic() - begin_s
    told = Counter(event.code.name for event in events)
    assert told == {"START": 2, "SLOW_DISK": 2, "FINISH": 2}
    for report in reports:
        assert report.unwritten_s == 0
        assert ran_s - 1 - lag.worst_s < report.duration_s <= ran_s + 0.1 + lag.worst_s
        assert len(read_all(report.file_path)[0]) == round(report.duration_s * RATE_HZ)


@BOTH_KINDS
async def test_a_disk_that_is_frozen_at_the_start_is_told_in_bounded_time_and_stays_clean(
    cycle_time: int, disk: LoopDisk, monkeypatch: pytest.MonkeyPatch
):
    path = disk.path / "a.wav"
    config = AudioRecordingConfiguration(path, cycle_time=cycle_time)
    kept = listing(disk.path)
    async with joined_call() as call:
        await asyncio.to_thread(disk.freeze)
        async with asyncio.timeout(60):
            with monkeypatch.context() as patch:
                patch.setattr(target, "MOST_START_S", 0.5)
                code = await call.engine.start_audio_recording_with_config(config)
        assert code is ErrorCode.FATAL
        assert "the disk has not answered for 0.5 s" in call.engine.last_error
        assert call.ear.recording == [(OPEN_FILE_FAILED, str(path))]
        await asyncio.to_thread(disk.thaw)
        await until(lambda: listing(disk.path) == kept)
        # It answers again, and takes a recording.
        assert await call.engine.start_audio_recording_with_config(config) is ErrorCode.OK
        await call.clock.advance(1)
        assert await call.engine.stop_audio_recording() is ErrorCode.OK
    assert listing(disk.path) == sorted([*kept, path])
