"""Saving without stopping: what is saved, what is refused, and what becomes of a save when the
recording, the disk, or whoever waits for it ends.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import (
    AudioRecorder,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    RecordingEvent,
)
from roomtape.storage.recover import recover
from roomtape.types.errors import (
    ConfigurationError,
    FileError,
    OpenFileError,
    StateError,
    SuffixError,
)
from support.faulty_disk import Fault, FaultyDisk
from support.processes import descriptors
from support.readers import read_all
from support.saved_parts import (
    FRAME,
    RATE,
    frames_of,
    report_beside,
    samples_of,
    take_of,
)
from support.scripted_recording import listing, until

SAVED, FAILED, FINISH, ERROR = (
    AudioRecordingCode.SAVED,
    AudioRecordingCode.SAVE_FAILED,
    AudioRecordingCode.FINISH,
    AudioRecordingCode.ERROR,
)
CYCLES = pytest.mark.parametrize("cycle_time", [0, 10], ids=["live", "cyclic"])
SUFFIXES = pytest.mark.parametrize("suffix", ["wav", "aac"])


def told(events: list[RecordingEvent], path: Path) -> list[AudioRecordingCode]:
    return [each.code for each in events if each.file_path == str(path)]  # type: ignore[misc]


def units_of(path: Path) -> list[Any]:
    """What can be compared: samples, or frames without the first, which is the file's own."""
    return list(samples_of(path)) if path.suffix == ".wav" else frames_of(path)


# -- what is saved --------------------------------------------------------------------------------


