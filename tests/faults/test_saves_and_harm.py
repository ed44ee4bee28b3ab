"""Harm done for real while something is being saved: a full disk, a directory that goes away, a
read-only name, and kill -9.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import RecordingReport
from roomtape.storage.recover import recover
from roomtape.types.errors import FileError
from support.disks import immutable, need_root, tmpfs
from support.processes import stop
from support.program import read_until, roomtape_environment
from support.readers import read_all
from support.saved_parts import RATE, samples_of, take_of
from support.scripted_recording import listing


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    need_root()
    with tmpfs(tmp_path / "small", options="size=256k") as directory:
        yield directory


@pytest.mark.root
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_save_that_fills_its_disk_leaves_it_as_it_was(
    suffix: str, small_disk: Path, tmp_path: Path
):
    older = small_disk / f"part.{suffix}"
    older.write_bytes(b"older")
    (small_disk / "filler").write_bytes(bytes(190 << 10))
    async with take_of(tmp_path / f"call.{suffix}", cycle_time=60) as (take, recorder):
        await take.go_on(12)
        with pytest.raises(FileError, match="no space left on device"):
            await take.answer(recorder.save(older))
        assert {each.name for each in listing(small_disk)} == {older.name, "filler"}
        assert older.read_bytes() == b"older"
        (small_disk / "filler").unlink()
        report = await take.answer(recorder.save(older, last_s=5))
        await recorder.stop()
    assert abs(len(read_all(older)[0]) - 5 * RATE) < 2048
    assert report.missing_s == 0
    assert abs(len(read_all(tmp_path / f"call.{suffix}")[0]) - take.now) < 1024


@pytest.mark.root
async def test_an_older_file_that_cannot_be_moved_fails_the_save_alone(tmp_path: Path):
    need_root()
    part = tmp_path / "part.wav"
    part.write_bytes(b"older")
    async with take_of(tmp_path / "call.wav") as (take, recorder):
        await take.go_on(3)
        with immutable(part), pytest.raises(FileError, match="not permitted"):
            await take.answer(recorder.save(part))
        assert {each.name for each in listing(tmp_path)} == {"call.wav", "part.wav"}
        await take.answer(recorder.save(part))
        await recorder.stop()
    assert np.array_equal(samples_of(tmp_path / "call.wav"), take.heard(0, take.now))


async def test_a_directory_that_goes_away_meanwhile_fails_the_save_alone(tmp_path: Path):
    there = tmp_path / "there"
    there.mkdir()
    async with take_of(tmp_path / "call.wav", cycle_time=10) as (take, recorder):
        await take.go_on(3)
        saving = _first(recorder.save(there / "part.wav", then_s=2), there, tmp_path / "away")
        with pytest.raises(FileError, match="no such file"):
            await take.answer(saving, within_s=4)
        assert listing(tmp_path / "away") == []
        there.mkdir()
        await take.answer(recorder.save(there / "part.wav"))
        await recorder.stop()
    assert np.array_equal(samples_of(tmp_path / "call.wav"), take.heard(0, take.now))


async def _first(
    saving: Coroutine[Any, Any, RecordingReport], there: Path, away: Path
) -> RecordingReport:
    """Begin to save, and then rename its directory."""
    task = asyncio.ensure_future(saving)
    await asyncio.sleep(0)
    os.rename(there, away)  # noqa: PTH104 (it is quick)
    return await task


KILLED = """
import asyncio
import numpy as np
from roomtape import AudioRecorder, AudioRecordingConfiguration

async def main():
    recorder = AudioRecorder(
        AudioRecordingConfiguration("call.wav", sample_rate=16000, cycle_time=10)
    )
    await recorder.start()
    source = recorder.add_source("alice")
    for number in range(1000):
        source.push(np.full(1600, 500, np.int16), 16000, number * 1600)
        if number == 20:
            asyncio.ensure_future(recorder.save("part.wav", then_s=100))
        if number == 30:
            print("saving", flush=True)
        await asyncio.sleep(0.1)

asyncio.run(main())
"""


@pytest.mark.realtime
def test_a_kill_while_something_is_saved_costs_the_recording_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED],
        stdout=subprocess.PIPE,
        text=True,
        env=roomtape_environment(),
    ) as recording:
        try:
            read_until(recording, "saving")
            recording.send_signal(signal.SIGKILL)
            recording.wait(120)
        finally:
            stop(recording)
    names = {each.name for each in tmp_path.iterdir()}
    hidden = {name for name in names if name.startswith(".roomtape-")}
    assert names - hidden == {"call.wav.ring"}
    assert len(hidden) == 1
    assert recover(tmp_path / "call.wav.ring").duration_s > 1.5
    assert (samples_of(tmp_path / "call.wav")[RATE // 2 :] == 500).all()
