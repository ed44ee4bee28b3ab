"""What is saved of a recording with stems has the same stretch of each, in a directory beside."""

from __future__ import annotations

import asyncio
import errno
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration, RecordingReport
from roomtape.storage.disk import Disk
from roomtape.types import AudioRecordingCode, RecordingEvent
from roomtape.types.errors import ConfigurationError, FileError
from support.damage import names_in
from support.lag import Lag
from support.readers import read_all
from support.saved_parts import FRAME, frames_of, report_beside
from support.scripted_recording import listing
from support.signals import noise
from support.talking import Talking

RATE = 16000
SUFFIX = pytest.mark.parametrize("suffix", ["wav", "aac"])


def voice(number: int) -> np.ndarray:
    return noise(number, 60, RATE) // 8


async def saved(call: Talking, path: Path, *, within_s: float = 3.0, **how: Any) -> RecordingReport:
    """What a save gives, when the talk has gone on for as long as it needs."""
    task = asyncio.ensure_future(call.recorder.save(path, **how))
    await asyncio.sleep(0)
    await call.talk(within_s)
    return await asyncio.wait_for(task, 60)


def stems_in(report: RecordingReport) -> dict[str, Path]:
    return {Path(each).stem: Path(each) for each in report.stems}


@pytest.mark.slow
@SUFFIX
@pytest.mark.parametrize("how", ["live", "cyclic", "split"])
@pytest.mark.parametrize("seed", range(3))
async def test_saves_at_random_moments_have_the_same_stretch_of_each_stem(
    seed: int, how: str, suffix: str, tmp_path: Path
):
    chance = random.Random(f"{seed} {how} {suffix}")
    given: dict[str, Any] = {"cyclic": {"cycle_time": 10}, "split": {"split_s": 3}}.get(how, {})
    call = Talking(tmp_path / f"call.{suffix}", sample_rate=RATE, **given)
    both = AudioRecorder(
        AudioRecordingConfiguration(
            tmp_path / f"whole.{suffix}", sample_rate=RATE, stems=tmp_path / "whole"
        ),
        clock=call.clock,
    )
    await call.recorder.start()
    await both.start()
    there: dict[str, list[Any]] = {}
    voices: dict[str, np.ndarray] = {}
    asked: list[tuple[Path, asyncio.Task[RecordingReport]]] = []

    def join(number: int) -> None:
        name = f"p{number}"
        there[name] = [each.add_source(name) for each in (call.recorder, both)]
        voices[name] = voice(number)

    join(0)
    for step in range(1, 200):
        if len(there) > 1 and chance.random() < 0.05:
            for source in there.pop(chance.choice([each for each in there if each != "p0"])):
                source.close()
        if len(there) < 4 and chance.random() < 0.05:
            join(step)
        if step > 3 and chance.random() < 0.1:
            path = tmp_path / f"part-{step}.{suffix}"
            last_s = chance.choice([0.5, 2, 8, 10, 30])
            saving = call.recorder.save(path, last_s=last_s, then_s=chance.choice([0, 0, 0.7, 4]))
            asked.append((path, asyncio.ensure_future(saving)))
            await asyncio.sleep(0)
        at = round(call.clock.now_ns() / 1e9 * RATE)
        for name, sources in there.items():
            said = voices[name][np.arange(at, at + RATE // 10) % len(voices[name])]
            for source in sources:
                source.push(said, RATE, at)
        await call.clock.advance(0.1)
    await call.recorder.stop()
    whole = stems_in(await both.stop())
    heard = {name: read_all(path)[0] for name, path in whole.items()}
    assert len(asked) > 10
    for path, task in asked:
        report = await task
        mix, _ = read_all(path)
        first = round(report.skipped_s * RATE)
        stems = stems_in(report)
        for name, pcm in heard.items():
            said = pcm[first : first + len(mix)]
            if name not in stems:  # it was not there
                lead = 2 * FRAME if suffix == "aac" else 0
                assert not said[lead:].any(), (path, name)
            elif suffix == "wav":
                ours, _ = read_all(stems[name])
                assert len(ours) == len(mix), (path, name)
                assert np.array_equal(ours[: len(said)], said), (path, name)
            else:
                assert len(frames_of(stems[name])) == len(frames_of(path)), (path, name)
                ours, _ = read_all(stems[name])
                near = np.abs(ours[FRAME : len(said)].astype(int) - said[FRAME:])
                assert near.max(initial=0) <= 1, (path, name)
        if suffix == "wav":
            summed = np.sum([read_all(each)[0].astype(int) for each in stems.values()], axis=0)
            assert np.array_equal(summed, mix)
        assert {each.parent for each in stems.values()} == {path.with_name(f"{path.stem}-stems")}
        assert [Path(each).name for each in report.projects] == [
            f"{path.stem}.lof",
            f"{path.stem}.rpp",
        ]
        assert report_beside(path)["stems"] == list(report.stems)
        assert {source.stem for source in report.sources if source.stem} <= {*report.stems}
    assert not [each for each in listing(tmp_path) if each.suffix in (".part", ".ring")]


@SUFFIX
async def test_who_comes_while_it_is_saved_is_in_it(suffix: str, tmp_path: Path):
    call = Talking(tmp_path / f"call.{suffix}", sample_rate=RATE, cycle_time=10)
    await call.recorder.start()
    call.join("alice", voice(1), RATE)
    await call.talk(2)
    path = tmp_path / f"part.{suffix}"
    saving = asyncio.ensure_future(call.recorder.save(path, last_s=1, then_s=2))
    await asyncio.sleep(0)
    await call.talk(1)
    bob = call.join("bob", voice(2), RATE)
    await call.talk(0.4)
    call.leave(bob)
    await call.talk(0.4)
    call.join("too late", voice(3), RATE)
    await call.talk(4)
    stems = stems_in(await saving)
    assert [*stems] == ["001-alice", "002-bob", "003-too late"]
    bob_pcm, _ = read_all(stems["002-bob"])
    lead = FRAME if suffix == "aac" else 0
    assert not bob_pcm[: 2 * RATE - 2 * lead].any()
    assert bob_pcm[2 * RATE : round(2.4 * RATE)].any()
    assert not bob_pcm[round(2.4 * RATE) + 2 * lead :].any()
    await call.talk(12)  # bob's ring is gone
    report = await saved(call, tmp_path / f"later.{suffix}", last_s=5)
    assert [*stems_in(report)] == ["001-alice", "003-too late"]
    await call.end()


@pytest.mark.parametrize("cycle_time", [0, 10])
@pytest.mark.parametrize("moment", ["before", "meanwhile", "afterwards"])
async def test_who_is_forgotten_is_silence_in_what_is_being_saved_and_will_be(
    moment: str, cycle_time: int, tmp_path: Path
):
    call = Talking(tmp_path / "call.wav", sample_rate=RATE, cycle_time=cycle_time)
    await call.recorder.start()
    call.join("alice", voice(1), RATE)
    call.join("bob", voice(2), RATE)
    await call.talk(4)
    path = tmp_path / "part.wav"
    if moment == "before":
        await call.recorder.forget("bob")
    saving = asyncio.ensure_future(call.recorder.save(path, last_s=3, then_s=1))
    await asyncio.sleep(0)
    await call.talk(0.6)
    forgotten = None
    if moment == "meanwhile":
        forgetting = asyncio.ensure_future(call.recorder.forget("bob"))
        await asyncio.sleep(0)
        await call.talk(0.2)
        forgotten = await forgetting
    await call.talk(3)
    stems = stems_in(await saving)
    if moment == "afterwards":
        forgotten = await call.recorder.forget("bob")
    bob, _ = read_all(stems["002-bob"])
    alice, _ = read_all(stems["001-alice"])
    assert alice.any()
    assert bob.any() == (moment == "afterwards")
    if forgotten is not None:
        named = {Path(each).name for each in forgotten.still_in}
        live = {"call.wav"} if cycle_time == 0 else set()
        parts = {"part.wav"} if moment == "afterwards" else set()
        assert named >= live | parts
        assert ("002-bob.wav" in named) == bool(live | parts)
        assert "001-alice.wav" not in named
        assert (str(stems["002-bob"]) in forgotten.still_in) == bool(parts)
    await call.end()


class FullParts(Disk):
    """No room in the stems of what is saved, for as long as it is told."""

    def __init__(self) -> None:
        self.full = True
        self._parts: set[int] = set()

    def create(self, path: Path) -> int:
        fd = super().create(path)
        if path.parent.name.endswith("part-stems"):
            self._parts.add(fd)
        return fd

    def close(self, fd: int) -> None:
        self._parts.discard(fd)
        super().close(fd)

    def write_at(self, fd: int, data: bytes | memoryview, offset: int) -> None:
        if self.full and fd in self._parts and offset > 30_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write_at(fd, data, offset)


async def test_a_save_whose_stems_have_no_room_leaves_nothing_and_can_be_tried_again(
    tmp_path: Path,
):
    disk, events = FullParts(), list[RecordingEvent]()
    call = Talking(
        tmp_path / "call.wav", sample_rate=RATE, disk=disk, cycle_time=10, on_event=events.append
    )
    await call.recorder.start()
    call.join("alice", voice(1), RATE)
    await call.talk(4)
    before = names_in(tmp_path)
    with pytest.raises(FileError, match="no space left on device"):
        await saved(call, tmp_path / "part.wav", last_s=3)
    assert names_in(tmp_path) == before
    assert events[-1].code is AudioRecordingCode.SAVE_FAILED
    disk.full = False
    report = await saved(call, tmp_path / "part.wav", last_s=3)
    again = await saved(call, tmp_path / "part.wav", last_s=3)
    assert report.stems == again.stems
    assert [each.name for each in listing(tmp_path / "part-stems")] == [
        "001-alice.1.wav",
        "001-alice.wav",
        "part.1.lof",
        "part.1.rpp",
        "part.lof",
        "part.rpp",
    ]
    assert not (await call.end()).error


async def test_a_stem_that_is_not_there_any_more_is_left_out_and_named(tmp_path: Path):
    call = Talking(tmp_path / "call.wav", sample_rate=RATE, split_s=2)
    await call.recorder.start()
    call.join("alice", voice(1), RATE)
    call.join("bob", voice(2), RATE)
    await call.talk(5)
    os.unlink(tmp_path / "stems" / "002-bob-001.wav")  # noqa: PTH108
    report = await saved(call, tmp_path / "part.wav", last_s=4.5)
    assert [*stems_in(report)] == ["001-alice"]
    assert any("bob has no stem in what was saved" in words for words in report.warnings)
    report = await saved(call, tmp_path / "later.wav", last_s=2)
    assert [*stems_in(report)] == ["001-alice", "002-bob"]
    await call.end()


async def test_nothing_is_saved_where_the_stems_of_the_recording_are(tmp_path: Path):
    call = Talking(tmp_path / "call.wav", sample_rate=RATE, stems=tmp_path / "part-stems")
    await call.recorder.start()
    call.join("alice", voice(1), RATE)
    await call.talk(2)
    with pytest.raises(ConfigurationError, match="where those of the recording are"):
        await call.recorder.save(tmp_path / "part.wav")
    await call.end()


@pytest.mark.realtime
@pytest.mark.parametrize("cycle_time", [0, 10])
async def test_on_threads_they_line_up_too(cycle_time: int, tmp_path: Path, lag: Lag):
    recorder = AudioRecorder(
        AudioRecordingConfiguration(
            tmp_path / "call.wav",
            sample_rate=48000,
            stems=tmp_path / "stems",
            cycle_time=cycle_time,
        )
    )
    await recorder.start()
    for number in range(4):
        recorder.add_playout(str(number)).push(noise(number, 8) // 8, 48000)
    await asyncio.sleep(1.5)
    reports = await asyncio.gather(
        *(
            recorder.save(tmp_path / f"part-{number}.wav", last_s=1, then_s=number / 4)
            for number in range(4)
        )
    )
    await recorder.stop()
    for report in reports:
        mix, _ = read_all(report.file_path)
        stems = [read_all(each)[0] for each in report.stems]
        assert len(stems) == 4
        assert {len(stem) for stem in stems} == {len(mix)}
        assert np.array_equal(np.sum(stems, axis=0), mix)
    assert lag.worst_s >= 0