@CYCLES
@SUFFIXES
async def test_saves_since_the_last_one_stand_back_to_back(
    suffix: str, cycle_time: int, tmp_path: Path
):
    async with take_of(tmp_path / f"live.{suffix}") as (take, whole):
        recorder = await take.record(tmp_path / f"call.{suffix}", cycle_time=cycle_time)
        parts = [tmp_path / f"{number}.{suffix}" for number in range(6)]
        tasks = []
        for part, seconds in zip(parts, [3.3, 0.11, 9.0, 1.7, 6.05, 2.0], strict=True):
            await take.go_on(seconds)  # the one before may not be there yet
            tasks.append(asyncio.ensure_future(recorder.save(part, since_last_save=True)))
            await asyncio.sleep(0)
        end = take.now
        await take.go_on(1)
        reports = [await task for task in tasks]
        await recorder.stop()
        await whole.stop()
    assert [each.missing_s for each in reports] == [0] * 6
    joined = [unit for part in parts for unit in units_of(part)]
    count = end if suffix == "wav" else -(-end // FRAME)
    assert joined == [
        *units_of(parts[0])[:1],
        *units_of(tmp_path / f"live.{suffix}")[1:count],
    ]
    for before, after in itertools.pairwise(reports):
        assert after.skipped_s == pytest.approx(before.skipped_s + before.duration_s, abs=1e-9)


async def test_where_there_is_less_than_asked_for_the_report_says_so(tmp_path: Path):
    async with take_of(tmp_path / "call.wav", cycle_time=10) as (take, recorder):
        await take.go_on(2)
        early = await take.answer(recorder.save(tmp_path / "early.wav", last_s=5))
        await take.go_on(20)
        late = await take.answer(
            recorder.save(tmp_path / "late.wav", last_s=60, then_s=1), within_s=2
        )
        gap = await take.answer(recorder.save(tmp_path / "gap.wav", since_last_save=True))
        await take.go_on(25)
        lost = await take.answer(recorder.save(tmp_path / "lost.wav", since_last_save=True))
    assert (early.duration_s, early.missing_s, early.skipped_s) == (2, 3, 0)
    assert (late.duration_s, late.missing_s, late.skipped_s) == (11, 50, 13)
    assert (gap.duration_s, gap.missing_s, gap.skipped_s) == (1, 0, 24)
    assert (lost.duration_s, lost.missing_s) == (10, 16)
    assert early.saved_from == str(tmp_path / "call.wav")


async def test_the_report_of_a_part_is_about_the_part(tmp_path: Path):
    path = tmp_path / "part.wav"
    async with take_of(tmp_path / "call.wav") as (take, recorder):
        bob = recorder.add_source("bob")
        await take.go_on(4)
        bob.close()
        await take.go_on(4)
        report = await take.answer(recorder.save(path, last_s=6, then_s=1), within_s=2)
        whole = await recorder.stop()
    assert report_beside(path)["sources"][1]["name"] == "bob"
    alice, bob_then = report.sources
    assert (report.duration_s, report.skipped_s, report.file_path) == (7, 2, str(path))
    assert (report.started_at - whole.started_at).total_seconds() == 2
    assert (alice.joined_s, alice.left_s, bob_then.left_s) == (0, 7, 2)
    spoke = [each for each in alice.intervals if each.kind == "spoke"]
    assert [(each.start_s, each.end_s) for each in spoke] == [(0, 7)]
    assert report.bytes_written == path.stat().st_size
    assert (whole.saved_from, whole.missing_s) == ("", 0)


@CYCLES
@SUFFIXES
async def test_every_reader_opens_a_part_and_it_is_a_whole_file(
    suffix: str, cycle_time: int, tmp_path: Path
):
    part = tmp_path / f"part.{suffix}"
    async with take_of(tmp_path / f"call.{suffix}", cycle_time=cycle_time) as (take, recorder):
        await take.go_on(3)
        report = await take.answer(recorder.save(part, last_s=2.5))
    pcm, rate = read_all(part)
    assert (len(pcm) / RATE, rate) == (report.duration_s, RATE)
    before = part.read_bytes()
    recover(part)
    assert part.read_bytes() == before
    assert part.stat().st_mode & 0o777 == 0o600


async def test_what_stands_there_is_moved_aside(tmp_path: Path):
    path = tmp_path / "part.wav"
    path.write_bytes(b"older")
    async with take_of(tmp_path / "call.wav") as (take, recorder):
        await take.go_on(2)
        for _ in range(2):
            await take.answer(recorder.save(path))
    assert (tmp_path / "part.1.wav").read_bytes() == b"older"
    assert len(samples_of(tmp_path / "part.2.wav")) == 2 * RATE
    assert len(samples_of(path)) == 3 * RATE


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("part.aac", {}, SuffixError),
        ("part.mp3", {}, SuffixError),
        ("call.wav", {}, ConfigurationError),
        ("link/call.wav", {}, ConfigurationError),
        ("part.wav", {"last_s": -1}, ConfigurationError),
        ("part.wav", {"last_s": float("nan")}, ConfigurationError),
        ("part.wav", {"last_s": float("inf")}, ConfigurationError),
        ("part.wav", {"last_s": True}, ConfigurationError),
        ("part.wav", {"last_s": "30"}, ConfigurationError),
        ("part.wav", {"last_s": 10**400}, ConfigurationError),
        ("part.wav", {"then_s": 3601}, ConfigurationError),
        ("part.wav", {"last_s": 0}, StateError),
        ("a\0b.wav", {}, ConfigurationError),
        ("missing/part.wav", {}, OpenFileError),
        ("directory.wav", {}, OpenFileError),
    ],
)
async def test_what_cannot_be_is_refused_and_harms_nothing(
    name: str, options: dict[str, Any], error: type[Exception], tmp_path: Path
):
    (tmp_path / "directory.wav").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    async with take_of(tmp_path / "call.wav") as (take, recorder):
        await take.go_on(2)
        before = listing(tmp_path)
        with pytest.raises(error) as raised:
            await take.answer(recorder.save(tmp_path / name, **options))
        assert "\n" not in str(raised.value)
        assert listing(tmp_path) == before
        await take.answer(recorder.save(tmp_path / "part.wav", last_s=np.float32(1)))
        report = await recorder.stop()
    assert report.error == ""
    assert len(samples_of(tmp_path / "call.wav")) == report.duration_s * RATE


