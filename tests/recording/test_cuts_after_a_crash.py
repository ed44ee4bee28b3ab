"""What was cut out of a recording is known of what a crash leaves, too."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration, TimeCut
from roomtape.storage.disk import Disk
from roomtape.storage.naming import cuts_path
from roomtape.storage.notes.cuts import cuts_of
from roomtape.storage.notes.cuts_note import noted_cuts
from roomtape.storage.recover import recover
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import DamagedFileError
from support.faulty_disk import Snapshots
from support.program import Cli
from support.readers import read_all
from support.scripted_recording import listing

RATE = 16000
SUFFIX = pytest.mark.parametrize("suffix", ["wav", "aac"])


class Counted:
    """A recording of somebody who says the tenth of a second that it is (of a WAV, each sample)."""

    def __init__(self, path: Path, *, disk: Disk | None = None, **config: Any) -> None:
        self.clock = ScriptedClock()
        self.recorder = AudioRecorder(
            AudioRecordingConfiguration(path, sample_rate=RATE, **config),
            clock=self.clock,
            disk=disk,
        )

    async def start(self) -> None:
        self.recorder.path.parent.mkdir(exist_ok=True)
        await self.recorder.start()
        self.source = self.recorder.add_source("alice")

    async def go_on(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            tenth = round(self.clock.now_ns() / 1e8)
            said = np.full(RATE // 10, 100 + tenth, np.int16)
            self.source.push(said, RATE, tenth * RATE // 10)
            await self.clock.advance(0.1)

    async def skip(self, seconds: float) -> None:
        self.recorder.pause("skip")
        await self.go_on(seconds)
        self.recorder.resume()


def assert_explained(path: Path, first_s: float, cuts: tuple[TimeCut, ...]) -> None:
    """Each sample of a WAV stands where its time says, with what was cut out before it."""
    pcm = read_all(path)[0].astype(int)
    at_s = np.arange(len(pcm)) / RATE
    wall_s = first_s + at_s
    for cut in cuts:
        wall_s = wall_s + cut.lasted_s * (at_s >= cut.at_s)
    heard = pcm > 0  # right after a cut, voices are not heard again yet
    assert np.abs(pcm[heard] - 100 - wall_s[heard] * 10).max(initial=0) <= 1.01, path


@SUFFIX
@pytest.mark.parametrize("cycle_time", [0, 10])
async def test_at_whatever_moment_it_is_killed(suffix: str, cycle_time: int, tmp_path: Path):
    dead = tmp_path / "dead"
    disk = Snapshots(tmp_path / "place", dead)
    call = Counted(
        tmp_path / "place" / f"a.{suffix}", disk=disk, cycle_time=cycle_time, report=True
    )
    await call.start()
    await call.go_on(2)
    await call.skip(3)
    await call.go_on(2)
    disk.on = True
    await call.skip(5)
    await call.go_on(3)
    disk.on = False
    report = await call.recorder.stop()
    assert [round(cut.lasted_s, 1) for cut in report.cuts] == [4.0, 6.0]
    assert not cuts_path(tmp_path / "place" / f"a.{suffix}").exists()
    assert len(listing(dead)) > 10
    known = set()
    for remains in listing(dead):
        left = next(each for each in listing(remains) if each.name.startswith("a."))
        ring = remains / f"a.{suffix}.ring"
        left = ring if ring.exists() else left
        done = recover(left, remains / f"recovered.{suffix}")
        if suffix == "wav":
            assert_explained(done.path, 0, done.cuts)
        assert done.cuts == report.cuts[: len(done.cuts)]
        known.add(len(done.cuts))
        assert cuts_path(ring).exists() is False
    assert known == {1, 2}


@pytest.mark.parametrize("back", [False, True])
async def test_the_file_in_which_it_goes_on_has_them_too(back: bool, tmp_path: Path):
    """Killed at any moment of a turn, and after it."""
    dead = tmp_path / "dead"
    disk = Snapshots(tmp_path / "place", dead)
    call = Counted(tmp_path / "place" / "a.wav", disk=disk, cycle_time=10, report=True)
    await call.start()
    await call.go_on(4)
    if back:
        await call.recorder.promote(tmp_path / "place" / "live.wav")
    await call.skip(3)
    await call.go_on(1.4)  # nothing that was heard after the cut is written yet
    disk.on = True
    if back:
        demoting = asyncio.ensure_future(call.recorder.demote())
        await asyncio.sleep(0)
        await call.go_on(1)
        await demoting
    else:
        await call.recorder.promote(tmp_path / "place" / "live.wav")
    await call.skip(2)
    await call.go_on(3)
    disk.on = False
    await call.recorder.stop()
    for remains in listing(dead):
        for left in [each for each in listing(remains) if each.suffix in (".wav", ".ring")]:
            try:
                done = recover(left, remains / f"recovered-{left.stem}.wav")
            except DamagedFileError:  # nothing was written to it yet
                assert back
                continue
            first_s = done.start_s
            if first_s:  # it begins behind the first cut
                first_s += 4.0
            # Where the report is there already, that has them.
            assert_explained(done.path, first_s, done.cuts or cuts_of(left))
    assert not [*(tmp_path / "place").rglob("*.cuts")]


async def test_each_file_of_a_split_recording_has_its_own(tmp_path: Path):
    dead = tmp_path / "dead"
    call = Counted(tmp_path / "a.wav", split_s=3)
    await call.start()
    await call.go_on(2)
    await call.skip(2)
    await call.go_on(3)  # the first file is over
    await call.skip(1)
    await call.go_on(2)
    shutil.copytree(tmp_path, dead)
    await call.recorder.stop()
    assert [each.name for each in listing(dead) if each.suffix == ".cuts"] == ["a-002.wav.cuts"]
    done = recover(dead / "a.wav")
    assert done.path.name == "a-002.wav"
    assert_explained(done.path, 3 + 3.0, done.cuts)
    assert len(done.cuts) == 1
    assert not [each for each in listing(tmp_path) if each.suffix == ".cuts"]


async def test_a_note_goes_with_the_file_that_it_is_of(tmp_path: Path, run_here: Cli):
    """A later recording, and a recovered file, have nothing of it."""
    place = tmp_path / "place"
    call = Counted(place / "a.wav")
    await call.start()
    await call.go_on(2)
    await call.skip(2)
    await call.go_on(3)
    for name in ("recovered", "taken"):
        shutil.copytree(place, tmp_path / name)
    await call.recorder.stop()
    told = run_here("recover", tmp_path / "recovered" / "a.wav", "--report")
    assert told.returncode == 0
    assert "cut out: 3.000 s at 0:02.000, where it was paused\n" in told.stdout
    assert [each.name for each in listing(tmp_path / "recovered")] == [
        *("a.1.wav", "a.1.wav.cuts", "a.wav", "a.wav.json"),
    ]
    said = json.loads((tmp_path / "recovered" / "a.wav.json").read_text())
    assert said["cuts"] == [{"at_s": 2.0, "lasted_s": 3.0}]
    assert run_here("inspect", tmp_path / "recovered" / "a.wav").stdout.count("\ncut: ") == 1
    later = Counted(tmp_path / "taken" / "a.wav")
    await later.start()
    await later.go_on(2)
    assert [each.name for each in listing(tmp_path / "taken")] == [
        *("a.1.wav", "a.1.wav.cuts", "a.wav"),
    ]
    await later.recorder.stop()
    assert recover(tmp_path / "taken" / "a.wav").cuts == ()


async def test_a_disk_that_takes_no_note_harms_nothing(tmp_path: Path):
    class NoNotes(Disk):
        def replace(self, source: Path, target: Path) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    call = Counted(tmp_path / "a.wav", disk=NoNotes())
    await call.start()
    await call.go_on(2)
    await call.skip(2)
    await call.go_on(3)
    assert [each.name for each in listing(tmp_path)] == ["a.wav"]
    report = await call.recorder.stop()
    assert len(report.cuts) == 1
    assert not report.error


@pytest.mark.parametrize(
    "note",
    [
        *("", "[]", "{}", '{"begins_ns": 1}', '{"begins_ns": "x", "cuts": []}', "\0", "[" * 9999),
        '{"begins_ns": 0, "cuts": [1, [], [1], ["a", 2], [-1, 2], [1.5, 2], [true, 1], null]}',
    ],
)
def test_a_note_may_be_anything(note: str, tmp_path: Path):
    cuts_path(tmp_path / "a.wav").write_text(note)
    assert noted_cuts(tmp_path / "a.wav", Disk())[1] == ()
