"""The file that is told of is the file that was recorded, whatever others do to its name."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from roomtape import (
    AudioRecorder,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingWarning,
)
from roomtape.types import RecordingEvent, RecordingReport
from roomtape.types.clock import ScriptedClock
from support.damage import names_in
from support.readers import read_all
from support.signals import noise

RATE = 48000
FINISH = AudioRecordingCode.FINISH
SUFFIXES = pytest.mark.parametrize("suffix", ["wav", "aac"])


class Recorded:
    """A recording of 3 s; something happens to its file after two."""

    def __init__(self, path: Path, cycle_time: int = 0) -> None:
        self.events: list[RecordingEvent] = []
        self.clock = ScriptedClock()
        self.said = noise(1, 3.0)
        config = AudioRecordingConfiguration(
            path, sample_rate=RATE, cycle_time=cycle_time, report=True
        )
        self.recorder = AudioRecorder(config, clock=self.clock, on_event=self.events.append)

    async def begin(self) -> None:
        await self.recorder.start()
        self.recorder.add_source("alice").push(self.said, RATE, 0)
        await self.clock.advance(2)

    async def end(self) -> Path:
        """Where it says that it is, after looking whether that is so."""
        await self.clock.advance(1)
        return self._check(await self.recorder.stop())

    def _check(self, report: RecordingReport) -> Path:
        path = Path(report.file_path)
        assert self.events[-1].file_path == report.file_path
        assert self.events[-1].code is FINISH
        assert report.bytes_written == path.stat().st_size
        pcm, _ = read_all(path)
        if path.suffix == ".wav":
            assert np.array_equal(pcm, self.said)
        else:
            assert len(pcm) >= 3 * RATE
        written = json.loads(Path(f"{path}.json").read_text())
        assert written["file_path"] == report.file_path
        return path

    @property
    def moved(self) -> list[str]:
        return [
            each.detail for each in self.events if each.code is AudioRecordingWarning.FILE_MOVED
        ]


@SUFFIXES
@pytest.mark.parametrize("where", ["b.{}", "elsewhere/b.{}"])
async def test_a_live_file_that_was_renamed_is_told_of_at_its_new_name(
    suffix: str, where: str, tmp_path: Path
):
    path, new = tmp_path / f"a.{suffix}", tmp_path / where.format(suffix)
    (tmp_path / "elsewhere").mkdir()
    recorded = Recorded(path)
    await recorded.begin()
    path.rename(new)
    assert await recorded.end() == new
    assert len(recorded.moved) == 1
    assert f"it is at {new}" in recorded.moved[0]
    assert recorded.moved[0] in recorded.recorder.report.warnings[0]
    assert not path.exists()


@SUFFIXES
async def test_a_live_file_that_was_removed_is_there_again_whole(suffix: str, tmp_path: Path):
    path = tmp_path / f"a.{suffix}"
    recorded = Recorded(path)
    await recorded.begin()
    path.unlink()
    assert await recorded.end() == path
    assert "was removed" in recorded.moved[0]
    assert names_in(tmp_path) == {path.name, f"{path.name}.json"}


@SUFFIXES
async def test_what_took_the_name_of_a_removed_file_is_not_overwritten(suffix: str, tmp_path: Path):
    path = tmp_path / f"a.{suffix}"
    recorded = Recorded(path)
    await recorded.begin()
    path.unlink()
    path.write_bytes(b"somebody else's")
    await recorded.end()
    assert (tmp_path / f"a.1.{suffix}").read_bytes() == b"somebody else's"


@SUFFIXES
@pytest.mark.parametrize("first_ends", [0, 1])
async def test_of_two_recorders_at_one_path_each_names_its_own_file(
    suffix: str, first_ends: int, tmp_path: Path
):
    path = tmp_path / f"a.{suffix}"
    recorded = [Recorded(path), Recorded(path)]
    for each in recorded:
        await each.begin()
    order = recorded if first_ends == 0 else recorded[::-1]
    ended = {id(each): await each.end() for each in order}
    assert ended[id(recorded[0])] == tmp_path / f"a.1.{suffix}"
    assert ended[id(recorded[1])] == path
    assert len(names_in(tmp_path)) == 4


@SUFFIXES
async def test_three_at_one_path_and_one_is_discarded(suffix: str, tmp_path: Path):
    path = tmp_path / f"a.{suffix}"
    first, last = Recorded(path), Recorded(path)
    await first.begin()
    given_up = AudioRecorder(AudioRecordingConfiguration(path))
    await given_up.prepare(take_name=True)
    await last.begin()
    await given_up.discard()
    assert await first.end() != await last.end() == path


@SUFFIXES
async def test_a_ring_that_was_removed_or_replaced_costs_nothing(suffix: str, tmp_path: Path):
    path = tmp_path / f"a.{suffix}"
    recorded, ring = Recorded(path, cycle_time=10), tmp_path / f"a.{suffix}.ring"
    await recorded.begin()
    ring.unlink()
    ring.write_bytes(b"somebody else's")
    assert await recorded.end() == path
    assert ring.read_bytes() == b"somebody else's"


async def test_the_directory_was_renamed_under_it(tmp_path: Path):
    (tmp_path / "day").mkdir()
    recorded = Recorded(tmp_path / "day" / "a.wav")
    await recorded.begin()
    (tmp_path / "day").rename(tmp_path / "night")
    assert await recorded.end() == tmp_path / "night" / "a.wav"


@pytest.mark.realtime
async def test_a_rename_on_the_machines_clock_is_followed_too(tmp_path: Path):
    path = tmp_path / "a.wav"
    async with AudioRecorder(AudioRecordingConfiguration(path)) as recorder:
        await asyncio.sleep(0.3)
        path.rename(tmp_path / "b.wav")
        await asyncio.sleep(0.3)
    assert recorder.report is not None
    assert recorder.report.file_path == str(tmp_path / "b.wav")
    assert len(read_all(tmp_path / "b.wav")[0]) / 32000 == recorder.report.duration_s