async def test_only_a_running_recording_is_saved_from(tmp_path: Path):
    recorder = AudioRecorder(AudioRecordingConfiguration(tmp_path / "a.wav"))
    with pytest.raises(StateError, match=r"start\(\) comes before save"):
        await recorder.save(tmp_path / "part.wav")
    async with take_of(tmp_path / "b.wav") as (take, running):
        with pytest.raises(StateError, match="nothing to save yet"):
            await running.save(tmp_path / "part.wav")
        await take.go_on(1)
        await take.answer(running.save(tmp_path / "part.wav"))
        await running.stop()
        with pytest.raises(StateError, match="nothing is being recorded"):
            await running.save(tmp_path / "part.wav")


async def test_nothing_new_since_the_last_save_is_told(tmp_path: Path):
    async with take_of(tmp_path / "call.wav") as (take, recorder):
        await take.go_on(2)
        ahead = asyncio.ensure_future(recorder.save(tmp_path / "a.wav", then_s=3))
        await take.go_on(1)
        with pytest.raises(StateError, match="since the last save"):
            await recorder.save(tmp_path / "b.wav", since_last_save=True)
        await take.go_on(3)
        await ahead


async def test_no_more_than_16_at_the_same_time(tmp_path: Path):
    async with take_of(tmp_path / "call.wav") as (take, recorder):
        await take.go_on(2)
        tasks = [
            asyncio.ensure_future(recorder.save(tmp_path / f"{number}.wav", then_s=2))
            for number in range(16)
        ]
        await asyncio.sleep(0)
        with pytest.raises(StateError, match="16 saves are under way"):
            await recorder.save(tmp_path / "more.wav")
        await take.go_on(3)
        assert [(await task).duration_s for task in tasks] == [4] * 16
        await take.answer(recorder.save(tmp_path / "more.wav"))


# -- how it ends ----------------------------------------------------------------------------------


@CYCLES
@SUFFIXES
async def test_a_stop_ends_what_is_being_saved_with_what_there_is(
    suffix: str, cycle_time: int, tmp_path: Path
):
    path, part = tmp_path / f"call.{suffix}", tmp_path / f"part.{suffix}"
    async with take_of(path, cycle_time=cycle_time) as (take, recorder):
        await take.go_on(12)
        save = asyncio.ensure_future(recorder.save(part, last_s=4, then_s=30))
        await take.go_on(1)
        await recorder.stop()
        report = await save
    assert report.missing_s == pytest.approx(29, abs=FRAME / RATE)
    assert units_of(part)[1:] == units_of(path)[-len(units_of(part)) + 1 :]
    codes = [each.code for each in take.events]
    assert codes[-2:] == [SAVED, FINISH]
    assert {each.name for each in listing(tmp_path)} == {path.name, part.name, f"{part.name}.json"}


async def test_whoever_waits_may_give_up_and_it_is_saved_all_the_same(tmp_path: Path):
    part = tmp_path / "part.wav"
    async with take_of(tmp_path / "call.wav") as (take, recorder):
        await take.go_on(2)
        save = asyncio.ensure_future(recorder.save(part, then_s=1))
        await asyncio.sleep(0)
        save.cancel()
        await take.go_on(2)
    assert save.cancelled()
    assert told(take.events, part) == [SAVED]
    assert len(samples_of(part)) == 3 * RATE


@CYCLES
async def test_a_recording_that_fails_leaves_its_saves_what_there_is(
    cycle_time: int, tmp_path: Path
):
    there = tmp_path / "there"
    there.mkdir()
    disk = ApartDisk(there)
    async with take_of(tmp_path / "call.wav", disk=disk, cycle_time=cycle_time) as (take, recorder):
        await take.go_on(5)
        save = asyncio.ensure_future(recorder.save(there / "part.wav", last_s=3, then_s=30))
        await take.go_on(1)
        disk.recording_fails = True
        await take.go_on(1)
        assert recorder.over
        report = await save
    assert told(take.events, there / "part.wav") == [SAVED]
    assert take.events[-1].code is ERROR
    assert 3 < report.duration_s < 4.3
    first = round(report.skipped_s * RATE)
    assert np.array_equal(
        samples_of(there / "part.wav"), take.heard(first, len(samples_of(there / "part.wav")))
    )


