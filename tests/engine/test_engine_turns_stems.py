"""A recording with stems that turns through the engine: its codes, its events, and every sample of
everybody, in the stems and in the mixes of all files.
"""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecordingCode, AudioRecordingConfiguration, ErrorCode, RecordingReport
from roomtape.storage.disk import Disk
from roomtape.types import Pcm
from support.readers import read_all
from support.scripted_call import FINISH, START, ScriptedCall, joined_call
from support.signals import noise

RATE = 16000
SECONDS = 20
COMPLETE_S = 3
"""Of a demotion: a stem is written a second at once."""
PROMOTED, PROMOTE_FAILED = AudioRecordingCode.PROMOTED, AudioRecordingCode.PROMOTE_FAILED
DEMOTED, DEMOTE_FAILED = AudioRecordingCode.DEMOTED, AudioRecordingCode.DEMOTE_FAILED
PART_FINISHED = AudioRecordingCode.PART_FINISHED


class NoRoom(Disk):
    """Takes no more files in the directory of the stems, as long as it is full."""

    def __init__(self) -> None:
        self.full = False

    def create(self, path: Path) -> int:
        if self.full and path.parent.name == "stems":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return super().create(path)


def names_in(place: Path) -> set[str]:
    return {str(each.relative_to(place)) for each in place.rglob("*")}


def said(uid: str) -> Pcm:
    """What they say all the time from when they come."""
    return noise(len(uid), SECONDS, RATE) // 8


async def begin(call: ScriptedCall, place: Path, cycle_time: int) -> None:
    config = AudioRecordingConfiguration(
        place / "call.wav", sample_rate=RATE, cycle_time=cycle_time, stems=place / "stems"
    )
    assert await call.engine.start_audio_recording_with_config(config) is ErrorCode.OK
    call.room.speak("bob", said("bob"), RATE)


async def demoted(call: ScriptedCall, cycle_time: int | None = None) -> ErrorCode:
    demoting = asyncio.ensure_future(call.engine.demote_audio_recording(cycle_time))
    await call.clock.advance(COMPLETE_S)
    return await demoting


def whole(report: RecordingReport | None) -> RecordingReport:
    """A report whose stems are as long as its file, and sum to it, sample by sample."""
    assert report is not None
    mix = read_all(report.file_path)[0]
    assert len(mix) == round(report.duration_s * RATE)
    stems = [read_all(stem)[0] for stem in report.stems]
    assert {len(stem) for stem in stems} == {len(mix)}
    assert np.array_equal(np.sum(stems, axis=0, dtype=int), mix)
    return report


def joined(who: str, *reports: RecordingReport) -> Pcm:
    """All that the files have of somebody, one after the other; silence where there is no stem."""
    pieces = []
    for report in reports:
        of_theirs = [stem for stem in report.stems if f"-{who}" in Path(stem).stem]
        count = round(report.duration_s * RATE)
        pieces += [read_all(stem)[0] for stem in of_theirs] or [np.zeros(count, np.int16)]
    return np.concatenate(pieces)


async def test_every_sample_is_in_the_stems_and_mixes_of_the_files(tmp_path: Path):
    live, again = tmp_path / "live.wav", tmp_path / "again.wav"
    async with joined_call() as call:
        engine = call.engine
        await begin(call, tmp_path, 10)
        await call.clock.advance(3)
        assert await engine.promote_audio_recording(str(live)) is ErrorCode.OK
        call.room.enter("carol")
        call.room.speak("carol", said("carol"), RATE)
        await call.clock.advance(2)
        assert await demoted(call) is ErrorCode.OK
        first = whole(engine.last_part_report)
        assert await engine.promote_audio_recording(str(again)) is ErrorCode.OK
        await call.clock.advance(2)
        assert await engine.stop_audio_recording() is ErrorCode.OK
        last = whole(engine.last_recording_report)
    assert call.ear.recording == [
        (START, str(tmp_path / "call.wav")),
        (PROMOTED, str(live)),
        (DEMOTED, str(tmp_path / "call.wav")),
        (PART_FINISHED, str(live)),
        (PROMOTED, str(again)),
        (FINISH, str(again)),
    ]
    assert not call.ear.warnings
    assert [Path(stem).name for stem in (*first.stems, *last.stems)] == [
        *("001-bob.wav", "002-carol.wav"),
        *("001-bob-002.wav", "002-carol-002.wav"),
    ]
    assert last.skipped_s == first.skipped_s + first.duration_s
    bob, carol = (joined(who, first, last) for who in ("bob", "carol"))
    assert len(bob) == len(carol) == 10 * RATE
    assert np.array_equal(bob, said("bob")[: len(bob)])
    assert not carol[: 3 * RATE].any()
    assert np.array_equal(carol[3 * RATE :], said("carol")[: 7 * RATE])
    assert not [name for name in names_in(tmp_path) if name.endswith((".ring", ".part"))]


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("part.aac", ErrorCode.INVALID_PARAM, [AudioRecordingCode.ERROR_SUFFIX]),
        ("a\0.wav", ErrorCode.INVALID_PARAM, []),
        ("missing/part.wav", ErrorCode.FATAL, [PROMOTE_FAILED]),
    ],
)
async def test_a_bad_call_is_a_code_and_the_stems_stay_rings(
    name: str, code: ErrorCode, told: list[AudioRecordingCode], tmp_path: Path
):
    async with joined_call() as call:
        engine = call.engine
        await begin(call, tmp_path, 10)
        await call.clock.advance(3)
        before = names_in(tmp_path)
        assert await engine.promote_audio_recording(str(tmp_path / name)) is code
        assert engine.last_error
        assert await engine.demote_audio_recording() is ErrorCode.INVALID_STATE
        assert await engine.demote_audio_recording(-1) is ErrorCode.INVALID_PARAM
        assert names_in(tmp_path) == before
        await call.clock.advance(1)
        assert await engine.stop_audio_recording() is ErrorCode.OK
        report = whole(engine.last_recording_report)
    assert call.ear.codes == [START, *told, FINISH]
    assert np.array_equal(joined("bob", report), said("bob")[: 4 * RATE])


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
async def test_without_room_for_the_stems_nothing_turns_until_there_is(back: bool, tmp_path: Path):
    disk, live = NoRoom(), str(tmp_path / "live.wav")
    async with joined_call(disk=disk) as call:
        engine = call.engine
        await begin(call, tmp_path, 0 if back else 10)
        await call.clock.advance(3)
        before = names_in(tmp_path)
        disk.full = True
        turn = demoted(call, 10) if back else engine.promote_audio_recording(live)
        assert await turn is ErrorCode.FATAL
        assert os.strerror(errno.ENOSPC).lower() in engine.last_error.lower()
        assert names_in(tmp_path) == before
        disk.full = False
        again = demoted(call, 10) if back else engine.promote_audio_recording(live)
        assert await again is ErrorCode.OK
        reports = [whole(engine.last_part_report)] if back else []
        before_s = sum(report.duration_s for report in reports)
        assert await engine.stop_audio_recording() is ErrorCode.OK
        reports.append(whole(engine.last_recording_report))
    assert (DEMOTE_FAILED if back else PROMOTE_FAILED) in call.ear.codes
    assert not call.ear.warnings
    assert reports[-1].skipped_s == before_s
    bob = joined("bob", *reports)
    assert np.array_equal(bob, said("bob")[: len(bob)])
