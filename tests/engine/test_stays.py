"""One stay in a room has nothing to do with the next, however they follow on each other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecordingConfiguration, ErrorCode, PushedAudio
from support.faulty_disk import HangingDisk
from support.readers import read_all
from support.scripted_call import FINISH, START, joined_call
from support.scripted_recording import until
from support.signals import noise

OK = ErrorCode.OK


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_a_loss_while_a_join_waits_does_not_tear_down_the_next_stay(
    turns: int, tmp_path: Path
):
    said = noise(1, 2.0)
    async with joined_call() as call:
        assert await call.engine.start_audio_recording(str(tmp_path / "a.wav")) is OK
        await call.clock.advance(1)
        async with call.engine._turn:  # a call that takes long, as stop does on a slow disk
            joining = asyncio.create_task(call.engine.join_channel(None, "standup", "me"))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.room.lose("the cable is out")
            await asyncio.sleep(0)
        assert await joining is OK
        await call.clock.advance(0.1)
        assert call.ear.codes == [START, FINISH]
        assert call.ear.others.count(("disconnected", "the cable is out")) == 1
        assert await call.engine.start_audio_recording(str(tmp_path / "b.wav"), 48000) is OK
        call.room.speak("bob", said, 48000)
        await call.clock.advance(2)
        assert await call.engine.stop_audio_recording() is OK
        report = call.engine.last_recording_report
    assert report is not None
    assert [source.name for source in report.sources] == ["bob"]
    assert np.array_equal(read_all(tmp_path / "b.wav")[0], said)


async def test_a_loss_during_a_slow_stop_on_a_real_disk(tmp_path: Path):
    disk = HangingDisk("fsync")
    async with joined_call(disk=disk) as call:
        config = AudioRecordingConfiguration(tmp_path / "a.wav")
        assert await call.engine.start_audio_recording_with_config(config) is OK
        await call.clock.advance(1)
        stopping = asyncio.create_task(call.engine.stop_audio_recording())
        joining = asyncio.create_task(call.engine.join_channel(None, "standup", "me"))
        call.room.lose()
        assert await stopping in (OK, ErrorCode.ROOM_NOT_JOINED)
        assert await joining is OK
        assert await call.engine.start_audio_recording(str(tmp_path / "b.wav")) is OK
        call.room.speak("bob", noise(1, 1.0), 48000)
        await call.clock.advance(1)
    assert read_all(tmp_path / "b.wav")[0].any()


async def test_what_the_old_room_says_late_does_not_reach_the_new_stay(tmp_path: Path):
    async with joined_call() as call:
        old = call.room._listener
        await call.engine.leave_channel()
        await call.join()
        assert await call.engine.start_audio_recording(str(tmp_path / "a.wav"), 48000) is OK
        others = list(call.ear.others)
        old.on_participant_joined("ghost")
        old.on_participant_left("bob", "late news")
        old.on_muted("bob", "audio", True)
        old.on_closed("late news")
        old.on_closed("late news")
        call.room.speak("bob", noise(1, 1.0), 48000)
        await call.clock.advance(1)
        assert call.ear.others == others
        assert call.engine.recorder is not None
        assert [source.name for source in call.engine.recorder.sources] == ["bob"]
        assert not call.engine.recorder.sources[0].muted


async def test_a_room_that_is_lost_twice_is_told_once(tmp_path: Path):
    async with joined_call() as call:
        await call.engine.start_audio_recording(str(tmp_path / "a.wav"))
        listener = call.room._listener
        listener.on_closed("first")
        listener.on_closed("second")
        await until(lambda: FINISH in call.ear.codes)
        await call.clock.advance(0.1)
        assert [each for each in call.ear.others if each[0] == "disconnected"] == [
            ("disconnected", "first")
        ]


@pytest.mark.parametrize("turns", range(12))
async def test_a_leave_that_is_cancelled_anywhere_can_be_made_again(turns: int, tmp_path: Path):
    mouth = PushedAudio()
    async with joined_call(mouth) as call:
        await call.engine.start_audio_recording(str(tmp_path / "a.wav"))
        await call.clock.advance(1)
        leaving = asyncio.create_task(call.engine.leave_channel())
        for _ in range(turns):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert await call.engine.leave_channel() in (OK, ErrorCode.ROOM_NOT_JOINED)
        assert call.room._listener is None
        assert call.ear.codes == [START, FINISH]
        assert mouth._task is None
        await call.join()
        assert await call.engine.start_audio_recording(str(tmp_path / "b.wav")) is OK


async def test_the_engine_knows_its_recorder_when_start_is_told(tmp_path: Path):
    async with joined_call() as call:
        seen = []
        told = call.ear.on_audio_recording

        def on_audio_recording(code, file_path):
            seen.append((code, call.engine.recorder and call.engine.recorder.path))
            told(code, file_path)

        call.ear.on_audio_recording = on_audio_recording
        for name in ("a.wav", "b.wav"):
            assert await call.engine.start_audio_recording(str(tmp_path / name)) is OK
        await call.engine.stop_audio_recording()
        assert seen == [
            (START, tmp_path / "a.wav"),
            (FINISH, None),
            (START, tmp_path / "b.wav"),
            (FINISH, None),
        ]


class _BytesPath:
    def __fspath__(self) -> bytes:
        return b"/nowhere/at/all.wav"


class _OddPath:
    def __fspath__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/tmp/lone \ud800 surrogate.wav", ErrorCode.INVALID_PARAM),
        (_BytesPath(), ErrorCode.FATAL),
        (b"/nowhere/at/all.wav", ErrorCode.FATAL),
        (_OddPath(), ErrorCode.INVALID_PARAM),
        (7, ErrorCode.INVALID_PARAM),
        (None, ErrorCode.INVALID_PARAM),
        ("a\0.wav", ErrorCode.INVALID_PARAM),
    ],
    ids=["surrogate", "bytes path", "bytes", "raising path", "number", "none", "nul"],
)
async def test_a_path_that_is_none_is_a_return_code(path: object, code: ErrorCode, tmp_path: Path):
    async with joined_call() as call:
        await call.engine.start_audio_recording(str(tmp_path / "kept.wav"))
        assert await call.engine.start_audio_recording(path) is code
        assert call.engine.last_error
        assert "\n" not in call.engine.last_error
        assert call.engine.recorder is not None
        assert call.engine.recorder.recording


async def test_callbacks_may_be_async_and_what_they_do_harms_nothing(tmp_path: Path, caplog):
    done, never = [], asyncio.Event()

    async with joined_call() as call:

        async def on_audio_recording(code, file_path):
            done.append(("begun", code))
            if code is START:
                await never.wait()  # it never ends, and delays nothing
            await asyncio.sleep(0)
            done.append(("ended", code))
            raise ZeroDivisionError("an async one raises")

        call.ear.on_audio_recording = on_audio_recording
        assert await call.engine.start_audio_recording(str(tmp_path / "a.wav")) is OK
        await call.clock.advance(1)
        assert await call.engine.stop_audio_recording() is OK
        await call.clock.advance(0.1)
    assert done == [("begun", START), ("begun", FINISH), ("ended", FINISH)]
    assert "an async one raises" in caplog.text
