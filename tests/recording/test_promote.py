"""A cyclic recording that becomes a live one, and back: no seam, and no harm where it fails."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from roomtape import AudioRecorder, AudioRecordingCode, AudioRecordingConfiguration
from roomtape.storage.recover import recover
from roomtape.types.errors import (
    ConfigurationError,
    DamagedFileError,
    FileError,
    OpenFileError,
    StateError,
    SuffixError,
)
from support.faulty_disk import Fault, HarmWhileOn, Snapshots
from support.processes import descriptors
from support.readers import read_all
from support.saved_parts import (
    FRAME,
    RATE,
    Take,
    decoded,
    frames_of,
    report_beside,
    samples_of,
    take_of,
)
from support.scripted_recording import listing, until

CODES = AudioRecordingCode
SUFFIXES = pytest.mark.parametrize("suffix", ["wav", "aac"])
CHANNELS = pytest.mark.parametrize("channels", [1, 2])


def units_of(path: Path, channels: int = 1) -> list[Any]:
    """What can be compared: samples (of both channels as one number), or frames without the first,
    which is the file's own."""
    if path.suffix == ".wav":
        return list(samples_of(path).view(f"<u{2 * channels}").tolist())
    return [b"", *frames_of(path)[1:]]


def codes_of(take: Take) -> list[str]:
    return [each.code.name for each in take.events if isinstance(each.code, AudioRecordingCode)]


# -- what is in the files -------------------------------------------------------------------------