class ApartDisk(FaultyDisk):
    """Fails for what is saved to one directory, and never for the recording; or the other way."""

    def __init__(self, directory: Path, fault: Fault | None = None) -> None:
        super().__init__(fault)
        self._directory = directory
        self._fds: set[int] = set()
        self.recording_fails = False

    def call(self, name: str, function: Any, *args: Any) -> Any:
        theirs = any(
            (isinstance(each, Path) and self._directory in each.parents)
            or (isinstance(each, Path) and each == self._directory)
            or (each in self._fds if isinstance(each, int) and index == 0 else False)
            for index, each in enumerate(args)
        )
        if name == "dup":
            theirs = True
        if not theirs:
            if self.recording_fails and name == "write":
                raise OSError(errno.EIO, "Input/output error")
            return function(*args)
        if name == "close":
            self._fds.discard(args[0])
        result = super().call(name, function, *args)
        if name in ("open", "dup"):
            self._fds.add(result)
        return result


@pytest.mark.slow
@CYCLES
@SUFFIXES
async def test_any_call_of_a_save_may_fail_in_any_way_and_the_recording_goes_on(
    suffix: str, cycle_time: int, tmp_path: Path
):
    async def one(number: int, fault: Fault | None) -> tuple[ApartDisk, str]:
        directory = tmp_path / str(number)
        there = directory / "there"
        there.mkdir(parents=True)
        part = there / f"part.{suffix}"
        part.write_bytes(b"older")
        disk = ApartDisk(there, fault)
        open_before = descriptors()
        path = directory / f"call.{suffix}"
        async with take_of(path, disk=disk, cycle_time=cycle_time) as (take, recorder):
            await take.go_on(3)
            ended = "saved"
            try:
                await take.answer(recorder.save(part, last_s=2, then_s=0.4), within_s=2)
            except FileError as error:
                ended = str(error)
                assert told(take.events, part) in ([FAILED], [])  # [] where it never began
            else:
                assert told(take.events, part) == [SAVED]
            again = ended != "saved" and fault is not None and fault.lasting == "once"
            if again:
                if disk.hit not in ("rename_new", "unlink"):
                    assert [each.name for each in listing(there)] == [part.name]
                    assert part.read_bytes() == b"older"
                await take.answer(recorder.save(part, last_s=2))
            report = await recorder.stop()
        assert report.error == ""
        assert take.events[-1].code is FINISH
        whole = units_of(path)
        if suffix == "wav":
            assert np.array_equal(samples_of(path), take.heard(0, len(whole)))
        if ended == "saved" or again:
            saved = units_of(part)
            starts = [RATE, 3 * RATE] if suffix == "wav" else [RATE // FRAME, 3 * RATE // FRAME]
            assert any(saved[1:] == whole[at + 1 : at + len(saved)] for at in starts)
        assert b"older" in [each.read_bytes() for each in listing(there) if each.is_file()]
        await until(lambda: descriptors() <= open_before)  # a ring is freed on a thread
        return disk, ended

    counting, ended = await one(0, None)
    assert ended == "saved"
    number, failures = 1, 0
    ways = [(errno.ENOSPC, "once"), (errno.EIO, "kind"), (errno.EIO, "all"), (errno.EINTR, "once")]
    for at, (code, lasting) in itertools.product(range(len(counting.calls)), ways):
        fault = Fault(at, code, lasting)
        try:
            _, ended = await one(number, fault)
        except Exception as error:
            raise AssertionError(f"{fault} of {counting.calls}") from error
        failures += ended != "saved"
        number += 1
    assert failures > 2 * len(counting.calls)
