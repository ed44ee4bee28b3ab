"""The recorder's life: start, stop, failure, cancellation, and the end of the event loop."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingCode, AudioRecordingConfiguration
from roomtape.storage.disk import Disk
from roomtape.types import RecordingEvent
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import (
    ConfigurationError,
    FileError,
    OpenFileError,
    StateError,
    SuffixError,
)
from support.damage import names_in
from support.faulty_disk import HangingDisk
from support.lag import Lag
from support.program import roomtape_environment
from support.readers import read_all
from support.signals import noise

START, FINISH, ERROR = (
    AudioRecordingCode.START,
    AudioRecordingCode.FINISH,
    AudioRecordingCode.ERROR,
)


class FullDisk(Disk):
    """Takes no more once :attr:`full` is set."""

    full = False

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        if self.full and name == "write":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return function(*args)


def recorder_to(
    path: Path, events: list[RecordingEvent] | None = None, **options: Any
) -> tuple[AudioRecorder, ScriptedClock]:
    clock = ScriptedClock()
    on_event = None if events is None else events.append
    config = AudioRecordingConfiguration(path, sample_rate=48000)
    return AudioRecorder(config, on_event=on_event, clock=clock, **options), clock


def read_text(path: Path) -> str:
    return path.read_text()


async def test_as_a_context_manager_it_records_what_is_pushed(tmp_path: Path):
    path, said, events = tmp_path / "a.wav", noise(1, 2.0), list[RecordingEvent]()
    recorder, clock = recorder_to(path, events)
    async with recorder:
        assert recorder.recording
        alice = recorder.add_source("alice", local=True)
        for start in range(0, len(said), 4800):
            await clock.advance(0.1)
            alice.push(said[start : start + 4800], sample_rate=48000)
        assert recorder.duration_s == 2.0
        assert recorder.report is None
    assert recorder.over
    assert not recorder.recording
    assert np.array_equal(read_all(path)[0], said)
    assert [event.code for event in events] == [START, FINISH]
    assert {event.file_path for event in events} == {str(path)}


async def test_print_as_the_callback_shows_one_event_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    config = AudioRecordingConfiguration(tmp_path / "a.wav")
    async with AudioRecorder(config, on_event=print, clock=ScriptedClock()):
        pass
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("RecordingEvent(code=<AudioRecordingCode.START: 3>, file_path='")
    assert "AudioRecordingCode.FINISH" in lines[1]


@pytest.mark.parametrize(
    ("config", "kind", "words"),
    [
        (AudioRecordingConfiguration("a.mp3"), SuffixError, "must end in .wav or .aac"),
        (AudioRecordingConfiguration(""), SuffixError, "must end in .wav or .aac"),
        (AudioRecordingConfiguration("a\0.wav"), ConfigurationError, "NUL"),
        (AudioRecordingConfiguration("a.wav", sample_rate=12345), ConfigurationError, "12345"),
        (AudioRecordingConfiguration("a.wav", cycle_time=7), ConfigurationError, "cycle_time is 7"),
    ],
)
def test_a_bad_configuration_is_refused_whole(
    config: AudioRecordingConfiguration, kind: type[Exception], words: str
):
    with pytest.raises(kind, match=words):
        AudioRecorder(config)


async def test_a_file_that_cannot_be_created_raises_and_leaves_nothing(tmp_path: Path):
    events: list[RecordingEvent] = []
    recorder, _ = recorder_to(tmp_path / "missing" / "a.wav", events)
    with pytest.raises(OpenFileError, match=r"cannot record to .*a\.wav: no such file"):
        async with recorder:
            pytest.fail("it must not start")
    assert (events, names_in(tmp_path)) == ([], set())


async def test_calls_out_of_order_are_told_so(tmp_path: Path):
    recorder, clock = recorder_to(tmp_path / "a.wav")
    with pytest.raises(StateError, match="start"):
        await recorder.stop()
    with pytest.raises(StateError, match="prepare"):
        await recorder.begin()
    await recorder.start()
    with pytest.raises(StateError, match="started before"):
        await recorder.start()
    await clock.advance(1)
    await recorder.stop()
    with pytest.raises(StateError, match="started before"):
        await recorder.start()
    with pytest.raises(StateError, match="takes no more sources"):
        recorder.add_source("late")


async def test_stopping_twice_gives_the_same_report(tmp_path: Path):
    events: list[RecordingEvent] = []
    recorder, clock = recorder_to(tmp_path / "a.wav", events)
    async with recorder:
        await clock.advance(1)
        first, second = await asyncio.gather(recorder.stop(), recorder.stop())
        assert first is second is await recorder.stop() is recorder.report
    assert [event.code for event in events] == [START, FINISH]


@pytest.mark.parametrize("how", ["stop", "exit"])
async def test_after_a_failure_stopping_and_leaving_raise_what_went_wrong(tmp_path: Path, how: str):
    disk, events = FullDisk(), list[RecordingEvent]()
    recorder, clock = recorder_to(tmp_path / "a.wav", events, disk=disk)
    await recorder.__aenter__()
    await clock.advance(1)
    disk.full = True
    await clock.advance(1)
    async with asyncio.timeout(120):
        while not recorder.over:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    with pytest.raises(FileError, match=r"a\.wav: no space left on device"):
        await (recorder.stop() if how == "stop" else recorder.__aexit__(None, None, None))
    assert [event.code for event in events] == [START, ERROR]
    assert recorder.report is not None
    assert recorder.report.error == "no space left on device"
    assert read_all(tmp_path / "a.wav")[0].shape == (round(recorder.report.duration_s * 48000),)


async def test_the_report_is_written_after_a_failure_too(tmp_path: Path):
    class FullForAMoment(FullDisk):
        def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
            full = self.full
            self.full = self.full and name != "write"
            if full and name == "write":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*args)

    async def record(number: int) -> None:
        disk = FullForAMoment()
        config = AudioRecordingConfiguration(tmp_path / f"{number}.wav", report=True)
        recorder = AudioRecorder(config, disk=disk)
        await recorder.start()
        disk.full = True
        async with asyncio.timeout(120):
            while not recorder.over:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        with pytest.raises(FileError, match="no space left"):
            await recorder.stop()

    # The error comes from a thread of its own, and may come at any moment.
    await asyncio.gather(*map(record, range(16)))
    written = [json.loads(read_text(tmp_path / f"{number}.wav.json")) for number in range(16)]
    assert {each["error"] for each in written} == {"no space left on device"}


async def test_what_went_wrong_in_the_block_is_what_the_caller_sees(tmp_path: Path):
    disk = FullDisk()
    recorder, clock = recorder_to(tmp_path / "a.wav", disk=disk)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 (the block is the subject)
        async with recorder:
            await clock.advance(1)
            disk.full = True
            raise ZeroDivisionError
    assert recorder.report is not None
    assert recorder.report.error


async def test_a_stop_that_is_cancelled_completes_the_file_all_the_same(tmp_path: Path):
    disk = HangingDisk("fsync")
    config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=48000)
    recorder = AudioRecorder(config, disk=disk)
    await recorder.start()
    await asyncio.sleep(0.3)
    disk.hang()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(recorder.stop(), 0.2)
    assert not recorder.over
    disk.release()
    report = await recorder.stop()
    assert report.error == ""
    assert len(read_all(tmp_path / "a.wav")[0]) == round(report.duration_s * 48000)


async def test_a_task_that_is_cancelled_leaves_a_finished_file(tmp_path: Path):
    events: list[RecordingEvent] = []

    async def record() -> None:
        config = AudioRecordingConfiguration(tmp_path / "a.wav", cycle_time=10)
        async with AudioRecorder(config, on_event=events.append):
            await asyncio.sleep(60)

    task = asyncio.create_task(record())
    async with asyncio.timeout(120):
        while not events:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.5)
    task.cancel()
    for _ in range(3):  # and again while it finishes
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(120):
        while len(events) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert [event.code for event in events] == [START, FINISH]
    assert names_in(tmp_path) == {"a.wav"}
    assert read_all(tmp_path / "a.wav")[0].size > 0


_ENDS = {
    "the loop ends": "return",
    "an exception": "raise RuntimeError('over')",
    "sys.exit": "sys.exit(3)",
    "os._exit": "os._exit(4)",
}


@pytest.mark.realtime
@pytest.mark.parametrize("end", _ENDS)
def test_a_loop_that_ends_under_a_running_recorder_leaves_a_readable_file(
    tmp_path: Path, end: str, lag: Lag
):
    path = tmp_path / "a.wav"
    code = f"""
