"""What ``recover``, ``inspect`` and ``verify`` say of each kind of file that a recording leaves:
live or cyclic, a part of one, one channel or two, WAV or AAC, finished or killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.storage.naming import report_path
from roomtape.storage.recover import recover
from roomtape.storage.report_file import read_report
from roomtape.types.clock import ScriptedClock
from support.program import Cli
from support.readers import read_all
from support.scripted_recording import listing
from support.signals import noise

pytestmark = pytest.mark.slow

RATE = 32000
CHANNELS = pytest.mark.parametrize("channels", [1, 2])
SUFFIX = pytest.mark.parametrize("suffix", ["wav", "aac"])


class Talk:
    """A recording in which both sides talk all the time."""

    def __init__(self, path: Path, channels: int, **how: object) -> None:
        self.path, self.channels = path, channels
        self.clock = ScriptedClock()
        config = AudioRecordingConfiguration(
            path, sample_rate=RATE, channels=channels, report=True, **how
        )
        self.recorder = AudioRecorder(config, clock=self.clock)

    async def begin(self) -> None:
        await self.recorder.start()
        self.voices = {
            self.recorder.add_source("me", local=True): noise(1, 30) // 2,
            self.recorder.add_source("bob"): noise(2, 30) // 2,
        }

    async def go_on(self, seconds: float) -> None:
        start = round(self.clock.now_ns() / 1e9 * RATE)
        count = round(seconds * RATE)
        for source, voice in self.voices.items():
            source.push(voice[start : start + count], RATE, start)
        await self.clock.advance(seconds)

    def killed(self) -> Path:
        """All that a kill in this moment would leave, in a directory of its own."""
        place = self.path.parent / "killed"
        place.mkdir()
        for each in self.path.parent.iterdir():
            if each.is_file():
                shutil.copy(each, place)
        return place


async def finished(kind: str, path: Path, channels: int) -> Path:
    """A finished file of that kind."""
    cyclic = kind in ("cyclic", "saved from a ring", "promoted")
    how: dict[str, object] = {"cycle_time": 10} if cyclic else {}
    if kind == "split":
        how["split_s"] = 1.0
    talk = Talk(path, channels, **how)
    await talk.begin()
    await talk.go_on(13 if cyclic else 2.5)
    there = path
    if kind.startswith("saved"):
        there = path.with_stem("saved")
        saving = asyncio.create_task(talk.recorder.save(there, last_s=2))
        await asyncio.sleep(0)
        await talk.go_on(1)
        await saving
    elif kind == "promoted":
        there = path.with_stem("promoted")
        await talk.recorder.promote(there)
        await talk.go_on(1)
    elif kind == "demoted":
        demoting = asyncio.create_task(talk.recorder.demote(10))
        await asyncio.sleep(0)
        await talk.go_on(1)
        assert (await demoting).file_path == str(path)
        there = path.with_stem("demoted")
        for name, other in ((path, there), (report_path(path), report_path(there))):
            os.rename(name, other)  # noqa: PTH104 (nothing else runs)
    await talk.recorder.stop()
    if kind == "split":
        there = path.with_stem(path.stem + "-002")
    return there


FINISHED = (
    "live",
    "cyclic",
    "saved from a live file",
    "saved from a ring",
    "promoted",
    "demoted",
    "split",
)


@SUFFIX
@CHANNELS
@pytest.mark.parametrize("kind", FINISHED)
async def test_a_finished_file_needs_nothing(
    kind: str, channels: int, suffix: str, tmp_path: Path, run_here: Cli
):
    path = await finished(kind, tmp_path / f"a.{suffix}", channels)
    before = path.read_bytes()
    there = listing(tmp_path)
    done = recover(path)
    assert (done.path, done.unchanged, done.cut_bytes, done.aside) == (path, True, 0, None)
    assert path.read_bytes() == before
    assert listing(tmp_path) == there
    told = run_here("recover", path)
    assert told.returncode == 0
    assert run_here("verify", path).returncode == 0
    said = json.loads(run_here("inspect", path, "--json").stdout)
    assert (said["channels"], said["damage"]) == (channels, [])
    assert said["duration_s"] == pytest.approx(done.duration_s)
    assert done.duration_s == pytest.approx(read_report(report_path(path))["duration_s"])


@SUFFIX
@CHANNELS
@pytest.mark.parametrize("kind", ["live", "cyclic", "split"])
async def test_what_a_kill_leaves_is_finished_once_and_then_needs_nothing(
    kind: str, channels: int, suffix: str, tmp_path: Path, run_here: Cli
):
    how: dict[str, object] = {"cyclic": {"cycle_time": 10}, "split": {"split_s": 2.0}}.get(kind, {})
    talk = Talk(tmp_path / f"a.{suffix}", channels, **how)
    await talk.begin()
    await talk.go_on(13.0 if kind == "cyclic" else 3.3)
    place = talk.killed()
    await talk.recorder.stop()
    left = place / f"a.{suffix}"
    if kind == "cyclic":
        # Its head says where it was to go; here it is a copy of it.
        done = recover(place / f"a.{suffix}.ring", left)
    else:
        left = place / f"a-002.{suffix}" if kind == "split" else left
        if suffix == "aac":
            with left.open("r+b") as file:  # in the middle of a frame
                file.truncate(left.stat().st_size - 5)
        assert run_here("recover", left, "--report").returncode == 0
        done = recover(left)
        assert run_here("verify", left).returncode == 0
    assert done.duration_s > {"live": 2.5, "cyclic": 9.9, "split": 0.5}[kind]
    again = recover(left)
    assert (again.path, again.unchanged) == (left, True)
    assert again.duration_s == done.duration_s
    said = json.loads(run_here("inspect", left, "--json").stdout)
    assert (said["channels"], said["damage"]) == (channels, [])
    pcm, rate = read_all(left)
    assert rate == RATE
    assert np.abs(pcm[RATE // 4 : RATE // 2].astype(int)).max() > 1000
