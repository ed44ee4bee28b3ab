"""A recording with stems that becomes live, and cyclic again: its stems turn with it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import numpy as np
import pytest

from roomtape.types import AudioRecordingWarning
from roomtape.types.errors import FileError, StateError
from support.readers import read_all
from support.saved_parts import FRAME
from support.scripted_recording import listing
from support.turned_call import COMPLETE_S, RATE, Call, check_part, plain

SUFFIX = pytest.mark.parametrize("suffix", ["wav", "aac"])


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
