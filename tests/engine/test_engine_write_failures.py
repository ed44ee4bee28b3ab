"""A write that fails during a recording: ERROR once, the file readable, the call goes on."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecordingConfiguration, ErrorCode
from roomtape.storage.disk import Disk
from support.damage import names_in
from support.readers import read_all, read_ffmpeg
from support.scripted_call import ERROR, FINISH, START, joined_call
from support.signals import noise


class BreakingDisk(Disk):
    """Works until :attr:`broken` is set to an errno; then every write fails with it."""

    broken = 0

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        if self.broken and name == "write":
            raise OSError(self.broken, os.strerror(self.broken))
        return function(*args)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_failed_write_is_told_once_and_the_file_is_readable_to_its_end(
    tmp_path: Path, suffix: str, code: int
):
    disk, path, said = BreakingDisk(), tmp_path / f"a.{suffix}", noise(1, 6.0)
    async with joined_call(disk=disk) as call:
        await call.engine.start_audio_recording(str(path), 48000)
        call.room.speak("bob", said, 48000)
        await call.clock.advance(3)
        disk.broken = code
        await call.clock.advance(3)
        await call.until_told(START, ERROR)
        assert call.ear.recording == [(START, str(path)), (ERROR, str(path))]
        assert os.strerror(code).lower() in call.engine.last_error
        assert not call.room.recording
        assert await call.engine.stop_audio_recording() is ErrorCode.INVALID_STATE
        report = call.engine.last_recording_report
        assert report is not None
        pcm, _ = read_all(path) if suffix == "wav" else read_ffmpeg(path)
        assert 2.0 <= len(pcm) / 48000 <= 3.0
        assert report.duration_s * 48000 == len(pcm)
        assert report.bytes_written == path.stat().st_size
        assert report.unwritten_s > 0
        assert os.strerror(code).lower() in report.error
        if suffix == "wav":
            assert np.array_equal(pcm, said[: len(pcm)])

        # The call is as it was: the next recording works, once the disk does.
        disk.broken = 0
        assert await call.engine.start_audio_recording(str(tmp_path / "b.wav")) is ErrorCode.OK
        await call.clock.advance(1)
        assert await call.engine.stop_audio_recording() is ErrorCode.OK
        assert call.ear.codes == [START, ERROR, START, FINISH]


async def test_a_cyclic_recording_that_fails_leaves_its_ring_for_recovery(tmp_path: Path):
    disk, path = BreakingDisk(), tmp_path / "a.wav"
    async with joined_call(disk=disk) as call:
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(path, cycle_time=10)
        )
        await call.clock.advance(3)
        disk.broken = errno.EIO
        await call.clock.advance(1)
        await call.until_told(START, ERROR)
        report = call.engine.last_recording_report
    assert report is not None
    assert report.file_path == str(tmp_path / "a.wav.ring")
    assert names_in(tmp_path) == {"a.wav.ring"}


async def test_a_file_that_cannot_be_completed_is_fatal_at_the_stop(tmp_path: Path):
    disk, path = BreakingDisk(), tmp_path / "a.wav"
    async with joined_call(disk=disk) as call:
        await call.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(path, cycle_time=10)
        )
        await call.clock.advance(3)
        disk.broken = errno.ENOSPC
        assert await call.engine.stop_audio_recording() is ErrorCode.FATAL
        assert "no space left on device" in call.engine.last_error
        assert call.ear.codes == [START, ERROR]
        assert await call.engine.stop_audio_recording() is ErrorCode.INVALID_STATE
        assert not call.room.recording


async def test_starting_over_a_recording_that_cannot_be_completed_starts_all_the_same(
    tmp_path: Path,
):
    disk = BreakingDisk()
    async with joined_call(disk=disk) as call:
        await call.engine.start_audio_recording(str(tmp_path / "a.wav"))
        await call.clock.advance(1)
        disk.broken = errno.ENOSPC
        await call.clock.advance(1)
        disk.broken = 0
        codes = await asyncio.gather(
            call.engine.start_audio_recording(str(tmp_path / "b.wav")),
            call.engine.stop_audio_recording(),
        )
        assert codes == [ErrorCode.OK, ErrorCode.OK]
        assert call.ear.codes == [START, ERROR, START, FINISH]
