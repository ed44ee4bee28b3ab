"""A disk without room: before a recording, in its middle, and when a cyclic one is finished."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from roomtape import (
    AudioRecordingConfiguration,
    ChannelEventCallback,
    RtcEngine,
)
from roomtape.rooms import MemoryRoom
from roomtape.storage.recover import recover
from roomtape.types import AudioRecordingCode, AudioRecordingWarning, ErrorCode
from roomtape.types.clock import ScriptedClock
from support.disks import need_root, tmpfs
from support.program import run_python
from support.readers import read_all
from support.scripted_recording import listing
from support.signals import noise

SMALL_BYTES = 2 << 20
START, ERROR, FINISH, OPEN_FILE_FAILED = (
    AudioRecordingCode.START,
    AudioRecordingCode.ERROR,
    AudioRecordingCode.FINISH,
    AudioRecordingCode.OPEN_FILE_FAILED,
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    need_root()
    with tmpfs(tmp_path / "small", options="size=2M") as directory:
        yield directory


def fill(directory: Path, *, leave_bytes: int) -> Path:
    """Fill the disk, but for so much."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        with suppress(OSError):
            while file.write(bytes(4096)):
                pass
        file.truncate(max(0, file.tell() - leave_bytes))
    return filler


class Heard(ChannelEventCallback):
    def __init__(self) -> None:
        self.codes: list[tuple[AudioRecordingCode, str]] = []
        self.order: list[AudioRecordingCode | AudioRecordingWarning] = []

    def on_audio_recording(self, code: AudioRecordingCode, file_path: str) -> None:
        self.codes.append((code, file_path))
        self.order.append(code)

    def on_audio_recording_warning(self, code: AudioRecordingWarning, detail: str) -> None:
        self.order.append(code)


class Call:
    """An engine in a scripted room in which bob makes noise all the time."""

    def __init__(self) -> None:
        self.clock = ScriptedClock()
        self.room = MemoryRoom(self.clock)
        self.engine = RtcEngine(self.room, clock=self.clock)
        self.heard = Heard()

    async def __aenter__(self) -> Call:
        self.engine.set_event_callback(self.heard)
        assert await self.engine.join_channel(None, "standup", "me") == ErrorCode.OK
        self.room.enter("bob")
        self.room.speak("bob", noise(2, 120), 48000)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.release()

    async def record(self, path: Path, **config: int) -> ErrorCode:
        return await self.engine.start_audio_recording_with_config(
            AudioRecordingConfiguration(str(path), **config)
        )


@pytest.mark.root
@pytest.mark.parametrize("cycle_time", [0, 60])
async def test_a_disk_that_is_full_at_the_start_is_told_at_the_start(
    cycle_time: int, small_disk: Path
):
    filler = fill(small_disk, leave_bytes=0)
    async with Call() as call:
        code = await call.record(small_disk / "a.wav", cycle_time=cycle_time)
        assert code == ErrorCode.FATAL == 30001
        assert call.heard.codes == [(OPEN_FILE_FAILED, str(small_disk / "a.wav"))]
        assert "no space left" in call.engine.last_error
        assert listing(small_disk) == [filler]


@pytest.mark.root
async def test_a_cyclic_recording_that_will_not_fit_is_refused_at_the_start(small_disk: Path):
    async with Call() as call:
        assert await call.record(small_disk / "a.wav", cycle_time=900) == ErrorCode.FATAL
        assert call.heard.order == [OPEN_FILE_FAILED]
        assert listing(small_disk) == []


