"""Saving through the engine: its codes, its events, and that nothing waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from roomtape import AudioRecordingCode, AudioRecordingConfiguration, ErrorCode
from support.scripted_call import FINISH, START, joined_call

SAVED, FAILED, SUFFIX = (
    AudioRecordingCode.SAVED,
    AudioRecordingCode.SAVE_FAILED,
    AudioRecordingCode.ERROR_SUFFIX,
)


async def test_saving_returns_ok_and_tells_while_the_recording_goes_on(tmp_path: Path):
    path, part = tmp_path / "call.wav", tmp_path / "part.wav"
    async with joined_call() as call:
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(path, cycle_time=10)
        )
        await call.clock.advance(12)
        saving = asyncio.ensure_future(call.engine.save_audio_recording(str(part), 3, 2))
        await call.clock.advance(3)
        assert await saving is ErrorCode.OK
        report = call.engine.last_save_report
        assert call.ear.recording == [(START, str(path)), (SAVED, str(part))]
        assert await call.engine.stop_audio_recording() is ErrorCode.OK
    assert report is not None
    assert (report.duration_s, report.skipped_s, report.file_path) == (5, 9, str(part))
    assert call.ear.recording[-1] == (FINISH, str(path))


@pytest.mark.parametrize(
    ("name", "options", "code", "event"),
    [
        ("part.aac", {}, ErrorCode.INVALID_PARAM, SUFFIX),
        ("part", {}, ErrorCode.INVALID_PARAM, SUFFIX),
        ("call.wav", {}, ErrorCode.INVALID_PARAM, None),
        ("part.wav", {"last_s": -1}, ErrorCode.INVALID_PARAM, None),
        ("part.wav", {"last_s": 0}, ErrorCode.INVALID_STATE, None),
        ("missing/part.wav", {}, ErrorCode.FATAL, FAILED),
    ],
)
async def test_what_cannot_be_saved_is_a_code(
    name: str,
    options: dict[str, Any],
    code: ErrorCode,
    event: AudioRecordingCode | None,
    tmp_path: Path,
):
    async with joined_call() as call:
        await call.engine.start_audio_recording(str(tmp_path / "call.wav"))
        await call.clock.advance(2)
        path = str(tmp_path / name)
        saving = asyncio.ensure_future(call.engine.save_audio_recording(path, **options))
        await call.clock.advance(1)
        assert await saving is code
        assert call.engine.last_error
        assert call.ear.recording[1:] == ([] if event is None else [(event, path)])
        assert await call.engine.stop_audio_recording() is ErrorCode.OK


async def test_without_a_recording_there_is_nothing_to_save(tmp_path: Path):
    async with joined_call() as call:
        engine, path = call.engine, str(tmp_path / "part.wav")
        assert await engine.save_audio_recording(path) is ErrorCode.INVALID_STATE
        await engine.leave_channel()
        assert await engine.save_audio_recording(path) is ErrorCode.ROOM_NOT_JOINED
        await engine.release()
        assert await engine.save_audio_recording(path) is ErrorCode.INVALID_STATE
        assert engine.last_save_report is None


@pytest.mark.parametrize("how", ["stop_audio_recording", "leave_channel", "release"])
async def test_a_stop_does_not_wait_for_what_is_still_to_come(how: str, tmp_path: Path):
    part = tmp_path / "part.wav"
    async with joined_call() as call:
        await call.engine.start_audio_recording(str(tmp_path / "call.wav"))
        await call.clock.advance(4)
        saving = asyncio.ensure_future(
            call.engine.save_audio_recording(str(part), 30, then_s=60, since_last_save=True)
        )
        await call.clock.advance(1)
        assert await getattr(call.engine, how)() is ErrorCode.OK
        assert await saving is ErrorCode.OK
    assert [code for code, _ in call.ear.recording] == [START, SAVED, FINISH]
    report = call.engine.last_save_report
    assert report is not None
    assert (report.duration_s, report.missing_s) == (5, 59)