@SUFFIXES
@CHANNELS
async def test_a_live_file_begins_with_what_the_ring_held_and_goes_on(
    suffix: str, channels: int, tmp_path: Path
):
    path = tmp_path / f"call.{suffix}"
    async with take_of(path, cycle_time=10, channels=channels, report=True) as (take, recorder):
        whole = await take.record(tmp_path / f"whole.{suffix}", channels=channels)
        await take.go_on(23.37)
        assert (recorder.cyclic, path.exists()) == (True, False)
        assert await recorder.promote() == path
        assert (recorder.cyclic, path.exists()) == (False, True)
        assert [each.name for each in listing(tmp_path)] == [path.name, whole.path.name]
        await take.go_on(30)
        report = await recorder.stop()
        await whole.stop()
    units, expected = units_of(path, channels), units_of(whole.path, channels)
    first = round(report.skipped_s * RATE)
    assert 12 < report.skipped_s < 13.4  # ten seconds before what was written then
    assert report.duration_s == pytest.approx(53.37 - report.skipped_s, abs=FRAME / RATE)
    assert units[1:] == expected[first // (1 if suffix == "wav" else FRAME) :][1:]
    assert report_beside(path) == json.loads(json.dumps(report.as_dict()))
    assert codes_of(take) == ["START", "START", "PROMOTED", "FINISH", "FINISH"]
    if suffix == "aac" and channels == 1:
        assert np.array_equal(decoded(path)[FRAME:], decoded(whole.path)[first + FRAME :])


@pytest.mark.parametrize(
    ("suffix", "channels"),
    [
        ("wav", 1),
        ("aac", 2),
        pytest.param("wav", 2, marks=pytest.mark.slow),
        pytest.param("aac", 1, marks=pytest.mark.slow),
    ],
)
async def test_promoted_and_demoted_at_random_moments_the_files_are_the_whole(
    suffix: str, channels: int, tmp_path: Path
):
    chance = random.Random(f"{suffix}{channels}")
    async with take_of(tmp_path / f"whole.{suffix}", channels=channels) as (take, whole):
        recorder = await take.record(tmp_path / f"call.{suffix}", cycle_time=10, channels=channels)
        reports, saves = [], []
        for number in range(12):
            await take.go_on(chance.choice([0.05, 0.7, 3.3, 14.2, chance.uniform(0, 20)]))
            if chance.random() < 0.7:
                last_s, then_s = chance.uniform(0.3, 12), chance.choice([0, 2.5, 11])
                saving = recorder.save(
                    tmp_path / f"save-{number}.{suffix}", last_s=last_s, then_s=then_s
                )
                saves.append(asyncio.ensure_future(saving))
                await asyncio.sleep(0)
            if recorder.cyclic:
                await recorder.promote(tmp_path / f"part-{number}.{suffix}")
            else:
                reports.append(await take.answer(recorder.demote()))
        await take.go_on(3)
        reports += [await recorder.stop()]
        await whole.stop()
        reports += [await each for each in saves]
    expected = units_of(whole.path, channels)
    unit = 1 if suffix == "wav" else FRAME
    stops = []
    for report in reports:
        units = units_of(Path(report.file_path), channels)
        first = round(report.skipped_s * RATE) // unit
        assert units[1:] == expected[first + 1 : first + len(units)], report.file_path
        if not report.saved_from:
            stops.append(first + len(units))
    assert len(reports) > 8
    assert stops == sorted(stops)
    assert stops[-1] == len(expected)
    assert not [each for each in listing(tmp_path) if each.suffix in (".part", ".ring")]


@SUFFIXES
async def test_what_follows_a_live_part_begins_where_it_ends(suffix: str, tmp_path: Path):
    path = tmp_path / f"call.{suffix}"
    async with take_of(path, cycle_time=60) as (take, recorder):
        whole = await take.record(tmp_path / f"whole.{suffix}")
        await take.go_on(7)
        await recorder.promote(tmp_path / f"live.{suffix}")
        await take.go_on(5)
        live = await take.answer(recorder.demote())
        await take.go_on(4)
        # What was asked for reaches back into the file that is finished.
        saved = await take.answer(recorder.save(tmp_path / f"saved.{suffix}", last_s=9))
        rest = await recorder.stop()
        await whole.stop()
    assert live.skipped_s == 0
    assert live.duration_s == rest.skipped_s
    assert saved.missing_s == 0
    expected = units_of(whole.path)
    assert units_of(tmp_path / f"live.{suffix}")[1:] + units_of(path)[:1] == (
        expected[1 : round(live.duration_s * RATE) // (1 if suffix == "wav" else FRAME)]
        + units_of(path)[:1]
    )
    first = round(saved.skipped_s * RATE) // (1 if suffix == "wav" else FRAME)
    units = units_of(tmp_path / f"saved.{suffix}")
    assert units[1:] == expected[first + 1 : first + len(units)]
    assert codes_of(take)[2:] == [
        *("PROMOTED", "DEMOTED", "PART_FINISHED", "SAVED", "FINISH", "FINISH"),
    ]


async def test_a_live_recording_becomes_cyclic_if_it_is_told_how_much_to_keep(tmp_path: Path):
    async with take_of(tmp_path / "call.wav", report=True) as (take, recorder):
        await take.go_on(5)
        with pytest.raises(ConfigurationError, match="how many seconds"):
            await take.answer(recorder.demote())
        recorder.mark("before", 4.9)
        report = await take.answer(recorder.demote(10))
        recorder.mark("after")
        await take.go_on(30)
        assert await recorder.promote(tmp_path / "again.wav") == tmp_path / "again.wav"
        await take.go_on(1)
        again = await take.answer(recorder.demote(60))
        last = await recorder.stop()
    assert (report.skipped_s, [each.label for each in report.marks]) == (0, ["before"])
    assert report_beside(tmp_path / "call.1.wav")["marks"][0]["label"] == "before"
    assert again.duration_s == pytest.approx(11, abs=0.7)
    assert last.skipped_s == again.skipped_s + again.duration_s
    assert last.file_path == str(tmp_path / "call.wav")
    # The ring took the name that the first part had: that is aside now.
    names = ("call.1.wav", "again.wav", "call.wav")
    kept = [soundfile.read(tmp_path / name, dtype="int16")[0] for name in names]
    starts = [round(each.skipped_s * RATE) for each in (report, again, last)]
    for first, samples in zip(starts, kept, strict=True):
        assert np.array_equal(samples, take.heard(first, len(samples)))


async def test_every_reader_opens_a_promoted_file_while_it_grows_and_after(tmp_path: Path):
    for suffix in ("wav", "aac"):
        path = tmp_path / f"call.{suffix}"
        async with take_of(path, cycle_time=10) as (take, recorder):
            await take.go_on(3)
            await recorder.promote()
            await take.go_on(2)
            assert len(read_all(path)[0]) > 3 * RATE
            report = await recorder.stop()
        assert len(read_all(path)[0]) == round(report.duration_s * RATE)
        before = path.read_bytes()
        assert recover(path).unchanged
        assert path.read_bytes() == before


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("part.aac", SuffixError),
        ("part.mp3", SuffixError),
        ("a\0b.wav", ConfigurationError),
        ("missing/part.wav", OpenFileError),
        ("directory.wav", OpenFileError),
    ],
)
async def test_what_cannot_be_is_refused_and_harms_nothing(
    name: str, error: type[Exception], tmp_path: Path
):
    (tmp_path / "directory.wav").mkdir()
    async with take_of(tmp_path / "call.wav", cycle_time=10) as (take, recorder):
        await take.go_on(2)
        before = listing(tmp_path)
        with pytest.raises(error) as raised:
            await recorder.promote(tmp_path / name)
        assert "\n" not in str(raised.value)
        assert (listing(tmp_path), recorder.cyclic) == (before, True)
        await recorder.promote()
        with pytest.raises(StateError, match="recorded live already"):
            await recorder.promote()
        with pytest.raises(ConfigurationError, match="recording itself"):
            await recorder.save(tmp_path / "call.wav")
        await take.answer(recorder.demote())
        with pytest.raises(StateError, match="10 s are kept already"):
            await take.answer(recorder.demote())
        with pytest.raises(ConfigurationError, match="cycle_time is 11"):
            await recorder.demote(11)
        await recorder.stop()
        for call in (recorder.promote, recorder.demote):
            with pytest.raises(StateError, match="nothing is being recorded"):
                await call()
    new = AudioRecorder(AudioRecordingConfiguration(tmp_path / "new.wav", cycle_time=10))
    with pytest.raises(StateError, match=r"start\(\) comes before promote"):
        await new.promote()


