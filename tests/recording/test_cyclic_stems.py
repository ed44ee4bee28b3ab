"""Stems of a cyclic recording: a ring for each, of the same last seconds as the mix."""

from __future__ import annotations

import errno
import os
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration, RecordingReport
from roomtape.audio import session as audio_session
from roomtape.recording import recorder
from roomtape.storage.disk import Disk
from roomtape.storage.recover import recover
from roomtape.types import AudioRecordingWarning, Pcm, RecordingEvent
from roomtape.types.clock import ScriptedClock
from support.program import Cli
from support.readers import read_all
from support.saved_parts import FRAME
from support.scripted_recording import listing
from support.signals import noise
from support.talking import Talking

RATE = 16000
CYCLE = 10 * RATE
SUFFIX = pytest.mark.parametrize("suffix", ["wav", "aac"])
CHANNELS = pytest.mark.parametrize("channels", [1, 2])


class Both:
    """The same people, recorded cyclically and, to compare with, live."""

    def __init__(
        self, directory: Path, suffix: str, *, sample_rate: int = RATE, **how: Any
    ) -> None:
        self.clock = ScriptedClock()
        self.rate = sample_rate
        self.live, self.cyclic = (
            AudioRecorder(
                AudioRecordingConfiguration(
                    directory / name / f"call.{suffix}",
                    sample_rate=sample_rate,
                    stems=directory / name / "stems",
                    cycle_time=cycle_time,
                    **how,
                ),
                clock=self.clock,
            )
            for name, cycle_time in (("live", 0), ("cyclic", 10))
        )
        self.there: dict[str, tuple[list[Any], Pcm, int]] = {}

    async def start(self) -> None:
        for each in (self.live, self.cyclic):
            each.path.parent.mkdir()
            await each.start()

    def join(self, name: str, voice: Pcm, rate: int = RATE) -> None:
        sources = [each.add_source(name, local=name == "me") for each in (self.live, self.cyclic)]
        self.there[name] = (sources, voice, rate)

    def leave(self, name: str) -> None:
        for source in self.there.pop(name)[0]:
            source.close()

    async def talk(self, seconds: float) -> None:
        """In steps of 0.1 s."""
        for _ in range(round(seconds * 10)):
            for sources, voice, rate in self.there.values():
                at = round(self.clock.now_ns() / 1e9 * rate)
                step = rate // 10
                said = voice[np.arange(at, at + step) % len(voice)]
                for source in sources:
                    source.push(said, rate, at)
            await self.clock.advance(0.1)

    async def stop(self) -> tuple[RecordingReport, RecordingReport]:
        return await self.live.stop(), await self.cyclic.stop()


def stems_of(report: RecordingReport) -> dict[str, Path]:
    return {Path(each).stem: Path(each) for each in report.stems}


def by_name(paths: tuple[str, ...]) -> list[str]:
    return [Path(each).name for each in paths]


