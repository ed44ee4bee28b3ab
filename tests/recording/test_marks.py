"""Marks: moments with a name, in the report, and in WAV files where everybody reads them."""

from __future__ import annotations

import errno
import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import (
    AudioRecorder,
    AudioRecordingConfiguration,
    ErrorCode,
    Mark,
    RecordingReport,
    verify_recording,
)
from roomtape.analysis.inspect import inspect_file
from roomtape.analysis.marks import marks_of
from roomtape.recording.marks import MOST_LABEL_CHARACTERS, MOST_MARKS
from roomtape.storage.disk import Disk
from roomtape.storage.recover import recover
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import StateError
from support.cues import read_cues_libsndfile
from support.damage import names_in
from support.faulty_disk import Fault, FaultyDisk
from support.readers import read_all
from support.scripted_call import joined_call
from support.signals import noise

RATE_HZ = 32000


async def marked(
    path: Path, *, seconds: int = 3, disk: Disk | None = None, marks: bool = True, **config: Any
) -> RecordingReport:
    """Record noise, and mark second 1 as it comes and 0.5 s afterwards."""
    clock = ScriptedClock()
    recorder = AudioRecorder(AudioRecordingConfiguration(path, **config), clock=clock, disk=disk)
    async with recorder:
        source = recorder.add_source("alice")
        for second in range(seconds):
            source.push(noise(second, 1, RATE_HZ), RATE_HZ, second * RATE_HZ)
            await clock.advance(1)
            if marks and second == seconds - 2:
                recorder.mark("complaint starts")
                recorder.mark("Beschwerde \u00e4\u4e2d\U0001f600", at=second + 0.5)
    assert recorder.report is not None
    return recorder.report


@pytest.mark.parametrize("cycle_time", [0, 10], ids=["live", "cyclic"])
@pytest.mark.parametrize("seconds", [3, 14])
async def test_everybody_reads_a_wav_with_marks_as_one_without(
    seconds: int, cycle_time: int, tmp_path: Path
):
    path, plain = tmp_path / "a.wav", tmp_path / "b.wav"
    report = await marked(path, seconds=seconds, cycle_time=cycle_time, report=True)
    await marked(plain, seconds=seconds, cycle_time=cycle_time, marks=False)
    assert np.array_equal(read_all(path)[0], read_all(plain)[0])
    kept_from = max(0, seconds - 10) if cycle_time else 0
    first = round((seconds - 1.5 - kept_from) * RATE_HZ)
    wanted = [(first, "Beschwerde \u00e4\u4e2d\U0001f600"), (first + 16000, "complaint starts")]
    assert [(mark.sample, mark.label) for mark in report.marks] == wanted
    assert [mark.at_s for mark in report.marks] == [first / RATE_HZ, first / RATE_HZ + 0.5]
    assert read_cues_libsndfile(path) == wanted
    assert marks_of(path) == report.marks
    found = inspect_file(path)
    assert (found.damage, found.notes, found.marks) == ((), (), report.marks)
    assert report.bytes_written == path.stat().st_size
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert verify_recording(path).ok
    whole = path.read_bytes()
    assert whole[: plain.stat().st_size][80:] == plain.read_bytes()[80:]
    assert recover(path).unchanged
    assert path.read_bytes() == whole


@pytest.mark.parametrize("cycle_time", [0, 10], ids=["live", "cyclic"])
async def test_the_marks_of_an_aac_are_in_its_report(cycle_time: int, tmp_path: Path):
    path, plain = tmp_path / "a.aac", tmp_path / "b.aac"
    report = await marked(path, cycle_time=cycle_time, report=True)
    await marked(plain, cycle_time=cycle_time, marks=False)
    assert path.read_bytes() == plain.read_bytes()
    assert [mark.sample for mark in report.marks] == [48000, 64000]
    assert marks_of(path) == report.marks
    path.write_bytes(path.read_bytes()[:-7])  # the report is of another file
    assert marks_of(path) == ()


async def test_what_a_cyclic_recording_lets_go_takes_its_marks_along(tmp_path: Path):
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(tmp_path / "a.wav", cycle_time=10)
    async with AudioRecorder(config, clock=clock) as recorder:
        for second in range(25):
            recorder.mark(f"second {second}")
            await clock.advance(1)
    assert recorder.report is not None
    assert [mark.label for mark in recorder.report.marks] == [f"second {n}" for n in range(15, 25)]
    assert [mark.at_s for mark in recorder.report.marks] == list(range(10))
    assert recorder.report.marks == marks_of(tmp_path / "a.wav")


async def test_a_mark_returns_its_sample_on_the_clock_of_the_recording(tmp_path: Path):
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=48000)
    recorder = AudioRecorder(config, clock=clock)
    with pytest.raises(StateError, match="nothing is being recorded"):
        recorder.mark("too early")
    async with recorder:
        await clock.advance(2)
        assert recorder.mark("now") == Mark(2.0, 96000, "now")
        assert recorder.mark("then", at=recorder.duration_s) == Mark(2.0, 96000, "then")
        assert recorder.mark("sample", at=1 / 48000).sample == 1
        assert recorder.mark("NUL\0 line\n half \ud800", at=np.float32(1.5)) == Mark(
            1.5, 72000, "NUL  line  half  "
        )
        for at in (-1, 2.1, math.nan, math.inf, "x", 10**400):
            with pytest.raises(ValueError, match="seconds from the start, up to now"):
                recorder.mark("no", at=at)
        with pytest.raises(ValueError, match="it may have 200"):
            recorder.mark("x" * (MOST_LABEL_CHARACTERS + 1))
        with pytest.raises(ValueError, match="must be a text"):
            recorder.mark(b"bytes")
    with pytest.raises(StateError, match="nothing is being recorded"):
        recorder.mark("too late")


