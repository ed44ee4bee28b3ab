"""However the loop, the program or the process around it ends, a recording ends once, and whole."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import patch

import pytest

from roomtape import (
    AudioRecorder,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingWarning,
)
from roomtape.recording.life import MAY_FOLLOW, Life, RecorderState
from roomtape.types import RecordingEvent
from roomtape.types.clock import SYSTEM_CLOCK, ScriptedClock
from roomtape.types.errors import OpenFileError
from support.damage import names_in
from support.processes import descriptors
from support.program import roomtape_environment
from support.readers import read_all
from support.scripted_recording import until

START, FINISH = AudioRecordingCode.START, AudioRecordingCode.FINISH
KINDS = pytest.mark.parametrize("cycle_time", [0, 10], ids=["live", "cyclic"])


def threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("roomtape") and "work" not in name]


def run_program(code: str, *, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=roomtape_environment(),
        timeout=timeout,
        check=False,
    )


PROGRAM = """
import asyncio, os, sys, threading, time
from roomtape import AudioRecorder, AudioRecordingConfiguration
config = AudioRecordingConfiguration({path!r}, cycle_time={cycle_time}, report=True)
def told(event):
    print(event.code.name, threading.current_thread().name, flush=True)
recorder = AudioRecorder(config, on_event=told)
async def main():
    await recorder.start()
    await asyncio.sleep(0.7)
    {end}
"""
ENDS = {
    "main returns": ("pass", "asyncio.run(main())"),
    "main raises": ("raise RuntimeError('over')", "asyncio.run(main())"),
    "stop is cancelled by the end": (
        "asyncio.ensure_future(recorder.stop()); await asyncio.sleep(0)",
        "asyncio.run(main())",
    ),
    "every task is cancelled": (
        "task = asyncio.ensure_future(recorder.stop()); await asyncio.sleep(0)\n"
        "    [each.cancel() for each in asyncio.all_tasks()]",
        "try:\n    asyncio.run(main())\nexcept asyncio.CancelledError:\n    pass",
    ),
    "sys.exit": ("sys.exit(0)", "asyncio.run(main())"),
    "the loop is closed without a word": (
        "pass",
        "loop = asyncio.new_event_loop(); loop.run_until_complete(main()); loop.close()\n"
        "begun = time.monotonic()\n"
        "while recorder.report is None and time.monotonic() - begun < 60:\n"
        "    time.sleep(0.05)",
    ),
    "the program ends with a loop that only stopped": (
        "pass",
        "loop = asyncio.new_event_loop(); loop.run_until_complete(main())",
    ),
}


@pytest.mark.realtime
@KINDS
@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_the_recording_ends_whole_and_is_told_once(
    end: str, cycle_time: int, tmp_path: Path
):
    path = tmp_path / "a.wav"
    inside, outside = ENDS[end]
    code = PROGRAM.format(path=str(path), cycle_time=cycle_time, end=inside) + outside
    done = run_program(code)
    assert "never retrieved" not in done.stderr
    assert "destroyed" not in done.stderr
    told = [line.split()[0] for line in done.stdout.splitlines()]
    if "only stopped" in end:  # no loop is left to tell on
        assert told == ["START"]
        assert "is finished, since the program ends" in done.stderr
    else:
        assert told == ["START", "FINISH"], done.stderr
    report = json.loads(Path(f"{path}.json").read_text())
    assert report["error"] == ""
    pcm, rate_hz = read_all(path)
    assert len(pcm) / rate_hz == pytest.approx(report["duration_s"])
    assert report["duration_s"] > 0.6
    assert names_in(tmp_path) == {"a.wav", "a.wav.json"}


@pytest.mark.realtime
async def test_loops_that_end_without_stop_leave_nothing_behind(tmp_path: Path):
    before, open_before = threads(), descriptors()
    recorders: list[AudioRecorder] = []

    async def record(number: int) -> None:
        config = AudioRecordingConfiguration(tmp_path / f"{number}.wav")
        recorder = AudioRecorder(config)
        await recorder.start()
        recorders.append(recorder)

    def elsewhere(number: int) -> None:
        if number % 2:
            asyncio.run(record(number))
        else:
            loop = asyncio.new_event_loop()
            loop.run_until_complete(record(number))
            loop.close()

    for number in range(6):
        await asyncio.to_thread(elsewhere, number)
    await until(lambda: all(recorder.over for recorder in recorders))
    await until(lambda: threads() == before)
    assert descriptors() <= open_before
    assert all(recorder.report.error == "" for recorder in recorders)


@pytest.mark.realtime
@KINDS
def test_a_fork_records_by_itself_and_leaves_its_parents_recording_alone(
    cycle_time: int, tmp_path: Path
):
    code = f"""