import asyncio, os, sys, numpy as np
from roomtape import AudioRecorder, AudioRecordingConfiguration
async def main():
    recorder = AudioRecorder(AudioRecordingConfiguration({str(path)!r}, sample_rate=48000))
    await recorder.start()
    alice = recorder.add_source("alice")
    alice.push(np.full(4 * 48000, 1000, np.int16), 48000)
    await asyncio.sleep(2)
    {_ENDS[end]}
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=roomtape_environment(),
        timeout=300,
        check=False,
    )
    assert done.returncode == {"an exception": 1, "sys.exit": 3, "os._exit": 4}.get(end, 0)
    assert "never retrieved" not in done.stderr
    assert "destroyed" not in done.stderr
    pcm, _ = read_all(path)
    assert len(pcm) > (1.0 - lag.worst_s) * 48000
    assert (pcm[4800:] == 1000).all()


@pytest.mark.realtime
def test_ctrl_c_under_asyncio_run_finishes_the_file(tmp_path: Path, lag: Lag):
    path = tmp_path / "a.aac"
    code = f"""
import asyncio, signal, os
from roomtape import AudioRecorder, AudioRecordingConfiguration
# Where the tests run in the background, Ctrl-C is ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
async def main():
    config = AudioRecordingConfiguration({str(path)!r}, report=True)
    async with AudioRecorder(config, on_event=print):
        asyncio.get_running_loop().call_later(1, os.kill, os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=roomtape_environment(),
        timeout=300,
        check=False,
    )
    assert "FINISH" in done.stdout, done.stderr
    report = json.loads(Path(f"{path}.json").read_text())
    assert 0.9 < report["duration_s"] < 1.5 + lag.worst_s
    assert report["error"] == ""


async def test_the_report_says_when_and_how_long_and_how_much(tmp_path: Path):
    path = tmp_path / "a.aac"
    config = AudioRecordingConfiguration(path, sample_rate=16000, report=True)
    clock = ScriptedClock(start=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    await clock.advance(3600)
    recorder = AudioRecorder(config, clock=clock)
    async with recorder:
        await clock.advance(4.096)
    report = recorder.report
    assert report is not None
    assert (report.format, report.sample_rate, report.channels) == ("aac", 16000, 1)
    assert report.file_path == str(path)
    assert report.duration_s == 4.096
    assert report.started_at == datetime(2026, 3, 4, 6, 6, 7, tzinfo=UTC)
    assert report.bytes_written == path.stat().st_size
    assert (report.limited_s, report.unwritten_s, report.skipped_s) == (0, 0, 0)
    assert (report.sources, report.warnings, report.error) == ((), (), "")
    written = json.loads(read_text(Path(f"{path}.json")))
    assert written == json.loads(json.dumps(report.as_dict()))


@pytest.mark.realtime
async def test_on_the_machines_clock_the_length_is_the_wall_time(tmp_path: Path, lag: Lag):
    config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=44100)
    async with AudioRecorder(config) as recorder:
        began = time.monotonic()
        await asyncio.sleep(1.234)
        length_s = time.monotonic() - began
        report = await recorder.stop()
        ended_at = time.time()
    lag.look()
    assert abs(report.duration_s - length_s) < 0.02 + lag.worst_s
    assert abs(report.started_at.timestamp() + length_s - ended_at) < 1.0 + lag.worst_s
