"""A report stands beside the file that it tells of, whatever is moved aside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from roomtape.storage.disk import Disk
from roomtape.types import AudioRecordingCode
from support.readers import read_all
from support.scripted_recording import Outcome, listing, record_scripted

BOTH_KINDS = pytest.mark.parametrize("cycle_time", [0, 10], ids=["live", "cyclic"])
# What was moved aside is told when it happens.
TELLS = {0: AudioRecordingCode.START, 10: AudioRecordingCode.FINISH}


def told(outcome: Outcome, code: AudioRecordingCode) -> str:
    (event,) = [each for each in outcome.events if each.code is code]
    return event.detail


@BOTH_KINDS
async def test_each_report_goes_with_its_file(cycle_time: int, tmp_path: Path):
    path = tmp_path / "a.wav"
    for seconds in (1.0, 2.0, 3.0):
        outcome = await record_scripted(
            path, cycle_time=cycle_time, seconds=seconds, report=True, sample_rate=16000
        )
    names = ["a.1.wav", "a.1.wav.json", "a.2.wav", "a.2.wav.json", "a.wav", "a.wav.json"]
    assert [each.name for each in listing(tmp_path)] == names
    for name, seconds in {"a.1.wav": 1.0, "a.2.wav": 2.0, "a.wav": 3.0}.items():
        report = json.loads((tmp_path / f"{name}.json").read_text())
        assert report["duration_s"] == pytest.approx(seconds, abs=0.01)
        assert len(read_all(tmp_path / name)[0]) / 16000 == pytest.approx(seconds, abs=0.01)
    detail = told(outcome, TELLS[cycle_time])
    assert detail == f"what stood at {path} is {tmp_path / 'a.2.wav'} now"
    (other,) = {*TELLS.values()} - {TELLS[cycle_time]}
    assert told(outcome, other) == ""


@BOTH_KINDS
async def test_nothing_is_left_beside_a_file_that_it_does_not_tell_of(
    cycle_time: int, tmp_path: Path
):
    path = tmp_path / "a.wav"
    await record_scripted(path, cycle_time=cycle_time, report=True)
    await record_scripted(path, cycle_time=cycle_time)
    names = ["a.1.wav", "a.1.wav.json", "a.wav"]
    assert [each.name for each in listing(tmp_path)] == names
    path.unlink()
    (tmp_path / "a.wav.json").write_text("of a file that was removed")
    await record_scripted(path, cycle_time=cycle_time)
    assert [each.name for each in listing(tmp_path)] == [*names[:2], "a.2.wav.json", "a.wav"]


@BOTH_KINDS
async def test_a_number_is_taken_if_either_is_there(cycle_time: int, tmp_path: Path):
    path = tmp_path / "a.wav"
    (tmp_path / "a.1.wav").touch()
    (tmp_path / "a.2.wav.json").touch()
    for _ in range(2):
        await record_scripted(path, cycle_time=cycle_time, report=True)
    assert (tmp_path / "a.3.wav").stat().st_size > 1000
    assert json.loads((tmp_path / "a.3.wav.json").read_text())
    assert (tmp_path / "a.1.wav").stat().st_size == (tmp_path / "a.2.wav.json").stat().st_size == 0


async def test_a_report_that_cannot_be_moved_leaves_all_as_it_was(tmp_path: Path):
    path = tmp_path / "a.wav"
    await record_scripted(path, report=True)
    before = {each.name: each.read_bytes() for each in listing(tmp_path)}

    class Refusing(Disk):
        def rename_new(self, path: Path, to: Path) -> None:
            if path.name == "a.wav.json":
                raise PermissionError(1, "Operation not permitted")
            super().rename_new(path, to)

    outcome = await record_scripted(path, report=True, disk=Refusing())
    assert "operation not permitted" in outcome.refused
    assert {each.name: each.read_bytes() for each in listing(tmp_path)} == before