import asyncio, multiprocessing, os, sys, warnings
warnings.simplefilter("ignore")
from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.types.errors import StateError
def recorder(name):
    config = AudioRecordingConfiguration({str(tmp_path)!r} + "/" + name, cycle_time={cycle_time})
    return AudioRecorder(config)
async def child_work():
    async with recorder("child.wav") as own:
        await asyncio.sleep(0.5)
    assert own.report.duration_s > 0.4
    for parent in parents:
        try:
            await parent.stop()
        except StateError as error:
            assert "forked" in str(error), error
        else:
            raise AssertionError("it stopped the parent's")
        parent.sources[0].push(__import__("numpy").zeros(960, "i2"), 48000)
        parent.sources[0].close()
    held = [os.readlink(f"/proc/self/fd/{{fd}}") for fd in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{{fd}}")]
    assert not [each for each in held if "parent" in each], held
def child():
    asyncio.run(child_work())
async def main():
    for number in range(6):
        parents.append(recorder(f"parent{{number}}.wav"))
        await parents[-1].start()
        parents[-1].add_source("alice")
    await asyncio.sleep(0.3)
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode == 0, process.exitcode
    for each in parents:
        await each.stop()
        assert each.report.error == "" and each.report.duration_s > 0.5
parents = []
asyncio.run(main())
print("done")
"""
    done = run_program(code)
    assert done.stdout == "done\n", done.stderr
    assert names_in(tmp_path) == {"child.wav", *(f"parent{number}.wav" for number in range(6))}


@pytest.mark.realtime
async def test_a_thread_that_cannot_be_had_is_waited_for(tmp_path: Path):
    real, refused = SYSTEM_CLOCK.start, []

    def start(work):
        if len(refused) < 4:
            refused.append(work)
            raise RuntimeError("can't start new thread")
        real(work)

    with patch.object(type(SYSTEM_CLOCK), "start", staticmethod(start)):
        async with AudioRecorder(AudioRecordingConfiguration(tmp_path / "a.wav")) as recorder:
            await until(lambda: recorder._output.mixed_samples > 0)
    assert len(refused) == 4
    assert recorder.report is not None
    assert recorder.report.error == ""


@pytest.mark.realtime
@KINDS
async def test_without_a_thread_for_the_disk_it_does_not_start(cycle_time: int, tmp_path: Path):
    events: list[RecordingEvent] = []
    path = tmp_path / "a.wav"
    path.write_bytes(b"older")
    recorder = AudioRecorder(
        AudioRecordingConfiguration(path, cycle_time=cycle_time), on_event=events.append
    )
    await recorder.prepare()
    with (
        patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread")),
        pytest.raises(OpenFileError, match="too many threads"),
    ):
        await recorder.begin()
    await recorder.discard()
    assert (events, recorder.over, recorder.report) == ([], True, None)
    assert names_in(tmp_path) == {"a.wav"}
    assert path.read_bytes() == b"older"


@pytest.mark.realtime
async def test_without_a_thread_to_finish_on_it_is_finished_all_the_same(tmp_path: Path):
    recorder = AudioRecorder(AudioRecordingConfiguration(tmp_path / "a.wav"))
    await recorder.start()
    await asyncio.sleep(0.3)
    with patch.object(threading.Thread, "start", side_effect=RuntimeError("no more")):
        recorder._run.end()
    assert (await recorder.stop()).error == ""


async def test_a_machine_that_slept_is_told_and_in_the_report(tmp_path: Path):
    clock, events = ScriptedClock(), list[RecordingEvent]()
    config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=16000)
    async with AudioRecorder(config, clock=clock, on_event=events.append) as recorder:
        await clock.advance(3)
        clock.suspend(3600)
        await clock.advance(3)
        clock.suspend(0.05)  # rounding, and no sleep
        await clock.advance(3)
    report = recorder.report
    assert report is not None
    assert (report.duration_s, report.suspended_s) == (9.0, 3600.0)
    told = [each for each in events if each.code is AudioRecordingWarning.SUSPENDED]
    assert len(told) == 1
    assert "slept for 3600.0 s" in told[0].detail
    assert "3600.0 s" in report.warnings[0]


def test_the_machines_clock_knows_of_sleep():
    assert SYSTEM_CLOCK.slept_ns() >= 0


def test_the_life_of_a_recorder_is_one_way():
    for state, following in MAY_FOLLOW.items():
        assert state not in following
    ways = {RecorderState.NEW}
    while new := {each for state in ways for each in MAY_FOLLOW[state]} - ways:
        ways |= new
    assert ways == set(RecorderState)
    life = Life("a test")
    assert not life.enter(RecorderState.ENDING)
    assert life.enter(RecorderState.READY)
    assert not life.enter(RecorderState.READY)
    assert life.state is RecorderState.READY
