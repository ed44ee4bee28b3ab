"""Recordings that become live or cyclic on the machine's own clock and threads: disks that hang,
stops that come in between, programs that end.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.recording.parts import parts
from roomtape.storage.recover import recover
from roomtape.types.errors import FileError, StateError
from support.faulty_disk import HangingDisk
from support.processes import descriptors
from support.program import run_python
from support.saved_parts import RATE, samples_of
from support.scripted_recording import listing, until

pytestmark = pytest.mark.realtime


class HangsBeside(HangingDisk):
    """Hangs where a recording is prepared to change, and not where it is written."""

    def call(self, name: str, function: Any, *args: Any) -> Any:
        if threading.current_thread().name == "roomtape-turn":
            return super().call(name, function, *args)
        return function(*args)


class Counted:
    """A recorder that hears a number that grows by one with each sample."""

    def __init__(self, path: Path, disk: HangingDisk | None = None, **more: Any) -> None:
        self.codes: list[str] = []
        self.recorder = AudioRecorder(
            AudioRecordingConfiguration(path, sample_rate=RATE, **more),
            on_event=lambda event: self.codes.append(event.code.name),
            disk=disk,
        )
        self._pushing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Counted:
        await self.recorder.start()
        self._pushing = asyncio.ensure_future(self._push())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._pushing is not None
        self._pushing.cancel()
        if not self.recorder.over:
            await self.recorder.stop()

    async def _push(self) -> None:
        source, at = self.recorder.add_source("alice"), 0
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        while True:
            # As a microphone: a loop that wakes up late has not slowed its clock down.
            while at < (loop.time() - begun_s) * RATE:
                source.push((np.arange(at, at + RATE // 50) % 20000 + 1).astype(np.int16), RATE, at)
                at += RATE // 50
            await asyncio.sleep(0.02)


def without_seam(*paths: Path) -> bool:
    """Whether what was heard goes on from sample to sample, through all of these."""
    heard = np.concatenate([samples_of(path) for path in paths]).astype(int)
    heard = heard[np.flatnonzero(heard)[0] : np.flatnonzero(heard)[-1]]
    return bool((np.diff(heard) % 20000 == 1).all())


async def test_there_and_back_and_there_again_without_a_seam(tmp_path: Path):
    opened = descriptors()
    one, two, rest = (tmp_path / name for name in ("one.wav", "two.wav", "call.wav"))
    async with Counted(rest, cycle_time=10) as counted:
        await asyncio.sleep(0.8)
        await counted.recorder.promote(one)
        await asyncio.sleep(0.5)
        first = await counted.recorder.demote()
        assert counted.recorder.cyclic
        await counted.recorder.promote(two)
        await asyncio.sleep(0.3)
        second = await counted.recorder.demote()
        await asyncio.sleep(0.3)
        last = await counted.recorder.stop()
    assert first.skipped_s + first.duration_s == second.skipped_s
    assert second.skipped_s + second.duration_s == last.skipped_s
    assert without_seam(one, two, rest)
    assert [each.name for each in listing(tmp_path)] == ["call.wav", "one.wav", "two.wav"]
    expected = ["START", "PROMOTED", "DEMOTED", "PART_FINISHED"]
    assert counted.codes == [*expected, *expected[1:], "FINISH"]
    await until(lambda: descriptors() <= opened)


@pytest.mark.parametrize("call", ["open", "write", "fsync"])
async def test_a_disk_that_hangs_leaves_it_as_it_was_and_a_stop_waits_for_it_not_for_ever(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(parts, "MOST_HANG_S", 0.3)
    disk = HangsBeside(call)
    (tmp_path / "there").mkdir()
    async with Counted(tmp_path / "call.wav", disk, cycle_time=10) as counted:
        await asyncio.sleep(0.5)
        disk.hang()
        promoting = asyncio.ensure_future(counted.recorder.promote(tmp_path / "there" / "live.wav"))
        await asyncio.to_thread(disk.waiting.wait, 60)
        with pytest.raises(StateError, match="wait for that"):
            await counted.recorder.promote()
        try:
            await counted.recorder.stop()
            with pytest.raises(FileError, match="ended before that"):
                await promoting
        finally:
            disk.release()
    assert without_seam(tmp_path / "call.wav")
    assert counted.codes == ["START", "PROMOTE_FAILED", "FINISH"]
    await until(lambda: listing(tmp_path / "there") == [])


async def test_a_stop_ends_what_has_begun_with_all_of_it(tmp_path: Path):
    async with Counted(tmp_path / "call.wav", cycle_time=10) as counted:
        await asyncio.sleep(0.5)
        promoting = asyncio.ensure_future(counted.recorder.promote())
        await asyncio.sleep(0)
        report = await counted.recorder.stop()
        assert await promoting == tmp_path / "call.wav"
    assert report.skipped_s == 0
    assert without_seam(tmp_path / "call.wav")
    assert counted.codes == ["START", "PROMOTED", "FINISH"]


async def test_whoever_waits_may_give_up_and_it_is_done_all_the_same(tmp_path: Path):
    async with Counted(tmp_path / "call.wav", cycle_time=10) as counted:
        await asyncio.sleep(0.3)
        promoting = asyncio.ensure_future(counted.recorder.promote())
        await asyncio.sleep(0)
        promoting.cancel()
        await until(lambda: not counted.recorder.cyclic)
        await counted.recorder.stop()
    assert counted.codes == ["START", "PROMOTED", "FINISH"]


ENDS = """
import asyncio, os
import numpy as np
from roomtape import AudioRecorder, AudioRecordingConfiguration

