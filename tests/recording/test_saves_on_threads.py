"""Saves on the machine's own clock and threads: disks that hang, loops and programs that end."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingCode, AudioRecordingConfiguration
from roomtape.recording.saving import saves
from roomtape.types.errors import FileError, StateError
from support.faulty_disk import HangingDisk
from support.program import run_python
from support.saved_parts import RATE, report_beside, samples_of
from support.scripted_recording import listing, until

pytestmark = pytest.mark.realtime


class HangsElsewhere(HangingDisk):
    """Hangs where a part is made, and not where the recording is."""

    def call(self, name: str, function: Any, *args: Any) -> Any:
        if threading.current_thread().name == "roomtape-save":
            return super().call(name, function, *args)
        return function(*args)


def config(path: Path, **more: Any) -> AudioRecordingConfiguration:
    return AudioRecordingConfiguration(path, sample_rate=RATE, **more)


async def hear(recorder: AudioRecorder, seconds: float) -> None:
    source = recorder.add_source("alice")
    for _ in range(round(seconds * 50)):
        source.push(np.full(RATE // 50, 1000, np.int16), RATE)
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename_new"])
async def test_a_disk_that_hangs_fails_the_save_alone_and_nothing_is_left(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(saves, "MOST_HANG_S", 0.5)
    disk = HangsElsewhere(call)
    (tmp_path / "there").mkdir()
    part = tmp_path / "there" / "part.wav"
    events = []
    recorder = AudioRecorder(config(tmp_path / "call.wav"), on_event=events.append, disk=disk)
    await recorder.start()
    speaking = asyncio.ensure_future(hear(recorder, 4))
    await asyncio.sleep(1)
    disk.hang()
    try:
        with pytest.raises(FileError, match="the disk has not answered"):
            await asyncio.wait_for(recorder.save(part), 60)
    finally:
        disk.release()
    await until(lambda: listing(part.parent) == [])
    report = await asyncio.wait_for(recorder.save(part), 60)
    await speaking
    whole = await recorder.stop()
    assert whole.error == ""
    assert len(samples_of(part)) == round(report.duration_s * RATE)
    codes = [each.code for each in events if isinstance(each.code, AudioRecordingCode)]
    assert [each.name for each in codes] == ["START", "SAVE_FAILED", "SAVED", "FINISH"]


async def test_what_was_given_up_counts_until_its_thread_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(saves, "MOST_HANG_S", 0.3)
    monkeypatch.setattr(saves, "MOST_AT_ONCE", 2)
    disk = HangsElsewhere("write")
    recorder = AudioRecorder(config(tmp_path / "call.wav"), disk=disk)
    await recorder.start()
    speaking = asyncio.ensure_future(hear(recorder, 3))
    await asyncio.sleep(0.5)
    disk.hang()
    try:
        for _ in range(2):
            with pytest.raises(FileError, match="the disk has not answered"):
                await asyncio.wait_for(recorder.save(tmp_path / "part.wav"), 60)
        with pytest.raises(StateError, match="2 saves are under way"):
            await recorder.save(tmp_path / "part.wav")
    finally:
        disk.release()
    await until(lambda: [each.name for each in listing(tmp_path)] == ["call.wav"])
    await asyncio.wait_for(recorder.save(tmp_path / "part.wav"), 60)
    await speaking
    await recorder.stop()


async def test_a_stop_does_not_wait_for_ever_for_a_save_on_a_disk_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(saves, "MOST_HANG_S", 0.3)
    disk = HangsElsewhere("fsync")
    recorder = AudioRecorder(config(tmp_path / "call.wav", cycle_time=10), disk=disk)
    await recorder.start()
    await hear(recorder, 1)
    disk.hang()
    save = asyncio.ensure_future(recorder.save(tmp_path / "part.wav", then_s=60))
    await asyncio.sleep(0.1)
    try:
        report = await asyncio.wait_for(recorder.stop(), 60)
        with pytest.raises(FileError, match="has not answered"):
            await save
    finally:
        disk.release()
    assert report.error == ""
    await until(lambda: [each.name for each in listing(tmp_path)] == ["call.wav"])


async def test_saves_of_a_ring_in_real_time_are_the_same_stretch(tmp_path: Path):
    recorder = AudioRecorder(config(tmp_path / "call.wav", cycle_time=10))
    await recorder.start()
    source = recorder.add_source("alice")
    tasks = []
    for step in range(5 * 13):
        at = np.arange(step * RATE // 5, (step + 1) * RATE // 5)
        source.push((at % 20011).astype(np.int16), RATE, step * RATE // 5)
        if step % 5 == 4:
            path = tmp_path / f"{step}.wav"
            tasks.append((path, asyncio.ensure_future(recorder.save(path, last_s=10))))
        await asyncio.sleep(0.2)
    saved = [(path, await task) for path, task in tasks]
    whole = await recorder.stop()
    everything = samples_of(tmp_path / "call.wav")
    begun = round(whole.skipped_s * RATE)
    for path, report in saved:
        first = round(report.skipped_s * RATE)
        part = samples_of(path)
        assert len(part) == round(report.duration_s * RATE)
        common = part[max(0, begun - first) :]
        at = max(0, first - begun)
        assert np.array_equal(common, everything[at : at + len(common)])
        assert report.sources[0].lost_s == 0 or first > 0


PROGRAM = """
import asyncio, sys
import numpy as np
from roomtape import AudioRecorder, AudioRecordingConfiguration

async def main():
    recorder = AudioRecorder(
        AudioRecordingConfiguration("call.wav", sample_rate=16000, cycle_time=10),
        on_event=lambda event: print(event.code.name, flush=True),
    )
    await recorder.start()
    recorder.add_source("alice").push(np.full(16000, 500, np.int16), 16000)
    await asyncio.sleep(0.5)
    task = asyncio.ensure_future(recorder.save("part.wav", then_s=100))
    await asyncio.sleep(0.2)
    HOW
HOW
"""


NEW_LOOP = "loop = asyncio.new_event_loop(); loop.run_until_complete(main())"
ALL = ["START", "SAVED", "FINISH"]


@pytest.mark.parametrize(
    ("inside", "outside", "told"),
    [
        ("return", "asyncio.run(main())", ALL),
        ("task.cancel(); await asyncio.sleep(0)", "asyncio.run(main())", ALL),
        # Nobody turns this loop any more, and there is no other thread to tell it on.
        ("globals().update(recorder=recorder)", NEW_LOOP, ["START"]),
        ("return", f"{NEW_LOOP}; loop.close()", ALL),
        ("import os; os.fork() or os._exit(0); os.wait()", "asyncio.run(main())", ALL),
    ],
    ids=["the loop ends", "cancelled", "the program ends", "the loop is closed", "forked"],
)
def test_whatever_ends_it_what_is_being_saved_is_there_and_told_once(
    inside: str, outside: str, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    code = PROGRAM.replace("    HOW", f"    {inside}").replace("\nHOW", f"\n{outside}")
    done = run_python(code)
    assert done.stdout.split() == told, done.stderr
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {"call.wav", "part.wav", "part.wav.json"}
    report = report_beside(tmp_path / "part.wav")
    assert len(samples_of(tmp_path / "part.wav")) == round(report["duration_s"] * 16000)
    assert 98 < report["missing_s"] < 130
