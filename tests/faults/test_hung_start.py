"""A disk that does not answer when a recording begins."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration, ErrorCode
from roomtape.recording import reservation as target
from roomtape.types.errors import OpenFileError
from support.faulty_disk import HangingDisk
from support.scripted_call import OPEN_FILE_FAILED, START, joined_call
from support.scripted_recording import listing, until

pytestmark = pytest.mark.realtime

OLDER = b"an older recording"
# Each kind of call before a recording has begun.
CALLS = [
    ("open", 0),
    ("write", 0),
    ("rename_new", 0),
    ("allocate", 10),
    ("write", 10),
    ("fsync", 10),
]


@pytest.mark.parametrize(("name", "cycle_time"), CALLS)
async def test_a_disk_that_hangs_at_the_start_is_told_and_nothing_is_left_when_it_answers(
    name: str, cycle_time: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    disk, path = HangingDisk(name), tmp_path / "a.wav"
    path.write_bytes(OLDER)
    config = AudioRecordingConfiguration(path, cycle_time=cycle_time)
    async with joined_call(disk=disk) as call:
        assert await call.engine.start_audio_recording(str(tmp_path / "b.wav")) is ErrorCode.OK
        disk.hang()
        try:
            async with asyncio.timeout(60):
                with monkeypatch.context() as patch:
                    patch.setattr(target, "MOST_START_S", 0.2)
                    code = await call.engine.start_audio_recording_with_config(config)
            assert code is ErrorCode.FATAL
            assert "a.wav: the disk has not answered for 0.2 s" in call.engine.last_error
            assert call.ear.recording[-1] == (OPEN_FILE_FAILED, str(path))
            assert disk.waiting.is_set()
            # The recording that runs already is not harmed by one that cannot begin.
            assert call.ear.codes[0] is START
        finally:
            disk.release()
        await until(lambda: listing(tmp_path) == [path, tmp_path / "b.wav"])
        assert path.read_bytes() == OLDER
        # The disk works again, and takes the recording.
        assert await call.engine.start_audio_recording_with_config(config) is ErrorCode.OK
    assert [each.name for each in listing(tmp_path)] == ["a.1.wav", "a.wav", "b.wav"]


@pytest.mark.parametrize(("name", "cycle_time"), CALLS)
async def test_a_start_that_is_cancelled_on_a_disk_that_hangs_leaves_nothing(
    name: str, cycle_time: int, tmp_path: Path
):
    disk, path = HangingDisk(name), tmp_path / "a.wav"
    path.write_bytes(OLDER)
    disk.hang()
    recorder = AudioRecorder(AudioRecordingConfiguration(path, cycle_time=cycle_time), disk=disk)
    starting = asyncio.create_task(recorder.start())
    await asyncio.to_thread(disk.waiting.wait, 120)
    starting.cancel()
    await asyncio.sleep(0.05)
    disk.release()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert listing(tmp_path) == [path]
    assert path.read_bytes() == OLDER


async def test_who_took_the_name_meanwhile_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    disk, path = HangingDisk("fsync"), tmp_path / "a.wav"
    disk.hang()  # just after the name was taken
    hung = AudioRecorder(AudioRecordingConfiguration(path), disk=disk)
    with monkeypatch.context() as patch:
        patch.setattr(target, "MOST_START_S", 0.2)
        with pytest.raises(OpenFileError, match="has not answered"):
            await hung.start()
    async with AudioRecorder(AudioRecordingConfiguration(path)) as other:
        disk.release()
        await asyncio.sleep(0.2)
        assert other.recording
    assert path.stat().st_size == other.report.bytes_written > 80
