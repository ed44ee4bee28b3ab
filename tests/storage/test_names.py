"""What stands beside a recording, and at its name, comes to no harm."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.storage.disk import Disk
from roomtape.storage.naming import move_aside, put_in_place, stands_at
from roomtape.storage.recover import recover
from roomtape.types import AudioRecordingCode
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import FileError
from support.disks import need_root, tmpfs
from support.readers import read_all
from support.scripted_recording import listing, record_scripted

BOTH_KINDS = pytest.mark.parametrize("cycle_time", [0, 10], ids=["live", "cyclic"])
DONE = [AudioRecordingCode.START, AudioRecordingCode.FINISH]


@BOTH_KINDS
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_only_the_owner_can_read_a_recording(suffix: str, cycle_time: int, tmp_path: Path):
    path, seen = tmp_path / f"a.{suffix}", set()

    class Watching(Disk):
        def write_at(self, fd, data, offset):
            super().write_at(fd, data, offset)
            seen.add(stat.S_IMODE(os.fstat(fd).st_mode))

    old = os.umask(0)
    try:
        await record_scripted(path, cycle_time=cycle_time, report=True, disk=Watching())
    finally:
        os.umask(old)
    assert seen == {0o600}
    for each in listing(tmp_path):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600


@BOTH_KINDS
async def test_a_symlink_is_moved_aside_and_never_followed(cycle_time: int, tmp_path: Path):
    other = tmp_path / "precious"
    other.write_bytes(b"precious")
    path = tmp_path / "a.wav"
    path.symlink_to(other)
    outcome = await record_scripted(path, cycle_time=cycle_time)
    assert outcome.codes == DONE
    assert other.read_bytes() == b"precious"
    assert not path.is_symlink()
    assert (tmp_path / "a.1.wav").readlink() == other
    assert len(read_all(path)[0]) > 0


@BOTH_KINDS
async def test_a_dangling_symlink_does_not_make_a_file_elsewhere(cycle_time: int, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    directory = tmp_path / "here"
    directory.mkdir()
    (directory / "a.wav").symlink_to(elsewhere / "b.wav")
    assert (await record_scripted(directory / "a.wav", cycle_time=cycle_time)).codes == DONE
    assert listing(elsewhere) == []
    assert not (directory / "a.wav").is_symlink()


async def test_a_symlink_at_the_name_of_a_ring_is_not_followed(tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "a.wav.ring").symlink_to(elsewhere / "ring")
    outcome = await record_scripted(tmp_path / "a.wav", cycle_time=10)
    assert outcome.codes == DONE
    assert listing(elsewhere) == []
    assert (tmp_path / "a.wav.ring").is_symlink()


def test_a_file_that_becomes_a_symlink_before_it_is_opened_is_not_followed(tmp_path: Path):
    """``recover`` goes where a symlink points when it is called, and nowhere else later."""
    other, path = tmp_path / "precious", tmp_path / "a.aac"
    other.write_bytes(b"precious")
    path.write_bytes(b"a recording")

    class Swapping(Disk):
        def open_existing(self, path: Path) -> int:
            path.unlink()
            path.symlink_to(other)
            return super().open_existing(path)

    with pytest.raises(FileError, match="symbolic links"):
        recover(path, disk=Swapping())
    assert other.read_bytes() == b"precious"


@BOTH_KINDS
async def test_older_files_get_the_first_numbers_that_are_free(cycle_time: int, tmp_path: Path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"first")
    await record_scripted(path, cycle_time=cycle_time)
    second = path.read_bytes()
    (tmp_path / "a.3.wav").write_bytes(b"taken")
    await record_scripted(path, cycle_time=cycle_time)
    third = path.read_bytes()
    await record_scripted(path, cycle_time=cycle_time)
    assert (tmp_path / "a.1.wav").read_bytes() == b"first"
    assert (tmp_path / "a.2.wav").read_bytes() == second
    assert (tmp_path / "a.3.wav").read_bytes() == b"taken"
    assert (tmp_path / "a.4.wav").read_bytes() == third
    assert len(listing(tmp_path)) == 5


@BOTH_KINDS
async def test_a_directory_at_the_target_is_refused(cycle_time: int, tmp_path: Path):
    (tmp_path / "a.wav" / "inside").mkdir(parents=True)
    outcome = await record_scripted(tmp_path / "a.wav", cycle_time=cycle_time)
    assert "is a directory" in outcome.refused
    assert [each.name for each in listing(tmp_path)] == ["a.wav"]


@BOTH_KINDS
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing/a.wav", "no such file or directory"),
        ("file/a.wav", "not a directory"),
        (f"{'x' * 252}.wav", "file name too long"),
        (f"{'d/' * 2100}a.wav", "file name too long"),
    ],
    ids=["missing", "a file as directory", "long name", "long path"],
)
async def test_a_name_that_cannot_be_is_refused_in_plain_words(
    name: str, words: str, cycle_time: int, tmp_path: Path
):
    (tmp_path / "file").touch()
    outcome = await record_scripted(tmp_path / name, cycle_time=cycle_time)
    assert words in outcome.refused
    assert outcome.events == []
    assert [each.name for each in listing(tmp_path)] == ["file"]


def test_what_cannot_be_looked_at_is_no_gap(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert stands_at(tmp_path / "file")
    for name in ("missing", "file/a", "loop"):
        assert not stands_at(tmp_path / name)
    with pytest.raises(OSError, match="too long"):  # as with a disk that fails
        stands_at(tmp_path / ("x" * 300))


async def test_a_live_name_may_be_as_long_as_a_name_can_be(tmp_path: Path):
    path = tmp_path / f"{'x' * 251}.wav"
    assert (await record_scripted(path)).codes == DONE
    assert len(read_all(path)[0]) > 0


@BOTH_KINDS
async def test_a_name_that_is_no_text_is_a_name_all_the_same(cycle_time: int, tmp_path: Path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\xff.wav"))
    outcome = await record_scripted(path, cycle_time=cycle_time, report=True)
    assert outcome.codes == DONE
    assert os.fsencode(outcome.events[0].file_path).endswith(b"/caf\xe9\xff.wav")
    assert sorted(os.listdir(os.fsencode(tmp_path))) == [  # noqa: PTH208 (names as bytes)
        b"caf\xe9\xff.wav",
        b"caf\xe9\xff.wav.json",
    ]


@pytest.fixture(params=["a read-only disk", "an immutable directory"])
def read_only(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Directories that even root cannot write to."""
    need_root()
    directory = tmp_path / "read-only"
    if request.param == "a read-only disk":
        with tmpfs(directory, options="size=1M"):
            subprocess.run(["mount", "-o", "remount,ro", str(directory)], check=True)
            yield directory
        return
    directory.mkdir()
    subprocess.run(["chattr", "+i", str(directory)], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["chattr", "-i", str(directory)], check=True)