@pytest.mark.slow
@SUFFIX
@CHANNELS
@pytest.mark.parametrize("seed", range(6))
async def test_they_are_the_same_stretch_of_what_live_stems_hold(
    seed: int, channels: int, suffix: str, tmp_path: Path
):
    """People come and go at random, and it ends at any moment."""
    chance = random.Random(f"{seed} {channels} {suffix}")
    both = Both(tmp_path, suffix, channels=channels)
    await both.start()
    both.join("me", noise(99, 3, RATE) // 8)
    for number in range(chance.randrange(10, 40)):
        await both.talk(chance.choice([0.1, 0.3, 1, 2]))
        if len(both.there) > 1 and chance.random() < 0.5:
            both.leave(chance.choice([each for each in both.there if each != "me"]))
        if len(both.there) < 5:
            # What is resampled may be rounded otherwise, and an encoder makes more of that.
            rate = chance.choice([RATE, RATE, 48000]) if suffix == "wav" else RATE
            both.join(f"p{number}", noise(number, 3, rate) // 8, rate)
    await both.talk(chance.choice([0.1, 0.2, 0.5, 1.1]))
    await both.clock.advance(chance.uniform(0, 0.1))
    live, cyclic = await both.stop()
    stems, whole = stems_of(cyclic), stems_of(live)
    assert stems.keys() <= whole.keys()
    mix, _ = read_all(cyclic.file_path)
    first = round(cyclic.skipped_s * RATE)
    for name in whole:
        if name not in stems:  # it had left before
            pcm, _ = read_all(whole[name])
            lead = 2 * FRAME if suffix == "aac" else 0  # what a decoder still hears
            assert not pcm[first + lead :].any(), name
            continue
        ours, _ = read_all(stems[name])
        theirs, _ = read_all(whole[name])
        assert len(ours) == len(mix)
        lead = FRAME if suffix == "aac" else 0  # a decoder needs a frame to begin
        assert np.abs(ours[lead:].astype(int) - theirs[first + lead :]).max(initial=0) <= 1, name
    if suffix == "wav":
        summed = np.sum([read_all(each)[0].astype(int) for each in stems.values()], axis=0)
        one = mix.astype(int) if channels == 1 else mix.astype(int).sum(axis=1)
        assert cyclic.limited_s == 0
        assert np.abs(summed - one).max() <= channels
    assert {source.stem for source in cyclic.sources if source.stem} == {*cyclic.stems}
    assert not [*(tmp_path / "cyclic").rglob("*.ring")]
    project = Path(cyclic.projects[0]).read_text()  # noqa: ASYNC240 (nobody waits)
    assert all(path.name in project for path in stems.values())


@SUFFIX
async def test_the_stem_of_somebody_who_left_goes_when_the_ring_has_moved_past_it(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """However many come and go, no more rings are there than may be at a time."""
    monkeypatch.setattr(recorder, "_MOST_STEM_RINGS", 4)
    call = Talking(tmp_path / f"call.{suffix}", sample_rate=RATE, cycle_time=10)
    await call.recorder.start()
    rings = []
    for number in range(12):
        source = call.join(f"p{number}", noise(number, 3, RATE) // 4, RATE)
        await call.talk(2)
        call.leave(source)
        await call.talk(3)
        rings.append(len([*(tmp_path / "stems").glob("*.ring")]))
    assert max(rings) <= 4
    assert len(call.recorder._run.pump.stem_files) <= 4
    report = await call.end()
    assert by_name(report.stems) == [f"011-p10.{suffix}", f"012-p11.{suffix}"]
    assert not report.warnings


async def test_who_comes_when_there_are_too_many_is_in_the_mix_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recorder, "_MOST_STEM_RINGS", 2)
    events: list[RecordingEvent] = []
    call = Talking(tmp_path / "call.wav", sample_rate=RATE, cycle_time=10, on_event=events.append)
    await call.recorder.start()
    sources = [call.join(f"p{number}", noise(number, 9, RATE) // 4, RATE) for number in range(3)]
    await call.talk(2)
    for source in sources:
        call.leave(source)
    await call.talk(13)
    call.join("later", noise(7, 9, RATE) // 4, RATE)
    await call.talk(2)
    report = await call.end()
    assert by_name(report.stems) == ["003-later.wav"]
    told = [each.detail for each in events if each.code is AudioRecordingWarning.STEM_FAILED]
    assert told == ["2 stems are all that a recording has: later participants are in the mix alone"]


@pytest.mark.slow
@SUFFIX
async def test_what_a_kill_leaves_becomes_files_that_line_up(
    suffix: str, tmp_path: Path, run_here: Cli
):
    both = Both(tmp_path, suffix)
    await both.start()
    both.join("alice", noise(1, 3, RATE) // 4)
    both.join("zoe", noise(5, 3, RATE) // 4)
    place, places = tmp_path / "cyclic", []
    for step in range(30):
        if step == 2:
            both.leave("zoe")
        if step == 12:
            both.join("bob", noise(2, 3, RATE) // 4)
        if step == 20:
            both.leave("bob")
        await both.talk(0.6)
        if step % 3 == 2 and step > 2:  # by then there are some
            places.append(tmp_path / f"killed-{step}")
            shutil.copytree(place, places[-1])
    live, _ = await both.stop()
    whole = stems_of(live)
    for each in places:
        left = each / f"call.{suffix}"
        done = recover(left.with_name(left.name + ".ring"), left)
        assert not [*each.rglob("*.ring")]
        assert not done.stems.left
        mix, _ = read_all(left)
        first = round(done.start_s * RATE)
        assert done.stems.files
        for path in done.stems.files:
            pcm, _ = read_all(path)
            assert len(pcm) == len(mix), path
            assert path.parent == each / "stems"
            said, _ = read_all(whole[path.stem])
            good = len(mix) - round(1.5 * RATE)  # a stem is written a second at once
            lead = 2048 if suffix == "aac" else 0
            near = np.abs(pcm[lead:good].astype(int) - said[first + lead : first + good])
            assert near.max(initial=0) <= (1 if suffix == "aac" else 0), path
        assert [path.suffix for path in done.stems.projects] == [".lof", ".rpp"]
        assert str(done.stems.files[0]) in done.as_dict()["stems"]
    late, early = places[-1] / "stems", places[0] / "stems"
    assert sorted(each.stem for each in late.glob(f"*.{suffix}")) == ["001-alice", "003-bob"]
    assert sorted(each.stem for each in early.glob(f"*.{suffix}")) == ["001-alice", "002-zoe"]


async def test_each_ring_can_be_recovered_by_itself_and_strangers_stay(
    tmp_path: Path, run_here: Cli
):
    call = Talking(tmp_path / "call.wav", sample_rate=RATE, cycle_time=10)
    await call.recorder.start()
    call.join("alice", noise(1, 9, RATE) // 4, RATE)
    call.join("bob", noise(2, 9, RATE) // 4, RATE)
    await call.talk(4)
    place = tmp_path / "killed"
    shutil.copytree(tmp_path / "stems", place / "stems")
    shutil.copy(tmp_path / "call.wav.ring", place)
    await call.end()
    alone = place / "stems" / "001-alice.wav.ring"
    assert recover(alone, place / "alice.wav").duration_s > 2
    # Of another recording, and of nobody.
    other = place / "stems" / "009-other.wav.ring"
    shutil.copy(place / "call.wav.ring", other)
    (place / "stems" / "010-any.ring").write_bytes(b"no ring")
    told = run_here("recover", place / "call.wav.ring", "-o", place / "call.wav", "--report")
    assert told.returncode == 0
    assert f"stem: {place}/stems/002-bob.wav\n" in told.stdout
    assert [each.name for each in listing(place / "stems")] == [
        "002-bob.wav",
        "009-other.wav.ring",
        "010-any.ring",
        "call.lof",
        "call.rpp",
    ]


async def test_a_stem_that_cannot_be_written_ends_alone(tmp_path: Path):
    class NoRoom(Disk):
        """For stems, after a while."""

        def __init__(self) -> None:
            self.stems: set[int] = set()
            self.written = 0

        def close(self, fd: int) -> None:
            self.stems.discard(fd)
            super().close(fd)

        def create(self, path: Path) -> int:
            fd = super().create(path)
            if path.parent.name == "stems":
                self.stems.add(fd)
            return fd

        def write_at(self, fd: int, data: bytes | memoryview, offset: int) -> None:
            if fd in self.stems:
                self.written += len(data)
                if self.written > 100_000:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().write_at(fd, data, offset)

    events: list[RecordingEvent] = []
    alice = noise(1, 9, RATE)
    call = Talking(
        tmp_path / "call.wav",
        sample_rate=RATE,
        cycle_time=10,
        disk=NoRoom(),
        on_event=events.append,
    )
    await call.recorder.start()
    call.join("alice", alice, RATE)
    await call.talk(6)
    report = await call.end()
    assert AudioRecordingWarning.STEM_FAILED in [each.code for each in events]
    assert not report.error
    assert np.array_equal(read_all(report.file_path)[0], alice[: 6 * RATE])
    # What there was of it is kept, and can be recovered.
    assert by_name(report.stems) == ["001-alice.wav.ring"]
    assert recover(report.stems[0], tmp_path / "alice.wav").duration_s > 1


@CHANNELS
@SUFFIX
async def test_who_is_forgotten_is_silence_in_the_own_stem_and_in_no_other(
    suffix: str, channels: int, tmp_path: Path
):
    path = tmp_path / f"call.{suffix}"
    call = Talking(path, sample_rate=RATE, cycle_time=10, channels=channels)
    await call.recorder.start()
    call.join("alice", noise(1, 20, RATE) // 4, RATE)
    await call.talk(2)
    call.join("bob", noise(2, 20, RATE) // 4, RATE)
    await call.talk(10)
    forgotten = await call.recorder.forget("bob")
    assert forgotten.still_in == ()
    place = tmp_path / "killed"
    place.mkdir()
    for each in (f"call.{suffix}.ring", "stems"):
        copy = shutil.copytree if each == "stems" else shutil.copy
        copy(tmp_path / each, place / each)
    await call.talk(0.6)
    report = await call.end()
    left = recover(place / f"call.{suffix}.ring", place / path.name).stems.files
    for files in (report.stems, left):
        alice, bob = (read_all(each)[0] for each in files)
        assert not bob.any()
        assert np.abs(alice[RATE : 8 * RATE].astype(int)).max() > 1000


@pytest.mark.parametrize("cycle_time", [0, 10])
async def test_who_left_among_many_is_forgotten_too(
    cycle_time: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of whom least came of very many, nobody but the stem knows any more who it was."""
    monkeypatch.setattr(audio_session, "MOST_SOURCES", 1)
    monkeypatch.setattr(audio_session, "CUT_S", 0)
    call = Talking(tmp_path / "call.wav", sample_rate=RATE, cycle_time=cycle_time)
    await call.recorder.start()
    for number, name in enumerate(["bob", "p1", "p2", "p3", "p4"]):
        source = call.join(name, noise(number, 3, RATE) // 4, RATE)
        await call.talk(0.4 if name == "bob" else 1)
        call.leave(source)
        await call.talk(0.6)
    assert "bob" not in [source.name for source in call.recorder._session.sources]
    forgotten = await call.recorder.forget("bob")
    await call.talk(0.6)
    await call.end()
    stem = tmp_path / "stems" / "001-bob.wav"
    if cycle_time:
        assert not read_all(stem)[0].any()
    else:
        assert str(stem) in forgotten.still_in
