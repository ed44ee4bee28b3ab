"""A recording with stems that becomes live, and cyclic again: its stems turn with it."""

from __future__ import annotations

import asyncio
import errno
import itertools
import random
import shutil
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration, RecordingReport
from roomtape.storage.recover import recover
from roomtape.types import AudioRecordingCode, AudioRecordingWarning, Pcm, RecordingEvent
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import DamagedFileError, FileError, StateError
from support.faulty_disk import Fault, FaultyDisk, Snapshots
from support.processes import descriptors
from support.readers import read_all
from support.saved_parts import FRAME
from support.scripted_recording import listing, until
from support.signals import noise

RATE = 16000
SUFFIX = pytest.mark.parametrize("suffix", ["wav", "aac"])
COMPLETE_S = 2.5
"""A demotion is complete then: the stems come a second at once, and the mix half a second late."""


class Call:
    """People who are recorded twice with a stem of each: to be turned, and, to compare with, live
    from the beginning to the end."""

    def __init__(self, directory: Path, suffix: str, *, disk: Any = None, **how: Any) -> None:
        self.clock = ScriptedClock()
        self.events: list[RecordingEvent] = []
        self.suffix = suffix
        self.place = directory / "call"
        self.whole, self.recorder = (
            AudioRecorder(
                AudioRecordingConfiguration(
                    directory / name / f"call.{suffix}",
                    sample_rate=RATE,
                    stems=directory / name / "stems",
                    **config,
                ),
                on_event=listener,
                clock=self.clock,
                disk=on,
            )
            for name, config, listener, on in (
                ("whole", {"channels": how.get("channels", 1)}, None, None),
                ("call", how, self.events.append, disk),
            )
        )
        self.there: dict[str, list[Any]] = {}
        self.voices: dict[str, Pcm] = {}

    async def start(self) -> None:
        for each in (self.whole, self.recorder):
            each.path.parent.mkdir(parents=True, exist_ok=True)
            await each.start()

    def join(self, name: str) -> None:
        self.voices[name] = noise(len(self.voices), 3, RATE) // 8
        self.there[name] = [
            each.add_source(name, local=name == "me") for each in (self.whole, self.recorder)
        ]

    def leave(self, name: str) -> None:
        for source in self.there.pop(name):
            source.close()

    async def talk(self, seconds: float) -> None:
        """In steps of 0.1 s."""
        for _ in range(round(seconds * 10)):
            at = round(self.clock.now_ns() / 1e9 * RATE)
            for name, sources in self.there.items():
                said = self.voices[name][np.arange(at, at + RATE // 10) % (3 * RATE)]
                for source in sources:
                    source.push(said, RATE, at)
            await self.clock.advance(0.1)

    async def demote(self, cycle_time: int | None = None) -> RecordingReport:
        return await self.answer(self.recorder.demote(cycle_time))

    async def answer(self, asked: Coroutine[Any, Any, RecordingReport]) -> RecordingReport:
        """While they talk on."""
        task = asyncio.ensure_future(asked)
        await asyncio.sleep(0)
        await self.talk(COMPLETE_S)
        return await asyncio.wait_for(task, 60)

    async def stop(self) -> tuple[RecordingReport, RecordingReport]:
        return await self.whole.stop(), await self.recorder.stop()

    @property
    def codes(self) -> list[Any]:
        return [each.code for each in self.events]


def plain(stem: str | Path) -> str:
    """Whose it is: ``002-bob`` for ``002-bob-003.wav``."""
    return "-".join(Path(stem).stem.split("-")[:2])


def check_part(report: RecordingReport, whole: RecordingReport, *, projects: bool = True) -> None:
    """The stems of one file are the whole recording's, at its samples, and sum to it."""
    suffix = Path(report.file_path).suffix
    wholes = {plain(each): Path(each) for each in whole.stems}
    mix, _ = read_all(report.file_path)
    first = round(report.skipped_s * RATE)
    lead = FRAME if suffix == ".aac" else 0  # a decoder needs a frame to begin
    summed = np.zeros(len(mix), int)
    for stem in report.stems:
        ours, _ = read_all(stem)
        theirs, _ = read_all(wholes.pop(plain(stem)))
        assert len(ours) == len(mix), stem
        near = np.abs(ours[lead:].astype(int) - theirs[first + lead : first + len(ours)])
        assert near.max(initial=0) <= (1 if lead else 0), stem
        summed += ours
    for left in wholes.values():  # of whom nothing is in this file
        theirs, _ = read_all(left)
        assert not theirs[first + 2 * lead : first + len(mix) - 2 * lead].any(), left
    if suffix == ".wav":
        one = mix.astype(int) if mix.ndim == 1 else mix.astype(int).sum(axis=1)
        assert np.abs(summed - one).max(initial=0) <= (1 if mix.ndim == 1 else 2)
    assert {source.stem for source in report.sources if source.stem} == {*report.stems}
    if report.stems:
        for project in map(Path, report.projects):
            assert project.stem == Path(report.file_path).stem
            named = [line for line in project.read_text().splitlines() if suffix in line.lower()]
            for stem in report.stems:
                assert any(f'"{Path(stem).name}"' in line for line in named), project
    if projects:
        assert len(report.projects) == (2 if report.stems else 0)


# -- what is in the files --------------------------------------------------------------------------


@SUFFIX
@pytest.mark.parametrize("channels", [1, 2])
async def test_stems_begin_with_what_the_rings_held_and_go_on(
    channels: int, suffix: str, tmp_path: Path
):
    call = Call(tmp_path, suffix, cycle_time=10, channels=channels)
    await call.start()
    call.join("me")
    call.join("early")
    await call.talk(3)
    call.leave("early")
    call.join("alice")
    await call.talk(9)
    call.join("bob")
    await call.talk(4.3)
    live = call.place / f"live.{suffix}"
    assert await call.recorder.promote(live) == live
    assert not [*call.place.rglob("*.ring")]
    assert {plain(each) for each in call.place.glob(f"stems/*.{suffix}")} >= {"001-me", "003-alice"}
    call.join("carol")
    await call.talk(5)
    call.leave("bob")
    await call.talk(4)
    whole, report = await call.stop()
    check_part(report, whole)
    names = [Path(each).name for each in report.stems]
    assert names == [f"{each}.{suffix}" for each in ("001-me", "003-alice", "004-bob", "005-carol")]
    assert {each.name for each in listing(call.place)} >= {live.name, "stems"}
    assert not report.warnings


@SUFFIX
async def test_a_live_file_is_finished_with_its_stems_and_rings_go_on(suffix: str, tmp_path: Path):
    call = Call(tmp_path, suffix)
    await call.start()
    for name in ("me", "alice", "bob"):
        call.join(name)
    await call.talk(4)
    call.leave("bob")
    await call.talk(0.8)
    part = await call.demote(10)
    assert len([*call.place.rglob("*.ring")]) == 3  # the recording's, and of two
    saved = await call.answer(call.recorder.save(call.place / f"saved.{suffix}", last_s=5))
    call.join("carol")
    await call.talk(3)
    whole, last = await call.stop()
    assert [Path(each).name for each in part.stems] == [
        f"{each}.{suffix}" for each in ("001-me", "002-alice", "003-bob")
    ]
    assert [Path(each).name for each in last.stems] == [
        f"{each}-002.{suffix}" for each in ("001-me", "002-alice", "004-carol")
    ]
    # Where both have a name, the first has been moved aside: its stems and projects stay.
    moved = call.place / f"call.1.{suffix}"
    assert moved.exists()
    check_part(last, whole)
    assert part.duration_s == last.skipped_s
    for report in (part, saved):
        mix = moved if report is part else Path(report.file_path)
        length = len(read_all(mix)[0])
        assert {len(read_all(each)[0]) for each in report.stems} == {length}
    assert not [*call.place.rglob("*.ring"), *call.place.rglob("*.part")]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@SUFFIX
async def test_turned_at_random_moments_the_stems_of_each_file_sum_to_it(
    seed: int, suffix: str, tmp_path: Path
):
    chance = random.Random(f"{seed} {suffix}")
    channels = chance.choice([1, 2])
    call = Call(tmp_path, suffix, cycle_time=10, channels=channels)
    await call.start()
    call.join("me")
    reports, saves = [], []
    for number in range(14):
        await call.talk(chance.choice([0.1, 0.3, 1, 2, 5, 13]))
        if len(call.there) > 1 and chance.random() < 0.5:
            call.leave(chance.choice([each for each in call.there if each != "me"]))
        if len(call.there) < 5:
            call.join(f"p{number}")
        if chance.random() < 0.4:
            path = call.place / f"save-{number}.{suffix}"
            saving = call.recorder.save(path, last_s=chance.uniform(0.5, 8), then_s=1)
            saves.append(asyncio.ensure_future(saving))
            await asyncio.sleep(0)
        if not call.recorder.cyclic:
            reports.append(await call.demote())
        elif chance.random() < 0.7:
            await call.recorder.promote(call.place / f"live-{number}.{suffix}")
    await call.talk(1)
    whole, last = await call.stop()
    for report in (*reports, last, *[await each for each in saves]):
        check_part(report, whole)
    assert reports
    assert AudioRecordingWarning.STEM_FAILED not in call.codes
    files = [*call.place.rglob("*")]
    assert not [each for each in files if each.suffix in (".ring", ".part")]
    # No name was taken twice: what a report says is where it is.
    stems = [stem for report in (*reports, last) for stem in report.stems]
    assert len(stems) == len({*stems})
    assert {*stems} == {str(each) for each in call.place.glob(f"stems/*.{suffix}")}


async def test_nothing_turns_while_stems_are_still_to_be_cut(tmp_path: Path):
    call = Call(tmp_path, "wav")
    await call.start()
    call.join("alice")
    await call.talk(3)
    demoting = asyncio.ensure_future(call.recorder.demote(10))
    await asyncio.sleep(0)
    while not call.recorder.cyclic:
        await call.talk(0.1)
    assert not demoting.done()
    with pytest.raises(StateError, match="not complete yet"):
        await call.recorder.promote()
    await call.talk(COMPLETE_S)
    part = await demoting
    await call.recorder.promote(call.place / "again.wav")
    whole, last = await call.stop()
    check_part(part, whole)
    check_part(last, whole)


async def test_the_stems_are_complete_though_nobody_speaks_any_more(tmp_path: Path):
    call = Call(tmp_path, "wav")
    await call.start()
    call.join("alice")
    await call.talk(3)
    demoting = asyncio.ensure_future(call.recorder.demote(10))
    await asyncio.sleep(0)
    await call.clock.advance(COMPLETE_S)
    await asyncio.sleep(0)
    assert demoting.done()
    await call.stop()
    assert len((await demoting).stems) == 1


@pytest.mark.slow
@SUFFIX
async def test_an_end_in_the_middle_of_a_turn_completes_both_files(suffix: str, tmp_path: Path):
    for steps in range(12):
        call = Call(tmp_path / f"{steps}", suffix)
        await call.start()
        call.join("alice")
        call.join("bob")
        await call.talk(3)
        demoting = asyncio.ensure_future(call.recorder.demote(10))
        await asyncio.sleep(0)
        await call.talk(steps / 10)
        whole, last = await call.stop()
        if last.skipped_s:
            part = await demoting
            assert part.duration_s == last.skipped_s
            assert len(part.stems) == 2
            last = last if last.duration_s else part
        else:
            with pytest.raises(FileError):
                await demoting
        wholes = {plain(each): read_all(each)[0] for each in whole.stems}
        first = round(last.skipped_s * RATE)
        lead = FRAME if suffix == "aac" else 0
        length = len(read_all(last.file_path)[0])
        for stem in last.stems:
            pcm = read_all(stem)[0]
            said = wholes[plain(stem)][first + lead : first + length].astype(int)
            assert len(pcm) == length
            assert np.abs(pcm[lead:] - said).max(initial=0) <= (1 if lead else 0)
        assert not [*call.place.rglob("*.ring")]


# -- who is forgotten ------------------------------------------------------------------------------


@SUFFIX
async def test_who_was_forgotten_before_a_turn_is_in_no_stem_after_it(suffix: str, tmp_path: Path):
    call = Call(tmp_path, suffix, cycle_time=10)
    await call.start()
    call.join("alice")
    call.join("bob")
    await call.talk(6)
    assert (await call.recorder.forget("bob")).still_in == ()
    await call.talk(1)
    await call.recorder.promote()
    await call.talk(2)
    part = await call.demote()
    await call.talk(2)
    _, last = await call.stop()
    for report in (part, last):
        stems = {plain(each): read_all(each)[0] for each in report.stems}
        assert not stems["002-bob"].any()
        assert np.abs(stems["001-alice"].astype(int)).max() > 1000


async def test_stems_of_files_that_were_finished_are_named_to_who_is_forgotten(tmp_path: Path):
    call = Call(tmp_path, "wav")
    await call.start()
    call.join("alice")
    call.join("bob")
    await call.talk(4)
    await call.demote(10)
    await call.talk(2)
    forgotten = await call.recorder.forget("bob")
    stems = call.place / "stems"
    assert {*forgotten.still_in} == {str(call.place / "call.wav"), str(stems / "002-bob.wav")}
    await call.talk(1)
    _, last = await call.stop()
    assert not read_all(last.stems[1])[0].any()
    assert read_all(last.stems[0])[0].any()


# -- harm ------------------------------------------------------------------------------------------


class Harm(FaultyDisk):
    """Fails only while it is let to, and, of what is no turning's, not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.on = False

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        return super().call(name, function, *args) if self.on else function(*args)


@pytest.mark.slow
@SUFFIX
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
async def test_any_call_of_a_turn_may_fail_and_the_stems_are_as_they_were(
    back: bool, suffix: str, tmp_path: Path
):
    opened = descriptors()

    async def one(place: Path, fault: Fault | None) -> tuple[Harm, bool]:
        disk = Harm()
        call = Call(place, suffix, disk=disk, cycle_time=10)
        await call.start()
        call.join("alice")
        call.join("bob")
        await call.talk(3)
        parts = []
        if back:
            await call.recorder.promote(call.place / f"live.{suffix}")
            await call.talk(1)
        before = names_in(call.place)
        disk.fault, disk.on = fault, True
        failed = False
        try:
            if back:
                parts.append(await call.demote())
            else:
                await call.recorder.promote()
        except FileError:
            failed = True
        disk.on = False
        if call.recorder.over:  # what failed was a write of the recording itself
            assert back
            await call.whole.stop()
            return disk, True
        refused = AudioRecordingCode.DEMOTE_FAILED if back else AudioRecordingCode.PROMOTE_FAILED
        if refused in call.codes:
            assert failed
            assert call.recorder.cyclic != back
            if fault is not None and fault.lasting == "once":  # else nothing can be removed
                assert names_in(call.place) == before
            # Nothing has happened to the stems, and it can be tried again.
            if back:
                parts.append(await call.demote())
            else:
                await call.recorder.promote()
        whole, report = await call.stop()
        if AudioRecordingWarning.STEM_FAILED not in call.codes:
            check_part(report, whole)
            for part in parts:
                check_part(part, whole, projects=False)  # where they cannot be written, none are
        return disk, failed

    counted, failed = await one(tmp_path / "counted", None)
    assert not failed
    failures = 0
    ways = [(errno.ENOSPC, "once"), (errno.EIO, "all")]
    each = 1 if suffix == "wav" else 4  # frames take longer to compare
    for at, (number, lasting) in itertools.product(range(0, len(counted.calls), each), ways):
        place = tmp_path / f"{at}-{lasting}"
        try:
            _, failed = await one(place, Fault(at, number, lasting))
        except Exception as error:
            raise AssertionError(f"{at}, {lasting} of {counted.calls}") from error
        failures += failed
        shutil.rmtree(place)
    assert failures > len(counted.calls) // (4 * each)
    await until(lambda: descriptors() <= opened)


def names_in(place: Path) -> set[str]:
    return {str(each.relative_to(place)) for each in place.rglob("*")}


@pytest.mark.slow
@SUFFIX
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
async def test_killed_at_any_call_of_a_turn_all_that_was_written_is_there(
    back: bool, suffix: str, tmp_path: Path
):
    dead = tmp_path / "dead"
    disk = Snapshots(tmp_path / "call", dead)
    call = Call(tmp_path, suffix, disk=disk, cycle_time=10)
    await call.start()
    call.join("alice")
    call.join("bob")
    await call.talk(4)
    if back:
        await call.recorder.promote(call.place / f"live.{suffix}")
        await call.talk(1)
    disk.on = True
    demoting = asyncio.ensure_future(call.recorder.demote() if back else call.recorder.promote())
    await asyncio.sleep(0)
    await call.talk(COMPLETE_S if back else 0.4)
    disk.on = False
    await asyncio.wait_for(demoting, 60)
    whole, _ = await call.stop()
    wholes = {plain(each): read_all(each)[0] for each in whole.stems}
    needed = (5 if back else 4) - 2  # a stem is written a second at once, and half a second late
    assert len(listing(dead)) > 10
    for remains in listing(dead):
        have = {name: set[int]() for name in wholes}
        for stem, first, pcm in recovered_stems(remains, suffix):
            lead = FRAME if suffix == "aac" else 0
            said = wholes[plain(stem)][first + lead : first + len(pcm)].astype(int)
            same = np.abs(pcm[lead : lead + len(said)] - said) <= (1 if lead else 0)
            # Silence may stand where nothing of it was there yet, at the end.
            good = int(np.argmin(same)) if not same.all() else len(same)
            assert not pcm[lead + good + 2 * lead :].any(), (remains.name, stem)
            have[plain(stem)] |= set(range(first // 1000, (first + lead + good) // 1000))
        for name, there in have.items():
            assert set(range(needed * RATE // 1000)) <= there, (remains.name, name)


def recovered_stems(remains: Path, suffix: str) -> Iterator[tuple[Path, int, Pcm]]:
    """Every stem that can be had of what a kill left, where it begins, and what is in it."""
    stems = remains / "stems"
    live = [each for each in sorted(stems.glob(f"*.{suffix}")) if each.stat().st_size]
    for ring in sorted(remains.glob("*.ring")):
        with suppress(DamagedFileError):  # nothing was written to it yet
            done = recover(ring, remains / f"recovered.{suffix}")
            for each in done.stems.files:
                if each not in live:
                    yield each, round(done.start_s * RATE), read_all(each)[0]
    for each in live:
        to = each.with_name(f"{each.stem}.recovered.{suffix}")
        with suppress(DamagedFileError):
            recover(each, to)
            yield each, 0, read_all(to)[0]
