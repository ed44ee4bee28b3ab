"""Live and cyclic again through the engine: its codes and its events."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioFrame, AudioRecordingCode, AudioRecordingConfiguration, ErrorCode
from roomtape.types import NS_PER_S
from support.readers import read_all
from support.scripted_call import FINISH, START, ScriptedCall, joined_call
from support.signals import noise

PROMOTED, PROMOTE_FAILED = AudioRecordingCode.PROMOTED, AudioRecordingCode.PROMOTE_FAILED
DEMOTED, PART_FINISHED = AudioRecordingCode.DEMOTED, AudioRecordingCode.PART_FINISHED
SUFFIX = AudioRecordingCode.ERROR_SUFFIX
RATE_HZ = 16000


async def test_there_and_back_returns_ok_and_tells(tmp_path: Path):
    path, live = tmp_path / "call.wav", tmp_path / "live.wav"
    async with joined_call() as call:
        engine = call.engine
        config = AudioRecordingConfiguration(path, cycle_time=10)
        await engine.start_audio_recording_with_config(config)
        await call.clock.advance(12)
        assert await engine.promote_audio_recording(str(live)) is ErrorCode.OK
        await call.clock.advance(3)
        demoting = asyncio.ensure_future(engine.demote_audio_recording())
        await call.clock.advance(3)
        assert await demoting is ErrorCode.OK
        report = engine.last_part_report
        assert await engine.stop_audio_recording() is ErrorCode.OK
        rest = engine.last_recording_report
    assert call.ear.recording == [
        (START, str(path)),
        (PROMOTED, str(live)),
        (DEMOTED, str(path)),
        (PART_FINISHED, str(live)),
        (FINISH, str(path)),
    ]
    assert report is not None
    assert rest is not None
    assert (report.file_path, rest.file_path) == (str(live), str(path))
    assert rest.skipped_s == report.skipped_s + report.duration_s == 15
    assert rest.duration_s == 3


async def test_stems_in_aac_turn_with_it(tmp_path: Path):
    """The stem of the only one who speaks is the mix (test_engine_turns_stems.py has WAV)."""
    path, live = tmp_path / "call.aac", tmp_path / "live.aac"
    said = noise(1, 40.0, RATE_HZ)

    async def talk(call: ScriptedCall, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            at = call.clock.now_ns() * RATE_HZ // NS_PER_S
            frame = AudioFrame(said[at : at + RATE_HZ // 10], RATE_HZ, at)
            call.room.send("bob", frame)
            await call.clock.advance(0.1)

    async with joined_call() as call:
        engine = call.engine
        config = AudioRecordingConfiguration(
            path, sample_rate=RATE_HZ, cycle_time=10, stems=tmp_path / "stems"
        )
        assert await engine.start_audio_recording_with_config(config) is ErrorCode.OK
        await talk(call, 14)
        assert await engine.promote_audio_recording(str(live)) is ErrorCode.OK
        await talk(call, 3)
        demoting = asyncio.ensure_future(engine.demote_audio_recording())
        await talk(call, 3)
        assert await demoting is ErrorCode.OK
        part = engine.last_part_report
        await talk(call, 2)
        assert await engine.stop_audio_recording() is ErrorCode.OK
        rest = engine.last_recording_report
    assert [code for code, _ in call.ear.recording] == [
        *(START, PROMOTED, DEMOTED, PART_FINISHED, FINISH)
    ]
    assert part is not None
    assert rest is not None
    lead = 1024  # a decoder needs a frame to begin
    for report in (part, rest):
        mix, _ = read_all(report.file_path)
        (stem,) = report.stems
        assert Path(stem).name.startswith("001-bob")
        alone, _ = read_all(stem)
        assert len(alone) == len(mix)
        assert np.abs(mix[lead:]).max() > 1000
        assert np.abs(alone[lead:].astype(int) - mix[lead:]).max() <= 1
    assert rest.skipped_s == pytest.approx(part.skipped_s + part.duration_s, abs=0.1)


async def test_while_stems_of_a_turn_are_cut_another_one_is_refused_in_words(tmp_path: Path):
    async with joined_call() as call:
        engine = call.engine
        config = AudioRecordingConfiguration(
            tmp_path / "call.wav", sample_rate=RATE_HZ, cycle_time=10, stems=tmp_path / "stems"
        )
        assert await engine.start_audio_recording_with_config(config) is ErrorCode.OK
        await call.clock.advance(2)
        assert await engine.promote_audio_recording() is ErrorCode.OK
        await call.clock.advance(2)
        demoting = asyncio.ensure_future(engine.demote_audio_recording())
        await asyncio.sleep(0)
        assert await engine.promote_audio_recording() is ErrorCode.INVALID_STATE
        assert engine.last_error
        await call.clock.advance(3)
        assert await demoting is ErrorCode.OK
        assert await engine.promote_audio_recording(str(tmp_path / "2.wav")) is ErrorCode.OK
        assert await engine.stop_audio_recording() is ErrorCode.OK
    assert call.ear.codes[-1] is FINISH


@pytest.mark.parametrize(
    ("name", "code", "event"),
    [
        ("part.aac", ErrorCode.INVALID_PARAM, SUFFIX),
        ("part", ErrorCode.INVALID_PARAM, SUFFIX),
        ("a\0.wav", ErrorCode.INVALID_PARAM, None),
        ("missing/part.wav", ErrorCode.FATAL, PROMOTE_FAILED),
    ],
)
async def test_what_cannot_be_is_a_code_and_the_recording_goes_on(
    name: str, code: ErrorCode, event: AudioRecordingCode | None, tmp_path: Path
):
    async with joined_call() as call:
        engine = call.engine
        config = AudioRecordingConfiguration(tmp_path / "call.wav", cycle_time=10)
        await engine.start_audio_recording_with_config(config)
        await call.clock.advance(2)
        assert await engine.promote_audio_recording(str(tmp_path / name)) is code
        assert engine.last_error
        assert call.ear.recording[1:] == ([] if event is None else [(event, str(tmp_path / name))])
        assert await engine.demote_audio_recording(11) is ErrorCode.INVALID_PARAM
        assert await engine.demote_audio_recording() is ErrorCode.INVALID_STATE
        assert await engine.promote_audio_recording() is ErrorCode.OK
        assert await engine.promote_audio_recording() is ErrorCode.INVALID_STATE
        assert await engine.stop_audio_recording() is ErrorCode.OK
        for calling in (engine.promote_audio_recording, engine.demote_audio_recording):
            assert await calling() is ErrorCode.INVALID_STATE
        await engine.leave_channel()
        assert await engine.promote_audio_recording() is ErrorCode.ROOM_NOT_JOINED
        assert await engine.demote_audio_recording() is ErrorCode.ROOM_NOT_JOINED


async def test_a_split_recording_tells_of_each_file(tmp_path: Path):
    paths = [str(tmp_path / f"call-00{number}.wav") for number in (1, 2, 3)]
    async with joined_call() as call:
        config = AudioRecordingConfiguration(tmp_path / "call.wav", split_s=2)
        assert await call.engine.start_audio_recording_with_config(config) is ErrorCode.OK
        await call.clock.advance(3)
        first = call.engine.last_part_report
        await call.clock.advance(2)
        assert await call.engine.demote_audio_recording(10) is ErrorCode.INVALID_PARAM
        assert await call.engine.stop_audio_recording() is ErrorCode.OK
        last = call.engine.last_recording_report
    assert call.ear.recording == [
        (START, paths[0]),
        (PART_FINISHED, paths[0]),
        (PART_FINISHED, paths[1]),
        (FINISH, paths[2]),
    ]
    assert first is not None
    assert last is not None
    assert (first.part, first.next_file, first.duration_s) == (1, paths[1], 2)
    assert (last.part, last.previous_file, last.next_file) == (3, paths[1], "")