async def test_a_thousand_of_the_longest_are_kept_and_no_more(tmp_path: Path):
    path, clock = tmp_path / "a.wav", ScriptedClock()
    config = AudioRecordingConfiguration(path, sample_rate=16000)
    async with AudioRecorder(config, clock=clock) as recorder:
        await clock.advance(1)
        for number in range(MOST_MARKS):
            recorder.mark("\u4e2d" * MOST_LABEL_CHARACTERS, at=number / 1000)
        with pytest.raises(StateError, match="1000 marks"):
            recorder.mark("one more")
    assert recorder.report is not None
    assert len(recorder.report.marks) == MOST_MARKS
    assert marks_of(path) == recorder.report.marks
    assert len(read_all(path)[0]) == 16000
    assert len(read_cues_libsndfile(path)) == 100
    assert recover(path).unchanged


@pytest.mark.slow
async def test_a_disk_that_fails_at_the_marks_costs_nothing_but_them(tmp_path: Path):
    """Wherever in the end of a live WAV: it is finished, or an ERROR, and readable in each case."""
    counting = FaultyDisk()
    path = tmp_path / "whole.wav"
    await marked(path, disk=counting)
    whole = read_all(path)[0]
    begin = len(counting.calls) - 16
    finished = 0
    for at in range(begin, len(counting.calls)):
        for lasting in ("once", "all"):
            target = tmp_path / f"{at}-{lasting}.wav"
            try:
                report = await marked(target, disk=FaultyDisk(Fault(at, errno.ENOSPC, lasting)))
            except Exception:  # broken off; the other tests look at these
                report = None
            pcm, _ = read_all(target)
            assert np.array_equal(pcm, whole[: len(pcm)])
            # What a crash at this call would have left is the same.
            assert recover(target).duration_s == len(pcm) / RATE_HZ
            assert np.array_equal(read_all(target)[0], pcm)
            if report is not None:
                finished += 1
                assert len(pcm) == len(whole)
                assert [mark.sample for mark in report.marks] == [48000, 64000]
                assert not inspect_file(target).damage
    assert finished > 10


async def test_a_file_that_is_removed_meanwhile_is_written_again_with_its_marks(tmp_path: Path):
    path, clock = tmp_path / "a.wav", ScriptedClock()
    async with AudioRecorder(AudioRecordingConfiguration(path), clock=clock) as recorder:
        recorder.mark("here")
        await clock.advance(1)
        path.unlink()
    assert recorder.report is not None
    assert marks_of(path) == recorder.report.marks == (Mark(0.0, 0, "here"),)
    assert len(read_all(path)[0]) == RATE_HZ


async def test_marks_are_never_taken_for_samples_and_stay(tmp_path: Path):
    """Whichever bit of the sizes and of our own mark a bad disk turns."""
    path = tmp_path / "a.wav"
    await marked(path)
    whole = path.read_bytes()
    samples = whole[80 : 80 + 6 * RATE_HZ]
    for bit in (*range(4 * 8, 8 * 8), *range(20 * 8, 24 * 8), *range(76 * 8, 80 * 8)):
        left = bytearray(whole)
        left[bit // 8] ^= 1 << bit % 8
        path.write_bytes(left)
        recovered = recover(path)
        assert recovered.duration_s == 3
        assert path.read_bytes()[80 : 80 + len(samples)] == samples
        assert [mark.sample for mark in marks_of(path)] == [48000, 64000]
        for name in names_in(tmp_path) - {"a.wav"}:
            (tmp_path / name).unlink()


async def test_the_engine_marks_with_return_codes(tmp_path: Path):
    async with joined_call() as call:
        engine = call.engine
        assert await engine.mark_audio_recording("x") is ErrorCode.INVALID_STATE
        await engine.start_audio_recording(str(tmp_path / "a.wav"))
        await call.clock.advance(1)
        assert await engine.mark_audio_recording("complaint starts") is ErrorCode.OK
        assert await engine.mark_audio_recording("before", at=0.25) is ErrorCode.OK
        assert await engine.mark_audio_recording("later", at=9) is ErrorCode.INVALID_PARAM
        assert "up to now" in engine.last_error
        assert await engine.mark_audio_recording("x" * 201) is ErrorCode.INVALID_PARAM
        await engine.stop_audio_recording()
        report = engine.last_recording_report
        assert report is not None
        assert [mark.sample for mark in report.marks] == [8000, 32000]
        assert await engine.mark_audio_recording("x") is ErrorCode.INVALID_STATE
        await engine.leave_channel()
        assert await engine.mark_audio_recording("x") is ErrorCode.ROOM_NOT_JOINED
        await engine.release()
        assert await engine.mark_audio_recording("x") is ErrorCode.INVALID_STATE
