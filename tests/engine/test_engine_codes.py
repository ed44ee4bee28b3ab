"""Return codes and events: every row of the contract's tables."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import (
    AudioRecordingCode,
    AudioRecordingConfiguration,
    ChannelEventCallback,
    ErrorCode,
    RtcEngine,
)
from roomtape.rooms import MemoryRoom
from roomtape.storage.disk import Disk
from roomtape.types.clock import ScriptedClock
from support.damage import names_in
from support.readers import read_all
from support.scripted_call import (
    ERROR_SUFFIX,
    FINISH,
    OPEN_FILE_FAILED,
    START,
    ScriptedCall,
    joined_call,
)
from support.signals import noise

OK, FATAL = ErrorCode.OK, ErrorCode.FATAL
INVALID_PARAM, INVALID_STATE = ErrorCode.INVALID_PARAM, ErrorCode.INVALID_STATE
NOT_JOINED, ALREADY_JOINED = ErrorCode.ROOM_NOT_JOINED, ErrorCode.ROOM_ALREADY_JOINED


class NoPermission(Disk):
    """A disk on which one kind of call is denied, from some moment on."""

    def __init__(self, denied: str = "open") -> None:
        self.denied = denied

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        if name == self.denied:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(args[0]))
        return function(*args)


async def start(call: ScriptedCall, path: Path | str, **config: Any) -> ErrorCode:
    return await call.engine.start_audio_recording_with_config(
        AudioRecordingConfiguration(path, **config)
    )


async def test_after_release_every_call_is_an_invalid_state_without_an_event(tmp_path: Path):
    async with joined_call() as call:
        engine = call.engine
        assert await engine.release() is OK
        assert await engine.release() is INVALID_STATE
        assert await engine.start_audio_recording(str(tmp_path / "a.wav")) is INVALID_STATE
        assert await start(call, "a.mp3") is INVALID_STATE
        assert await engine.stop_audio_recording() is INVALID_STATE
        assert await engine.join_channel(None, "standup", "me") is INVALID_STATE
        assert await engine.leave_channel() is INVALID_STATE
        assert await engine.set_local_audio(None) is INVALID_STATE
        assert await engine.mute_local_audio(True) is INVALID_STATE
        assert engine.set_event_callback(None) is INVALID_STATE
    assert call.ear.recording == []
    assert not names_in(tmp_path)


async def test_outside_a_room_nothing_starts_and_nothing_is_told(tmp_path: Path):
    call = ScriptedCall()
    assert await call.engine.start_audio_recording(str(tmp_path / "a.wav")) is NOT_JOINED
    assert await start(call, tmp_path / "a.mp3") is NOT_JOINED
    assert await call.engine.stop_audio_recording() is NOT_JOINED
    assert await call.engine.leave_channel() is NOT_JOINED
    await call.join()
    await call.engine.leave_channel()
    assert await call.engine.start_audio_recording(str(tmp_path / "a.wav")) is NOT_JOINED
    assert call.ear.recording == []
    assert not names_in(tmp_path)


async def test_joining_twice_is_refused_and_bad_names_and_rooms_have_their_codes():
    async with joined_call() as call:
        assert await call.engine.join_channel(None, "standup", "me") is ALREADY_JOINED
    engine = RtcEngine(MemoryRoom(ScriptedClock(), refuse="the token has expired"))
    assert await engine.join_channel(None, "", "me") is INVALID_PARAM
    assert await engine.join_channel(None, "standup", "") is INVALID_PARAM
    assert await engine.join_channel("t", "standup", "me") is FATAL
    assert engine.last_error == "the token has expired"


@pytest.mark.parametrize("name", ["a.mp3", "a", "a.wav.txt", "a.wave", "wav", "a.", ".wav.d/a"])
async def test_another_suffix_is_an_invalid_parameter_and_error_suffix(tmp_path: Path, name: str):
    async with joined_call() as call:
        assert await call.engine.start_audio_recording(str(tmp_path / name)) is INVALID_PARAM
        assert await start(call, tmp_path / name, cycle_time=10) is INVALID_PARAM
        assert call.ear.recording == [(ERROR_SUFFIX, str(tmp_path / name))] * 2
        assert ".wav or .aac" in call.engine.last_error
        assert await call.engine.start_audio_recording("") is INVALID_PARAM
        assert call.ear.codes[2:] == [ERROR_SUFFIX]
    assert not names_in(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        {"sample_rate": 12345},
        {"sample_rate": 0},
        {"sample_rate": 8000},
        {"sample_rate": 48000.0},
        {"sample_rate": "48000"},
        {"quality": 3},
        {"quality": -1},
        {"quality": True},
        {"quality": None},
        {"position": 3},
        {"position": "mixed"},
        {"cycle_time": 7},
        {"cycle_time": -10},
        {"cycle_time": 901},
    ],
    ids=str,
)
async def test_a_value_outside_the_table_is_an_invalid_parameter_without_an_event(
    tmp_path: Path, config: dict[str, Any]
):
    async with joined_call() as call:
        assert await start(call, tmp_path / "a.wav", **config) is INVALID_PARAM
        assert next(iter(config)) in call.engine.last_error
        assert call.ear.recording == []
    assert not names_in(tmp_path)


@pytest.mark.parametrize("cycle_time", [0, 10])
async def test_a_file_that_cannot_be_created_is_fatal_and_open_file_failed(
    tmp_path: Path, cycle_time: int
):
    (tmp_path / "file").touch()
    (tmp_path / "directory.wav").mkdir()
    paths = ["missing/a.wav", "file/a.wav", "directory.wav", "x" * 300 + ".wav"]
    async with joined_call() as call:
        for name in paths:
            path = tmp_path / name
            assert await start(call, path, cycle_time=cycle_time) is FATAL, name
            assert call.ear.recording.pop() == (OPEN_FILE_FAILED, str(path))
            assert str(path) in call.engine.last_error
        assert call.ear.recording == []
        assert not call.room.recording
    assert names_in(tmp_path) == {"file", "directory.wav"}


async def test_no_permission_is_fatal_and_open_file_failed(tmp_path: Path):
    async with joined_call(disk=NoPermission()) as call:
        assert await start(call, tmp_path / "a.aac") is FATAL
        assert call.ear.recording == [(OPEN_FILE_FAILED, str(tmp_path / "a.aac"))]
        assert "permission denied" in call.engine.last_error


async def test_stopping_with_nothing_running_is_an_invalid_state(tmp_path: Path):
    async with joined_call() as call:
        assert await call.engine.stop_audio_recording() is INVALID_STATE
        await start(call, tmp_path / "a.wav")
        assert await call.engine.stop_audio_recording() is OK
        assert await call.engine.stop_audio_recording() is INVALID_STATE
        assert call.ear.codes == [START, FINISH]


async def test_events_come_with_the_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    async with joined_call() as call:
        await call.engine.start_audio_recording("a.wav")
        await call.engine.start_audio_recording("./sub/../b.aac")
        await call.engine.start_audio_recording("a.ogg")
        await call.engine.start_audio_recording("nowhere/a.wav")
    assert call.ear.recording == [
        (START, f"{tmp_path}/a.wav"),
        (FINISH, f"{tmp_path}/a.wav"),
        (START, f"{tmp_path}/b.aac"),
        (ERROR_SUFFIX, f"{tmp_path}/a.ogg"),
        (OPEN_FILE_FAILED, f"{tmp_path}/nowhere/a.wav"),
        (FINISH, f"{tmp_path}/b.aac"),
    ]


@pytest.mark.parametrize("first_configured", [False, True])
@pytest.mark.parametrize("second_configured", [False, True])
async def test_a_second_start_finishes_the_first_whichever_method_is_used(
    tmp_path: Path, first_configured: bool, second_configured: bool
):
    said = noise(1, 4.0)
    first, second = tmp_path / "first.wav", tmp_path / "second.wav"
    async with joined_call() as call:
        for path, configured in ((first, first_configured), (second, second_configured)):
            if configured:
                assert await start(call, path, sample_rate=48000) is OK
            else:
                assert await call.engine.start_audio_recording(str(path), 48000) is OK
            if path is first:
                call.room.speak("bob", said, 48000)
            await call.clock.advance(2)
        assert call.ear.recording == [
            (START, str(first)),
            (FINISH, str(first)),
            (START, str(second)),
        ]
    assert call.ear.codes == [START, FINISH, START, FINISH]
    assert np.array_equal(read_all(first)[0], said[:96000])
    # What the room handed out in the very moment of the change went to the first.
    assert np.array_equal(read_all(second)[0][960:], said[96000 + 960 :])


@pytest.mark.parametrize(
    ("path", "config", "code", "event"),
    [
        ("b.mp3", {}, INVALID_PARAM, ERROR_SUFFIX),
        ("b.wav", {"sample_rate": 12345}, INVALID_PARAM, None),
        ("missing/b.wav", {}, FATAL, OPEN_FILE_FAILED),
        ("missing/b.wav", {"cycle_time": 10}, FATAL, OPEN_FILE_FAILED),
    ],
)
async def test_a_start_that_fails_leaves_the_running_recording_untouched(
    tmp_path: Path,
    path: str,
    config: dict[str, Any],
    code: ErrorCode,
    event: AudioRecordingCode | None,
):
    said = noise(1, 3.0)
    async with joined_call() as call:
        await start(call, tmp_path / "a.wav", sample_rate=48000)
        call.room.speak("bob", said, 48000)
        await call.clock.advance(1)
        assert await start(call, tmp_path / path, **config) is code
        assert call.ear.codes == [START, *([event] if event else [])]
        assert call.room.recording
        await call.clock.advance(2)
        assert await call.engine.stop_audio_recording() is OK
    assert call.ear.recording[-1] == (FINISH, str(tmp_path / "a.wav"))
    assert np.array_equal(read_all(tmp_path / "a.wav")[0], said)
    assert names_in(tmp_path) == {"a.wav"}


async def test_a_name_that_cannot_be_taken_leaves_the_running_recording_untouched(tmp_path: Path):
    disk = NoPermission(denied="")
    async with joined_call(disk=disk) as call:
        await start(call, tmp_path / "a.wav")
        await call.clock.advance(1)
        disk.denied = "rename_new"
        assert await start(call, tmp_path / "b.wav") is FATAL
        assert call.ear.recording[1:] == [(OPEN_FILE_FAILED, f"{tmp_path}/b.wav")]
        disk.denied = ""
        await call.clock.advance(1)
        assert await call.engine.stop_audio_recording() is OK
    assert call.ear.recording[2:] == [(FINISH, f"{tmp_path}/a.wav")]
    assert len(read_all(tmp_path / "a.wav")[0]) == 2 * 32000
    assert names_in(tmp_path) == {"a.wav"}


async def test_a_link_to_the_running_recordings_directory_is_the_same_place(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    async with joined_call() as call:
        await start(call, tmp_path / "real" / "a.wav")
        await call.clock.advance(1)
        assert await start(call, tmp_path / "link" / "a.wav") is OK
        await call.clock.advance(2)
    assert len(read_all(tmp_path / "real" / "a.1.wav")[0]) == 32000
    assert len(read_all(tmp_path / "real" / "a.wav")[0]) == 2 * 32000


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_file_that_exists_is_moved_to_the_first_free_number(tmp_path: Path, suffix: str):
    path = tmp_path / f"name.{suffix}"
    path.write_bytes(b"oldest")
    (tmp_path / f"name.1.{suffix}").write_bytes(b"taken")
    async with joined_call() as call:
        assert await call.engine.start_audio_recording(str(path)) is OK
        await call.clock.advance(1)
        # Again, over the running one: that is finished first, and then moved aside as well.
        assert await call.engine.start_audio_recording(str(path)) is OK
        await call.clock.advance(2)
    assert (tmp_path / f"name.1.{suffix}").read_bytes() == b"taken"
    assert (tmp_path / f"name.2.{suffix}").read_bytes() == b"oldest"
    assert round(len(read_all(tmp_path / f"name.3.{suffix}")[0]) / 32000, 1) == 1.0
    assert round(len(read_all(path)[0]) / 32000, 1) == 2.0
    assert call.ear.codes == [START, FINISH, START, FINISH]


async def test_a_callback_that_raises_is_logged_and_the_recording_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    class Raises(ChannelEventCallback):
        def on_audio_recording(self, code: AudioRecordingCode, file_path: str) -> None:
            raise RuntimeError(f"no patience for {code.name}")

        def on_user_joined(self, uid: str) -> None:
            raise RuntimeError("no patience at all")

    async with joined_call() as call:
        call.engine.set_event_callback(Raises())
        assert await call.engine.start_audio_recording(str(tmp_path / "a.wav")) is OK
        call.room.enter("carol")
        await call.clock.advance(2)
        assert await call.engine.stop_audio_recording() is OK
        assert await call.engine.start_audio_recording(str(tmp_path / "a.ogg")) is INVALID_PARAM
    assert len(read_all(tmp_path / "a.wav")[0]) == 64000
    for words in ("START", "FINISH", "ERROR_SUFFIX", "at all"):
        assert f"no patience {'' if words == 'at all' else 'for '}{words}" in caplog.text


async def test_a_callback_can_be_changed_and_taken_away(tmp_path: Path):
    async with joined_call() as call:
        await call.engine.start_audio_recording(str(tmp_path / "a.wav"))
        assert call.engine.set_event_callback(None) is OK
        await call.engine.stop_audio_recording()
        assert call.ear.codes == [START]


async def test_calls_made_at_the_same_time_are_done_one_after_the_other(tmp_path: Path):
    async with joined_call() as call:
        engine = call.engine
        paths = [str(tmp_path / name) for name in ("a.wav", "b.aac", "c.wav")]
        codes = await asyncio.gather(
            *(engine.start_audio_recording(path) for path in paths),
            engine.stop_audio_recording(),
            engine.stop_audio_recording(),
            engine.leave_channel(),
            engine.start_audio_recording(paths[0]),
        )
    assert codes == [OK, OK, OK, OK, INVALID_STATE, OK, NOT_JOINED]
    assert call.ear.recording == [(code, path) for path in paths for code in (START, FINISH)]


async def test_a_start_that_is_cancelled_leaves_nothing_and_the_next_one_works(tmp_path: Path):
    async with joined_call() as call:
        for turns in range(12):
            starting = asyncio.create_task(
                call.engine.start_audio_recording(str(tmp_path / f"{turns}.wav"))
            )
            for _ in range(turns):
                await asyncio.sleep(0.0002)
            starting.cancel()
            (done,) = await asyncio.gather(starting, return_exceptions=True)
            assert isinstance(done, asyncio.CancelledError) or done is OK
            if done is OK:
                await call.engine.stop_audio_recording()
        assert not [name for name in names_in(tmp_path) if name.startswith(".")]
        assert call.engine.recorder is None
        assert await call.engine.start_audio_recording(str(tmp_path / "last.wav")) is OK
        await call.clock.advance(1)
    assert len(read_all(tmp_path / "last.wav")[0]) == 32000