@pytest.mark.root
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_disk_that_fills_up_ends_the_recording_and_not_the_call(
    suffix: str, small_disk: Path, tmp_path: Path
):
    fill(small_disk, leave_bytes=100 << 10)
    target = small_disk / f"a.{suffix}"
    async with Call() as call:
        assert await call.record(target, sample_rate=48000) == ErrorCode.OK
        await call.clock.advance(30)
        assert call.heard.order == [START, AudioRecordingWarning.LOW_DISK_SPACE, ERROR]
        report = call.engine.last_recording_report
        assert "no space left" in report.error
        pcm, _ = read_all(target)
        assert len(pcm) / 48000 == report.duration_s
        assert report.bytes_written == target.stat().st_size
        assert target.stat().st_size > 95 << 10
        assert report.duration_s + report.unwritten_s >= 1
        # The call goes on, and so does recording, elsewhere.
        elsewhere = tmp_path / f"b.{suffix}"
        assert await call.record(elsewhere, sample_rate=48000) == ErrorCode.OK
        await call.clock.advance(5)
        assert await call.engine.stop_audio_recording() == ErrorCode.OK
        assert len(read_all(elsewhere)[0]) / 48000 == pytest.approx(5, abs=0.03)
        codes = [code for code, _ in call.heard.codes]
        assert codes == [START, ERROR, START, FINISH]


@pytest.mark.root
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_cyclic_recording_that_cannot_be_finished_keeps_its_ring(
    suffix: str, small_disk: Path, tmp_path: Path
):
    target = small_disk / f"a.{suffix}"
    async with Call() as call:
        assert await call.record(target, sample_rate=16000, cycle_time=10) == ErrorCode.OK
        await call.clock.advance(12)
        filler = fill(small_disk, leave_bytes=8 << 10)
        await call.clock.advance(6)
        assert AudioRecordingWarning.LOW_DISK_SPACE in call.heard.order
        assert await call.engine.stop_audio_recording() == ErrorCode.FATAL
        assert [code for code, _ in call.heard.codes] == [START, ERROR]
        ring = Path(call.engine.last_recording_report.file_path)
    assert listing(small_disk) == [ring, filler]
    recovered = recover(ring, tmp_path / f"b.{suffix}")
    assert recovered.duration_s == pytest.approx(10, abs=0.07)
    assert recovered.start_s == pytest.approx(8, abs=0.07)
    assert listing(small_disk) == [filler]
    pcm, _ = read_all(tmp_path / f"b.{suffix}")
    assert len(pcm) == round(recovered.duration_s * 16000)
    assert np.abs(pcm[-800:]).max() > 1000


_LIMITED = """
import asyncio, json, resource, sys
from pathlib import Path
from support.scripted_recording import listing, record_scripted

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
outcome = asyncio.run(record_scripted(Path(sys.argv[1]), seconds=8, cycle_time=int(sys.argv[2])))
report = outcome.report
print(json.dumps({
    "codes": [code.name for code in outcome.codes],
    "refused": outcome.refused,
    "duration_s": report and report.duration_s,
    "error": report and report.error,
}))
"""


def record_limited(path: Path, *, cycle_time: int, most_bytes: int) -> dict[str, object]:
    """Record 8 s in a process that may write no larger file (RLIMIT_FSIZE)."""
    tests = str(Path(__file__).parents[1])
    arguments = ["", str(path), str(cycle_time), str(most_bytes)]
    done = run_python(
        f"import sys; sys.path.insert(0, {tests!r}); sys.argv = {arguments!r}\n{_LIMITED}"
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("suffix", ["wav", "aac"])
def test_a_file_that_may_not_grow_ends_the_recording(suffix: str, tmp_path: Path):
    path, most_bytes = tmp_path / f"a.{suffix}", 50_001
    told = record_limited(path, cycle_time=0, most_bytes=most_bytes)
    assert told["codes"] == ["START", "ERROR"]
    assert "file too large" in str(told["error"])
    assert most_bytes - 800 < path.stat().st_size <= most_bytes
    assert len(read_all(path)[0]) / 32000 == told["duration_s"]
    # Nothing half is left at its end, even where readers would pass over it.
    if suffix == "wav":
        assert path.stat().st_size % 2 == 0
    else:
        assert recover(path).cut_bytes == 0


def test_a_file_that_may_not_be_created_is_told_at_the_start(tmp_path: Path):
    for cycle_time, most_bytes in ((0, 0), (10, 50_001)):
        told = record_limited(tmp_path / "a.wav", cycle_time=cycle_time, most_bytes=most_bytes)
        assert told["codes"] == []
        assert "file too large" in str(told["refused"])
        assert listing(tmp_path) == []
