"""A recording in numbered files: one after the other they are the recording that was not split."""

from __future__ import annotations

import asyncio
import errno
import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecordingCode, AudioRecordingConfiguration, AudioRecordingWarning
from roomtape.storage.proof.verify import verify_recording
from roomtape.storage.recover import recover
from roomtape.types.errors import ConfigurationError, FileError
from support.faulty_disk import FaultyDisk
from support.keys import write_keys
from support.processes import descriptors
from support.readers import read_all
from support.saved_parts import (
    FRAME,
    RATE,
    Take,
    content,
    decoded,
    frames_of,
    report_beside,
    samples_of,
    take_of,
)
from support.scripted_recording import listing, until

SUFFIXES = pytest.mark.parametrize("suffix", ["wav", "aac"])
CHANNELS = pytest.mark.parametrize("channels", [1, 2])


def parts_of(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"))


def codes_of(take: Take) -> list[str]:
    return [each.code.name for each in take.events if isinstance(each.code, AudioRecordingCode)]


@SUFFIXES
@CHANNELS
@pytest.mark.parametrize(
    "options",
    [
        {"split_s": 3},
        {"split_s": np.float64(1.25)},
        {"split_bytes": 65536},
        {"split_s": 5, "split_bytes": np.int64(100_000)},
    ],
    ids=["3 s", "1.25 s", "64 KiB", "5 s or 100 kB"],
)
async def test_the_files_in_sequence_are_the_recording_that_was_not_split(
    suffix: str, channels: int, options: dict[str, Any], tmp_path: Path
):
    path = tmp_path / f"call.{suffix}"
    seconds = 16.03 if suffix == "wav" else 40.63
    async with take_of(path, channels=channels, **options) as (take, recorder):
        whole = await take.record(tmp_path / f"whole.{suffix}", channels=channels)
        await take.go_on(seconds)
        await recorder.stop()
        await whole.stop()
    parts = parts_of(path)
    assert [each.name for each in parts] == [
        f"call-{number:03d}.{suffix}" for number in range(1, len(parts) + 1)
    ]
    assert len(parts) > 2
    assert b"".join(map(content, parts)) == content(whole.path)
    reports = [report_beside(each) for each in parts]
    for number, (report, part) in enumerate(zip(reports, parts, strict=True), 1):
        assert verify_recording(part).ok
        assert (report["part"], report["file_path"]) == (number, str(part))
        assert report["bytes_written"] == part.stat().st_size
        assert part.stat().st_size <= options.get("split_bytes", 1 << 30)
        if number in (1, len(parts)):
            assert len(read_all(part)[0]) == round(report["duration_s"] * RATE)
        assert recover(part).unchanged
    for one, two in itertools.pairwise(reports):
        assert two["skipped_s"] == pytest.approx(one["skipped_s"] + one["duration_s"], abs=1e-9)
        assert (one["next_file"], two["previous_file"]) == (two["file_path"], one["file_path"])
        if options.keys() == {"split_s"}:
            unit = RATE // 10 if suffix == "wav" else FRAME
            end = one["part"] * options["split_s"] * RATE
            assert 0 <= two["skipped_s"] * RATE - end < unit
    assert (reports[0]["previous_file"], reports[-1]["next_file"]) == ("", "")
    if suffix == "aac" and channels == 1:
        heard = decoded(whole.path)
        for report, part in zip(reports, parts, strict=True):
            first = round(report["skipped_s"] * RATE)
            count = round(report["duration_s"] * RATE)
            assert np.array_equal(decoded(part)[FRAME:], heard[first + FRAME : first + count])
    told = ["START", "START", *["PART_FINISHED"] * (len(parts) - 1), "FINISH", "FINISH"]
    assert codes_of(take) == told
    assert take.events[0].file_path == str(parts[0])
    assert take.events[-2].file_path == str(parts[-1])
    assert recorder.last_part is not None
    assert recorder.last_part.file_path == str(parts[-2])
    assert {each.name for each in listing(tmp_path)} == {
        whole.path.name,
        *(each.name for each in parts),
        *(f"{each.name}.json" for each in parts),
    }


@SUFFIXES
async def test_saves_reach_across_the_files(suffix: str, tmp_path: Path):
    chance = random.Random(suffix)
    async with take_of(tmp_path / f"call.{suffix}", split_s=2) as (take, recorder):
        whole = await take.record(tmp_path / f"whole.{suffix}")
        saves = []
        for number in range(12):
            await take.go_on(chance.uniform(0.3, 2.5))
            save = recorder.save(
                tmp_path / f"save-{number}.{suffix}",
                last_s=chance.uniform(0.3, 15),
                then_s=chance.choice([0, 1, 7]),
            )
            saves.append(asyncio.ensure_future(save))
            await asyncio.sleep(0)
        await take.go_on(8)
        await take.stop()
        reports = [await each for each in saves]
    expected = content(whole.path) if suffix == "wav" else b""
    frames = frames_of(whole.path) if suffix == "aac" else []
    for report in reports:
        saved, first = Path(report.file_path), round(report.skipped_s * RATE)
        count = round(report.duration_s * RATE)
        if suffix == "wav":
            assert content(saved) == expected[2 * first : 2 * (first + count)]
        else:
            at = first // FRAME
            assert frames_of(saved)[1:] == frames[at + 1 : at + count // FRAME]


async def test_a_file_that_somebody_removed_fails_what_is_saved_of_it_and_nothing_else(
    tmp_path: Path,
):
    async with take_of(tmp_path / "call.wav", split_s=2) as (take, recorder):
        await take.go_on(7)
        (tmp_path / "call-002.wav").unlink()
        (tmp_path / "call-002.wav").write_bytes(b"somebody's")
        # Where the file system gives the new file the number of the old one, it is too short.
        with pytest.raises(FileError, match=r"no such file|cannot be read back"):
            await take.answer(recorder.save(tmp_path / "saved.wav", last_s=6))
        saved = await take.answer(recorder.save(tmp_path / "saved.wav", last_s=2))
        await recorder.stop()
    assert saved.missing_s == 0
    last = parts_of(tmp_path / "call.wav")[-1]
    assert np.array_equal(samples_of(last), take.heard(8 * RATE, len(samples_of(last))))


async def test_each_file_is_signed_and_has_its_own_marks(tmp_path: Path):
    private, public = write_keys(tmp_path)
    async with take_of(tmp_path / "call.wav", split_s=2, sign=private) as (take, recorder):
        for number in range(6):
            await take.go_on(1)
            recorder.mark(f"{number}")
        await recorder.stop()
    for part in parts_of(tmp_path / "call.wav"):
        assert verify_recording(part, key=public).ok
    labels = [
        [each["label"] for each in report_beside(part)["marks"]]
        for part in parts_of(tmp_path / "call.wav")
    ]
    assert [each for some in labels for each in some] == ["0", "1", "2", "3", "4", "5"][
        : sum(map(len, labels))
    ]
    assert len(labels) == 3


async def test_a_file_that_stands_there_is_moved_aside(tmp_path: Path):
    (tmp_path / "call-002.wav").write_bytes(b"older")
    async with take_of(tmp_path / "call.wav", split_s=1) as (take, recorder):
        await take.go_on(3)
        await recorder.stop()
    assert (tmp_path / "call-002.1.wav").read_bytes() == b"older"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split_s": 0.5}, "split_s is 0.5"),
        ({"split_s": True}, "split_s is True"),
        ({"split_s": "60"}, "split_s is '60'"),
        ({"split_s": float("nan")}, "split_s is nan"),
        ({"split_s": 10**400}, "split_s is 1"),
        ({"split_bytes": 65535}, "split_bytes is 65535"),
        ({"split_bytes": 1e6}, "split_bytes is 1000000.0"),
        ({"split_bytes": True}, "split_bytes is True"),
        ({"split_s": 60, "cycle_time": 10}, "a cyclic recording is not split"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], words: str):
    with pytest.raises(ConfigurationError, match=words):
        AudioRecordingConfiguration("call.wav", **options).validate()


# -- harm -----------------------------------------------------------------------------------------


class NoNext(FaultyDisk):
    """No file can be created while it is full."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        if self.full and name in ("open", "rename_new") and "json" not in str(args[-1]):
            raise OSError(errno.ENOSPC, "no space left on device")
        return function(*args)


@SUFFIXES
async def test_where_the_next_file_cannot_be_begun_it_goes_on_in_the_old_one(
    suffix: str, tmp_path: Path
):
    disk = NoNext()
    opened = descriptors()
    path = tmp_path / f"call.{suffix}"
    async with take_of(path, split_s=5, disk=disk) as (take, recorder):
        whole = await take.record(tmp_path / f"whole.{suffix}")
        await take.go_on(4)
        disk.full = True
        await take.go_on(25)
        disk.full = False
        await take.go_on(22)
        await recorder.stop()
        await whole.stop()
    parts = parts_of(path)
    warnings = [each for each in take.events if isinstance(each.code, AudioRecordingWarning)]
    assert [each.code.name for each in warnings] == ["SPLIT_FAILED"]
    assert str(parts[0]) in warnings[0].detail
    assert "no space left on device" in warnings[0].detail
    durations = [report_beside(each)["duration_s"] for each in parts]
    assert durations[0] > 25, durations
    assert durations[-2] == pytest.approx(5, abs=FRAME / RATE), durations
    assert b"".join(map(content, parts)) == content(whole.path)
    await until(lambda: descriptors() <= opened)


@SUFFIXES
async def test_killed_at_any_call_the_files_before_are_whole_and_recover_finishes_the_last(
    suffix: str, tmp_path: Path
):
    from test_promote import Snapshots

    place, dead = tmp_path / "place", tmp_path / "dead"
    place.mkdir()
    disk = Snapshots(place, dead)
    async with take_of(tmp_path / f"whole.{suffix}") as (take, whole):
        recorder = await take.record(place / f"call.{suffix}", disk=disk, split_s=2)
        await take.go_on(4.2)
        disk.on = True
        await take.go_on(0.7)  # the second file ends here
        disk.on = False
        await recorder.stop()
        await whole.stop()
    expected = content(whole.path)
    for remains in listing(dead):
        path = remains / f"call.{suffix}"
        first = (remains / f"call-001.{suffix}").read_bytes()
        recover(path)  # whichever is the last
        parts = [each for each in parts_of(path) if each.stem.count(".") == 0]
        if len(parts) == 3 and len(content(parts[2])) > 80:
            recover(parts[1])  # which it may have been about to finish
        joined = b"".join(map(content, parts))
        assert joined == expected[: len(joined)], remains.name
        assert len(joined) > (3.3 * RATE * 2 if suffix == "wav" else 15000), remains.name
        assert parts[0].read_bytes() == first


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_strangers_file_with_the_number_of_ours_is_not_read_for_it(
    suffix: str, tmp_path: Path
):
    """A file system gives the number of a removed file to the next one."""
    async with take_of(tmp_path / f"call.{suffix}", split_s=2) as (take, recorder):
        await take.go_on(5)
        with (tmp_path / f"call-001.{suffix}").open("ab") as file:
            file.write(b"TAG" + bytes(125))  # an editor's, which harms nothing
        if suffix == "wav":
            with (tmp_path / "call-001.wav").open("r+b") as file:
                file.seek(4)
                file.write(bytes([1, 2, 3, 0]))  # nor does what it says of the whole length
        report = await take.answer(recorder.save(tmp_path / f"whole.{suffix}", last_s=4))
        assert report.missing_s == 0
        with (tmp_path / f"call-002.{suffix}").open("r+b") as file:
            count = len(file.read())
            file.seek(0)
            file.write(bytes(range(256)) * (count // 256 + 1))
        with pytest.raises(FileError, match="no such file"):
            await take.answer(recorder.save(tmp_path / f"part.{suffix}", last_s=4))