# -- harm -----------------------------------------------------------------------------------------


@SUFFIXES
async def test_any_call_of_a_promotion_or_a_demotion_may_fail_and_it_can_be_tried_again(
    suffix: str, tmp_path: Path
):
    opened = descriptors()

    async def one(place: Path, fault: Fault | None, *, back: bool) -> tuple[HarmWhileOn, bool]:
        path, disk = place / f"call.{suffix}", HarmWhileOn()
        async with take_of(path, disk=disk, cycle_time=10) as (take, recorder):
            await take.go_on(4)
            if back:
                await recorder.promote(place / f"live.{suffix}")
                await take.go_on(1)
            turn = recorder.demote if back else recorder.promote
            disk.fault, disk.on = fault, True
            failed = False
            try:
                await (take.answer(turn()) if back else turn())
            except FileError:
                failed = True
            disk.on = False
            if recorder.over:  # what failed was a write of the recording itself
                assert back
                assert codes_of(take)[-1] == "ERROR"
                return disk, True
            refused = "DEMOTE_FAILED" if back else "PROMOTE_FAILED"
            if codes_of(take).count(refused):  # as it was
                assert failed
                assert recorder.cyclic != back
                await (take.answer(turn()) if back else turn())
            await take.go_on(0.5)
            report = await recorder.stop()
        assert b"older" in [each.read_bytes() for each in listing(place)]
        for file in (path, place / f"live.{suffix}"):
            if file.exists() and suffix == "wav" and file.read_bytes() != b"older":
                samples = samples_of(file)
                first = 0 if file != path else round(report.skipped_s * RATE)
                assert np.array_equal(samples, take.heard(first, len(samples)))
        assert not report.error
        return disk, failed

    def made(name: str) -> Path:
        (tmp_path / name).mkdir()
        (tmp_path / name / f"call.{suffix}").write_bytes(b"older")
        return tmp_path / name

    for back in (False, True):
        name = "back" if back else "there"
        counted, failed = await one(made(name), None, back=back)
        assert not failed
        failures = 0
        ways = [(errno.ENOSPC, "once"), (errno.EIO, "all")]
        for at, (number, lasting) in itertools.product(range(len(counted.calls)), ways):
            place = made(f"{name}-{at}-{lasting}")
            try:
                _, failed = await one(place, Fault(at, number, lasting), back=back)
            except Exception as error:
                raise AssertionError(f"{at}, {lasting} of {counted.calls}") from error
            failures += failed
            shutil.rmtree(place)
        assert failures > len(counted.calls) // 2
    await until(lambda: descriptors() <= opened)


@SUFFIXES
@CHANNELS
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
async def test_killed_at_any_call_all_that_was_written_is_there(
    suffix: str, channels: int, back: bool, tmp_path: Path
):
    place, dead = tmp_path / "place", tmp_path / "dead"
    place.mkdir()
    disk = Snapshots(place, dead)
    async with take_of(tmp_path / f"whole.{suffix}", channels=channels) as (take, whole):
        recorder = await take.record(
            place / f"call.{suffix}", disk=disk, cycle_time=10, channels=channels
        )
        await take.go_on(3)
        if back:
            await recorder.promote(place / f"live.{suffix}")
            await take.go_on(1)
        disk.on = True
        written = (4 if back else 3) - 0.9  # what is mixed half a second later, and encoded
        await (take.answer(recorder.demote()) if back else recorder.promote())
        await take.go_on(0.4)
        disk.on = False
        await take.stop()
    expected = units_of(whole.path, channels)
    unit = 1 if suffix == "wav" else FRAME
    assert len(listing(dead)) > 6
    for remains in listing(dead):
        have: set[int] = set()
        left = [each for each in listing(remains) if each.name[0] != "."]
        assert left
        for each in left:
            # The path in a ring is that of the place, which the living have.
            to = remains / f"recovered-{each.name.removesuffix('.ring')}"
            try:
                done = recover(each, to)
            except DamagedFileError:  # of a ring that nothing was written to yet
                assert back
                continue
            first = round(done.start_s * RATE)
            if each.suffix != ".ring":
                first = 0
            units = units_of(to, channels)
            at = first // unit
            assert units[1:] == expected[at + 1 : at + len(units)], (remains.name, each.name)
            have |= set(range(at, at + len(units)))
        needed = round(written * RATE) // unit
        assert set(range(needed)) <= have, remains.name
