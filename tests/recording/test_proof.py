"""The report has the SHA-256 of its file, and maybe a signature, however the recording ends."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roomtape import (
    AudioRecorder,
    AudioRecordingConfiguration,
    Verdict,
    verify_recording,
)
from roomtape.analysis.marks import marks_of
from roomtape.recording import run
from roomtape.storage.disk import Disk
from roomtape.storage.proof.hashing import hashing
from roomtape.storage.recover import recover
from roomtape.types import AudioRecordingCode, RecordingEvent
from roomtape.types.clock import ScriptedClock
from support.faulty_disk import Fault, FaultyDisk, HangingDisk
from support.keys import write_keys
from support.readers import read_all
from support.report_files import digest, written
from support.scripted_recording import record_scripted
from support.signals import noise

KINDS = [("wav", 0), ("wav", 10), ("aac", 0), ("aac", 10)]


class NoReading(Disk):
    """Nothing can be read back, though it can be written."""

    def __init__(self) -> None:
        self.reads = 0

    def read_at(self, fd: int, count: int, offset: int) -> bytes:
        self.reads += 1
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize(("suffix", "cycle_time"), KINDS)
@pytest.mark.parametrize("seconds", [0.05, 1.6, 14.3])
async def test_the_report_has_the_hash_of_the_file(
    suffix: str, cycle_time: int, seconds: float, tmp_path: Path
):
    path = tmp_path / f"a.{suffix}"
    outcome = await record_scripted(path, seconds=seconds, cycle_time=cycle_time, report=True)
    assert outcome.report is not None
    assert outcome.report.sha256 == digest(path)
    assert written(path) == json.loads(json.dumps(outcome.report.as_dict()))
    assert verify_recording(path).ok


async def test_a_live_aac_is_hashed_as_it_is_written_and_never_read(tmp_path: Path):
    disk = NoReading()
    outcome = await record_scripted(tmp_path / "a.aac", disk=disk)
    assert outcome.report is not None
    assert (disk.reads, outcome.report.sha256) == (0, digest(tmp_path / "a.aac"))


async def test_a_file_that_cannot_be_read_back_is_finished_and_said_to_have_no_hash(tmp_path: Path):
    path = tmp_path / "a.wav"
    outcome = await record_scripted(path, disk=NoReading(), report=True)
    assert outcome.report is not None
    assert outcome.codes == [AudioRecordingCode.START, AudioRecordingCode.FINISH]
    assert outcome.report.sha256 == ""
    assert outcome.report.warnings == ("1.6 s: the SHA-256 is missing: input/output error",)
    found = verify_recording(path)
    assert found.verdict is Verdict.DAMAGED_REPORT
    assert "no sha-256" in found.words


@pytest.mark.parametrize(("suffix", "cycle_time"), KINDS)
async def test_a_recording_that_a_full_disk_breaks_off_fits_its_report(
    suffix: str, cycle_time: int, tmp_path: Path
):
    counting = FaultyDisk()
    await record_scripted(tmp_path / f"whole.{suffix}", disk=counting, cycle_time=cycle_time)
    writes = [at for at, name in enumerate(counting.calls) if name == "write"]
    for at in writes[2:]:
        path = tmp_path / f"{at}.{suffix}"
        outcome = await record_scripted(
            path, disk=FaultyDisk(Fault(at, errno.ENOSPC, "once")), cycle_time=cycle_time
        )
        assert outcome.report is not None
        assert outcome.report.error
        # Where the target never came to be, the report is about the ring.
        assert outcome.report.sha256 == digest(outcome.report.file_path)


async def test_half_a_frame_that_cannot_be_cut_off_belongs_to_the_file_and_its_hash(
    tmp_path: Path,
):
    class Torn(Disk):
        """A write fails half-way, and nothing can be cut off any more."""

        torn = False

        def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
            if name == "write" and args[2] > 5000:
                if not self.torn:
                    self.torn = True
                    return function(args[0], args[1][: len(args[1]) // 2 + 1], args[2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if name == "truncate" and self.torn:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return function(*args)

    outcome = await record_scripted(tmp_path / "a.aac", disk=Torn())
    assert outcome.report is not None
    assert outcome.report.error
    assert (tmp_path / "a.aac").stat().st_size > outcome.report.bytes_written
    assert outcome.report.sha256 == digest(tmp_path / "a.aac")


@pytest.mark.parametrize("suffix", ["wav", "aac"])
@pytest.mark.parametrize("what", ["renamed", "removed"])
async def test_a_file_that_somebody_moves_meanwhile_fits_its_report(
    what: str, suffix: str, tmp_path: Path
):
    path, clock = tmp_path / f"a.{suffix}", ScriptedClock()
    config = AudioRecordingConfiguration(path, report=True)
    async with AudioRecorder(config, clock=clock) as recorder:
        source = recorder.add_source("alice")
        source.push(noise(1, 2, 48000), 48000)
        await clock.advance(2)
        path.rename(tmp_path / f"b.{suffix}") if what == "renamed" else path.unlink()
    report = recorder.report
    assert report is not None
    assert Path(report.file_path).name == (f"b.{suffix}" if what == "renamed" else f"a.{suffix}")
    assert report.sha256 == digest(report.file_path)
    assert verify_recording(report.file_path).ok


@pytest.mark.parametrize(("suffix", "cycle_time"), KINDS)
async def test_what_is_recovered_has_its_hash(suffix: str, cycle_time: int, tmp_path: Path):
    path = tmp_path / f"a.{suffix}"
    if cycle_time:
        await record_scripted(path, seconds=3, cycle_time=cycle_time, disk=NoReading())
        path = tmp_path / f"a.{suffix}.ring"
    else:
        await record_scripted(path)
        path.write_bytes(path.read_bytes()[:-3])
    recovered = recover(path)
    assert not recovered.unchanged
    assert recovered.sha256 == digest(recovered.path)


async def test_a_live_file_that_others_write_into_does_not_fit(tmp_path: Path):
    """What was hashed is what was recorded."""
    path, clock = tmp_path / "a.aac", ScriptedClock()
    config = AudioRecordingConfiguration(path, report=True)
    async with AudioRecorder(config, clock=clock) as recorder:
        recorder.add_source("alice").push(noise(1, 2, 48000), 48000)
        await clock.advance(2)
        with path.open("r+b") as file:
            file.seek(500)
            file.write(b"forged")
    assert verify_recording(path).verdict is Verdict.FILE_CHANGED


async def test_without_a_thread_to_hash_on_the_hash_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    path = tmp_path / "a.wav"
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with hashing(True) as hashed:
            for piece in (b"a" * 1000, b"b"):
                hashed.add(piece)
            assert hashed.hexdigest() == hashlib.sha256(b"a" * 1000 + b"b").hexdigest()
    outcome = await record_scripted(path, cycle_time=10)
    assert outcome.report is not None
    assert outcome.report.sha256 == digest(path)


@pytest.mark.realtime
async def test_a_disk_that_hangs_at_the_hash_keeps_nobody_from_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run, "MOST_HASH_S", 0.2)
    disk, events = HangingDisk("read"), list[RecordingEvent]()
    config = AudioRecordingConfiguration(tmp_path / "a.wav")
    try:
        async with asyncio.timeout(120):
            async with AudioRecorder(config, on_event=events.append, disk=disk) as recorder:
                await asyncio.sleep(0.3)
                disk.hang()
        assert disk.waiting.is_set()
    finally:
        disk.release()
    assert [each.code for each in events] == [AudioRecordingCode.START, AudioRecordingCode.FINISH]
    report = recorder.report
    assert report is not None
    assert (report.sha256, report.error) == ("", "")
    assert "the SHA-256 is missing: the disk has taken more than" in report.warnings[-1]


@pytest.mark.parametrize(("suffix", "cycle_time"), KINDS)
async def test_a_part_that_is_saved_has_its_hash_its_marks_and_its_signature(
    suffix: str, cycle_time: int, tmp_path: Path
):
    private, public = write_keys(tmp_path)
    path, part, clock = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}", ScriptedClock()
    config = AudioRecordingConfiguration(
        path, sample_rate=16000, cycle_time=cycle_time, sign=private
    )
    async with AudioRecorder(config, clock=clock) as recorder:
        source = recorder.add_source("alice")
        for second in range(14):
            source.push(noise(second, 1, 16000), 16000, second * 16000)
            recorder.mark(f"second {second}")
            await clock.advance(1)
            if second == 11:
                saving = asyncio.ensure_future(recorder.save(part, last_s=3))
        report = await saving
    assert report.sha256 == digest(part)
    first = round(report.skipped_s * 16000)
    assert [(mark.label, mark.sample) for mark in report.marks] == [
        (f"second {second}", second * 16000 - first)
        for second in range(14)
        if 0 <= second * 16000 - first <= report.duration_s * 16000
    ]
    assert len(report.marks) >= 3
    assert marks_of(part) == report.marks
    assert report.bytes_written == part.stat().st_size
    assert len(read_all(part)[0]) == round(report.duration_s * 16000)
    for each in (part, path):
        assert verify_recording(each, key=public).ok