@pytest.mark.root
@BOTH_KINDS
async def test_a_directory_that_cannot_be_written_to_is_refused(cycle_time: int, read_only: Path):
    outcome = await record_scripted(read_only / "a.wav", cycle_time=cycle_time)
    assert "read-only file system" in outcome.refused or "not permitted" in outcome.refused
    assert listing(read_only) == []


async def scripted_pair(
    tmp_path: Path, cycle_time: int
) -> tuple[AudioRecorder, AudioRecorder, ScriptedClock]:
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(tmp_path / "a.wav", cycle_time=cycle_time)
    first, second = (AudioRecorder(config, clock=clock) for _ in range(2))
    await first.start()
    await clock.advance(2)
    await second.start()
    await clock.advance(1)
    return first, second, clock


@BOTH_KINDS
async def test_two_recorders_at_one_path_both_keep_what_they_hear(cycle_time: int, tmp_path: Path):
    first, second, _ = await scripted_pair(tmp_path, cycle_time)
    reports = [await first.stop(), await second.stop()]
    assert [report.duration_s for report in reports] == [3, 1]
    # The later one has the name: when it starts if live, when it stops if cyclic.
    assert len(read_all(tmp_path / "a.wav")[0]) == 32000
    assert len(read_all(tmp_path / "a.1.wav")[0]) == 3 * 32000
    assert len(listing(tmp_path)) == 2
    # A ring that is being recorded to is nobody's unrecovered one.
    assert reports[1].warnings == ()


async def test_recorders_that_start_and_stop_at_one_path_at_once_lose_nothing(tmp_path: Path):
    clock = ScriptedClock()
    recorders = [
        AudioRecorder(
            AudioRecordingConfiguration(tmp_path / "a.wav", cycle_time=10 * (number % 2)),
            clock=clock,
        )
        for number in range(12)
    ]
    await asyncio.gather(*(each.start() for each in recorders))
    await clock.advance(1)
    await asyncio.gather(*(each.stop() for each in recorders))
    files = listing(tmp_path)
    assert len(files) == 12
    assert all(each.stat().st_size == 80 + 64000 for each in files)


async def test_a_file_that_is_moved_aside_as_soon_as_it_is_placed_is_recorded_on(tmp_path: Path):
    class MovedAside(Disk):
        def open_to_follow(self, path: Path) -> int:
            path.rename(tmp_path / "b.wav")
            return super().open_to_follow(path)

    clock = ScriptedClock()
    configuration = AudioRecordingConfiguration(tmp_path / "a.wav")
    async with AudioRecorder(configuration, clock=clock, disk=MovedAside()):
        await clock.advance(1)
    assert [each.name for each in listing(tmp_path)] == ["b.wav"]
    assert (tmp_path / "b.wav").stat().st_size == 80 + 64000


def test_a_file_that_vanishes_while_it_is_moved_aside_is_no_error(tmp_path: Path):
    (tmp_path / "a.wav").touch()

    class Vanishing(Disk):
        def rename_new(self, source: Path, target: Path) -> None:
            source.unlink()
            super().rename_new(source, target)

    assert move_aside(tmp_path / "a.wav", Vanishing()) is None


@pytest.mark.parametrize("links", [True, False])
def test_where_nothing_renames_at_once_nothing_is_overwritten_either(tmp_path: Path, links: bool):
    class NoLinks(Disk):
        def call(self, name, function, *args):
            if name == "rename_new":
                raise OSError(errno.EINVAL, "Invalid argument")
            if name == "link" and not links:
                raise PermissionError(1, "Operation not permitted")
            return super().call(name, function, *args)

    (tmp_path / "part").write_bytes(b"new")
    (tmp_path / "a.wav").write_bytes(b"old")
    put_in_place(tmp_path / "part", tmp_path / "a.wav", NoLinks())
    assert (tmp_path / "a.wav").read_bytes() == b"new"
    assert (tmp_path / "a.1.wav").read_bytes() == b"old"
    assert len(listing(tmp_path)) == 2