async def main():
    recorder = AudioRecorder(
        AudioRecordingConfiguration("call.wav", sample_rate=16000, cycle_time=10),
        on_event=lambda event: print(event.code.name, flush=True),
    )
    await recorder.start()
    source = recorder.add_source("alice")
    for number in range(30):
        source.push(np.full(800, 500, np.int16), 16000, number * 800)
        if number == 15:
            await recorder.promote("live.wav")
            if os.fork() == 0:
                os._exit(0 if recorder.path.name == "live.wav" else 1)
        if number == 20 and HOW == "back":
            asyncio.ensure_future(recorder.demote())
        await asyncio.sleep(0.05)
    if HOW == "killed":
        os.kill(os.getpid(), 9)

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["there", "back", "killed"])
async def test_the_end_of_the_program_finds_it_where_it_is(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    done = run_python(f"HOW = {how!r}\n{ENDS}")
    told = done.stdout.split()
    if how == "killed":
        assert told == ["START", "PROMOTED"]
        assert [each.name for each in listing(tmp_path)] == ["live.wav"]
        recover("live.wav")
    elif how == "back":
        assert told[:4] == ["START", "PROMOTED", "DEMOTED", "PART_FINISHED"]
        assert told[4:] == ["FINISH"]
    else:
        assert told == ["START", "PROMOTED", "FINISH"]
    heard = samples_of(tmp_path / "live.wav")
    assert len(heard) > 0.5 * RATE
    heard = heard[np.flatnonzero(heard)[0] :]
    assert (heard[: RATE // 2] == 500).all()


async def test_a_split_on_threads_has_no_seam_and_stops_at_any_moment(tmp_path: Path):
    opened = descriptors()
    async with Counted(tmp_path / "call.wav", split_s=1, stems=tmp_path / "stems") as counted:
        await asyncio.sleep(3.35)
        await counted.recorder.stop()
    parts = [each for each in listing(tmp_path) if each.suffix == ".wav"]
    assert len(parts) == 4
    assert without_seam(*parts)
    stems = [each for each in listing(tmp_path / "stems") if each.suffix == ".wav"]
    assert len(stems) == 4
    assert without_seam(*stems)
    assert counted.codes == ["START", *["PART_FINISHED"] * 3, "FINISH"]
    assert len([each for each in listing(tmp_path) if each.suffix == ".json"]) == 4
    await until(lambda: descriptors() <= opened)


async def test_stems_turn_with_it_without_a_seam(tmp_path: Path):
    opened = descriptors()
    rest, stems = tmp_path / "call.wav", tmp_path / "stems"
    files, beside = [], []
    async with Counted(rest, cycle_time=10, stems=stems) as counted:
        await asyncio.sleep(1.3)
        for number in range(2):
            await counted.recorder.promote(tmp_path / f"part-{number}.wav")
            await asyncio.sleep(0.3)
            part = await counted.recorder.demote()
            files.append(Path(part.file_path))
            beside += [Path(each) for each in part.stems]
            await asyncio.sleep(0.2)
        last = await counted.recorder.stop()
    files.append(rest)
    beside += [Path(each) for each in last.stems]
    assert without_seam(*files)
    assert without_seam(*beside)
    for mix, stem in zip(files, beside, strict=True):
        assert np.array_equal(samples_of(mix), samples_of(stem))
    assert [each.name for each in beside] == [
        *("001-alice.wav", "001-alice-002.wav", "001-alice-003.wav"),
    ]
    assert {each for each in listing(stems) if each.suffix == ".wav"} == {*beside}
    assert "STEM_FAILED" not in counted.codes
    await until(lambda: descriptors() <= opened)


@pytest.mark.parametrize("call", ["open", "write", "fsync"])
async def test_where_the_disk_hangs_over_stems_they_stay_rings(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(parts, "MOST_HANG_S", 0.3)
    disk, stems = HangsBeside(call), tmp_path / "stems"
    async with Counted(tmp_path / "call.wav", disk, cycle_time=10, stems=stems) as counted:
        await until((stems / "001-alice.wav.ring").exists)
        disk.hang()
        promoting = asyncio.ensure_future(counted.recorder.promote(tmp_path / "live.wav"))
        await asyncio.to_thread(disk.waiting.wait, 60)
        try:
            await counted.recorder.stop()
            with pytest.raises(FileError, match="ended before that"):
                await promoting
        finally:
            disk.release()
    assert counted.codes == ["START", "PROMOTE_FAILED", "FINISH"]
    await until(lambda: not [*tmp_path.rglob("*.part")])
    assert np.array_equal(samples_of(tmp_path / "call.wav"), samples_of(stems / "001-alice.wav"))
    assert not (tmp_path / "live.wav").exists()
