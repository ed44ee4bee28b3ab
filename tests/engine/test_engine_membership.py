"""A recording lives as long as the room is joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioFrame, AudioRecordingConfiguration, ErrorCode, PushedAudio, RtcEngine
from roomtape.rooms import MemoryRoom
from roomtape.types.clock import ScriptedClock
from support.damage import names_in
from support.readers import read_all
from support.scripted_call import FINISH, START, joined_call
from support.signals import noise

OK = ErrorCode.OK


@pytest.mark.parametrize("how", ["leave", "release", "lose"])
@pytest.mark.parametrize("cycle_time", [0, 10])
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_leaving_releasing_or_losing_the_room_finishes_the_recording(
    tmp_path: Path, suffix: str, cycle_time: int, how: str
):
    path, said = tmp_path / f"a.{suffix}", noise(1, 2.5)
    async with joined_call() as call:
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(path, sample_rate=48000, cycle_time=cycle_time)
        )
        call.room.speak("bob", said, 48000)
        await call.clock.advance(2.5)
        if how == "leave":
            assert await call.engine.leave_channel() is OK
        elif how == "release":
            assert await call.engine.release() is OK
        else:
            call.room.lose("the server has not come back")
            assert await call.engine.stop_audio_recording() is ErrorCode.ROOM_NOT_JOINED
            await call.until_told(START, FINISH)
            await call.clock.advance(0.01)
            assert ("disconnected", "the server has not come back") in call.ear.others
        assert call.ear.recording == [(START, str(path)), (FINISH, str(path))]
        report = call.engine.last_recording_report
    assert report is not None
    assert report.error == ""
    pcm, _ = read_all(path)
    assert 120000 <= len(pcm) < 121024
    assert suffix == "aac" or np.array_equal(pcm, said)
    assert names_in(tmp_path) == {path.name}


async def test_a_frame_that_is_none_harms_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    said = noise(1, 1.0)
    async with joined_call() as call:
        call.room.enter("carol")
        await call.engine.start_audio_recording(str(tmp_path / "a.wav"), 48000)
        call.room.speak("bob", said, 48000)
        call.room.send("carol", AudioFrame(said, 7))
        call.room.send("nobody", AudioFrame(said, 48000))
        await call.clock.advance(1)
    assert np.array_equal(read_all(tmp_path / "a.wav")[0], said)
    assert "sample_rate is 7" in caplog.text


async def test_after_losing_the_room_it_can_be_joined_and_recorded_again(tmp_path: Path):
    async with joined_call() as call:
        call.room.lose()
        assert await call.engine.leave_channel() is ErrorCode.ROOM_NOT_JOINED
        await call.clock.advance(0.1)
        await call.join()
        assert await call.engine.start_audio_recording(str(tmp_path / "a.wav")) is OK
        call.room.speak("bob", noise(1, 1.0), 48000)
        await call.clock.advance(1)
        await call.engine.leave_channel()
    assert read_all(tmp_path / "a.wav")[0].any()


async def test_leaving_and_joining_again_at_once_starts_a_new_stay(tmp_path: Path):
    async with joined_call() as call:
        await call.engine.leave_channel()
        await call.join()  # without giving the event loop a turn in between
        assert await call.engine.start_audio_recording(str(tmp_path / "a.wav")) is OK
        await call.clock.advance(1)
        assert call.ear.codes == [START]
        assert await call.engine.stop_audio_recording() is OK
        assert not [each for each in call.ear.others if each[0] == "disconnected"]


async def test_the_others_are_told_who_records_and_when_no_longer(tmp_path: Path):
    async with joined_call() as call:
        assert not call.room.recording
        await call.engine.start_audio_recording(str(tmp_path / "a.wav"))
        assert call.room.recording
        await call.engine.start_audio_recording(str(tmp_path / "b.wav"))
        await call.clock.advance(0.1)
        assert call.room.recording
        await call.engine.stop_audio_recording()
        assert not call.room.recording


async def test_the_engine_is_a_context_manager_that_finishes_what_runs(tmp_path: Path):
    clock = ScriptedClock()
    async with RtcEngine(MemoryRoom(clock), clock=clock) as engine:
        await engine.join_channel(None, "standup", "me")
        await engine.start_audio_recording(str(tmp_path / "a.wav"))
        await clock.advance(1)
    assert engine.last_recording_report is not None
    assert engine.last_recording_report.duration_s == 1.0
    assert await engine.release() is ErrorCode.INVALID_STATE


async def test_a_publisher_may_come_change_and_go_during_a_recording(tmp_path: Path):
    first, second = noise(1, 1.0), noise(2, 1.0)
    async with joined_call() as call:
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=48000, position=1)
        )
        for said in (first, second):
            mouth = PushedAudio()
            mouth.push(said)
            assert await call.engine.set_local_audio(mouth) is OK
            await call.clock.advance(1.5)
        assert await call.engine.set_local_audio(None) is OK
        await call.clock.advance(1)
    pcm, _ = read_all(tmp_path / "a.wav")
    assert len(pcm) == 4 * 48000
    assert np.array_equal(pcm[:48000], first)
    assert np.array_equal(pcm[72000:120000], second)
    assert not pcm[48000:72000].any()
    assert not pcm[120000:].any()
