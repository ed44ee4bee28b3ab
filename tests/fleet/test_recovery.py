"""What killed recorders left is finished by itself, once, and nothing else is touched."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from roomtape.fleet.files.names import JOURNAL, folder_of
from roomtape.fleet.files.recovery import Recovery
from roomtape.fleet.leases import Holder, LocalLeases
from roomtape.storage.notes.journal import Journal
from roomtape.storage.proof.seal import check_seal
from support.program import roomtape_environment
from support.readers import read_ffmpeg
from support.scripted_recording import listing, until

NAME = "20261126T101530.123Z.aac"
RECORDER = """
import asyncio, sys
from pathlib import Path
from roomtape.fleet.recorder.messages import Record
from roomtape.fleet.recorder.room_recording import RoomRecording, Setting
from roomtape.rooms import MemoryRoom
from roomtape.types.clock import SYSTEM_CLOCK
from support.signals import noise

async def main(directory, rooms):
    setting = Setting(worker="killed", directory=Path(directory))
    tasks = []
    for number, name in enumerate(rooms):
        room = MemoryRoom(SYSTEM_CLOCK)
        room.enter("alice")
        room.speak("alice", noise(number, 60), 48000)
        order = Record(name, "RM_1", 7, "rec")
        tell = lambda began: print(began.file, flush=True)
        recording = RoomRecording(order, room, None, setting, tell)
        tasks.append(asyncio.create_task(recording.run()))
    await asyncio.gather(*tasks)

asyncio.run(main(sys.argv[1], sys.argv[2:]))
"""


class Killed:
    """A process that records, and is killed."""

    def __init__(self, directory: Path, *rooms: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RECORDER, directory, *rooms],
            stdout=subprocess.PIPE,
            text=True,
            env={
                **roomtape_environment(),
                "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
            },
        )
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().strip() for _ in rooms]
        self.files = {Path(line).parent.name: Path(line) for line in lines}

    def kill(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Disk:
    """A directory, what is recovered in it, and who says what went on."""

    def __init__(self, directory: Path, link_s: float = 60.0) -> None:
        self.directory = directory
        self.journal = Journal(directory / JOURNAL)
        self.leases = LocalLeases()
        self.recovered = 0
        self.recovery = Recovery(self.journal, self.leases, link_s=link_s)

    async def sweep(self, *alive: str) -> None:
        await self.recovery.sweep(lambda facts: facts.get("worker") in alive, self._count)

    def _count(self, files: int) -> None:
        self.recovered += files

    async def goes_on(self, room: str, file: str, sid: str = "RM_1") -> None:
        taking = await self.leases.take(room)
        assert taking is not None
        await self.leases.note(taking[0], Holder(taking[0].fence, "next", sid, "rec", file))

    def report(self, path: Path) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((path.parent / f"{path.name}.json").read_text())
        return report


@pytest.fixture
def killed(tmp_path: Path):
    made: list[Killed] = []

    def make(*rooms: str) -> Killed:
        made.append(Killed(tmp_path, *rooms))
        return made[-1]

    yield make
    for each in made:
        each.kill()


def whole(report: dict[str, Any]) -> bool:
    """Whether it is as it was sealed."""
    seal = check_seal(report)
    return seal is not None and seal.whole


async def grown(path: Path) -> None:
    """There are some seconds in it."""
    await until(lambda: path.stat().st_size > 12_000)


@pytest.mark.realtime
async def test_what_was_left_is_finished_and_names_what_went_on(tmp_path: Path, killed):
    left, disk = killed("a/b"), Disk(tmp_path)
    path = left.files[folder_of("a/b")]
    await grown(path)
    left.kill()
    before = path.read_bytes()
    await disk.sweep()
    assert disk.recovered == 1
    report = disk.report(path)
    pcm, rate = read_ffmpeg(path)
    assert report["duration_s"] == pytest.approx(len(pcm) / rate)
    assert report["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert whole(report)
    assert report["consent"] == "not_asked"
    assert before.startswith(path.read_bytes())
    assert report["fleet"] == {
        "room": "a/b",
        "sid": "RM_1",
        "worker": "killed",
        "lease": 7,
        "previous": None,
        "next": None,
        "ended": "recovered",
    }
    # Which recording went on is known a moment later.
    assert disk.recovery.went_before("a/b", "RM_1") == {
        "file": str(path),
        "worker": "killed",
        "lease": 7,
    }
    assert disk.recovery.went_before("a/b", "RM_2") is None
    await disk.goes_on("a/b", "/another/session.aac", sid="RM_2")
    await disk.sweep()
    assert disk.report(path)["fleet"]["next"] is None
    disk.leases = LocalLeases()
    disk.recovery = Recovery(disk.journal, disk.leases, link_s=60)
    await disk.goes_on("a/b", "/next.aac")
    await disk.sweep()
    assert disk.report(path)["fleet"]["next"]["file"] == "/next.aac"
    assert whole(disk.report(path))
    assert disk.journal.facts() == []
    await disk.sweep()
    assert disk.recovered == 1
    assert sorted(each.suffix for each in path.parent.iterdir()) in (
        [".aac", ".json"],
        [".aac", ".aac", ".json"],  # where a frame was cut, the file is kept as it was left
    )


@pytest.mark.realtime
async def test_a_disk_that_is_found_elsewhere_is_recovered_there(tmp_path: Path, killed):
    left = killed("a")
    await grown(left.files["a"])
    left.kill()
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    moved.symlink_to(tmp_path)
    disk = Disk(moved)
    await disk.sweep()
    assert disk.recovered == 1
    assert disk.report(left.files["a"])["fleet"]["ended"] == "recovered"


@pytest.mark.realtime
async def test_what_is_being_recorded_is_never_touched(tmp_path: Path, killed):
    living, disk = killed("a", "b"), Disk(tmp_path)
    for path in living.files.values():
        await grown(path)
    inode = {path: path.stat().st_ino for path in living.files.values()}
    for _ in range(3):
        await disk.sweep()
    assert disk.recovered == 0
    assert {path: path.stat().st_ino for path in living.files.values()} == inode
    assert len(disk.journal.facts()) == 2


@pytest.mark.realtime
async def test_two_who_sweep_at_once_recover_each_file_once(tmp_path: Path, killed):
    left = killed("a", "b", "c")
    for path in left.files.values():
        await grown(path)
    left.kill()
    disks = [Disk(tmp_path, link_s=0) for _ in range(4)]
    for _ in range(3):
        await asyncio.gather(*(each.sweep() for each in disks))
    assert sum(each.recovered for each in disks) == 3
    assert disks[0].journal.facts() == []
    for path in left.files.values():
        assert disks[0].report(path)["fleet"]["ended"] == "recovered"
        assert len([*path.parent.glob("*.json")]) == 1


@pytest.mark.realtime
async def test_without_locks_what_is_known_to_be_recorded_is_left_alone(
    tmp_path: Path, killed, monkeypatch: pytest.MonkeyPatch
):
    def no_locks(*args: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    left, disk = killed("a"), Disk(tmp_path)
    await grown(left.files["a"])
    inode = left.files["a"].stat().st_ino
    await disk.sweep("killed")  # it is alive, says Redis, or its own worker
    assert disk.recovered == 0
    assert left.files["a"].stat().st_ino == inode
    left.kill()
    await disk.sweep("another")
    assert disk.recovered == 1


async def test_a_report_that_names_no_next_one_can_be_told_of_it(tmp_path: Path):
    disk = Disk(tmp_path)
    path, other = tmp_path / "a.aac", tmp_path.parent / "other.aac"
    for each in (path, other):
        each.with_name(each.name + ".json").write_text('{"x": 1, "fleet": {"next": null}}')
    for file in ("/next.aac", "/another.aac"):
        disk.recovery.name_next(path, {"file": file})
        disk.recovery.name_next(other, {"file": file})  # on another disk
        disk.recovery.name_next(tmp_path / "nothing.aac", {"file": file})
    report = disk.report(path)
    assert whole(report)
    del report["proof"]
    assert report == {"x": 1, "fleet": {"next": {"file": "/next.aac"}}}
    assert disk.report(other)["fleet"] == {"next": None}


async def test_an_entry_without_a_file_goes_when_it_is_old(tmp_path: Path):
    disk = Disk(tmp_path)
    facts = {"path": f"a/{NAME}", "room": "a", "worker": "w", "lease": 1}
    disk.journal.enter("young", facts).close()
    disk.journal.enter("old", facts).close()
    os.utime(tmp_path / JOURNAL / "old.json", (1, 1))
    await disk.sweep()
    assert [path.name for path in (tmp_path / JOURNAL).iterdir()] == ["young.json"]


async def test_a_file_that_was_killed_before_its_first_frame_is_told_as_that(tmp_path: Path):
    disk = Disk(tmp_path, link_s=0)
    path = tmp_path / "a" / NAME
    path.parent.mkdir()
    path.touch()
    disk.journal.enter("a", {"path": f"a/{NAME}", "room": "a", "worker": "w", "lease": 1}).close()
    await disk.sweep()
    assert disk.report(path)["duration_s"] == 0
    assert "no whole AAC frame" in disk.report(path)["error"]
    await asyncio.sleep(0.01)
    await disk.sweep()
    assert disk.journal.facts() == []


async def test_an_entry_that_leads_elsewhere_is_not_followed(tmp_path: Path, caplog):
    outside = tmp_path / NAME
    shutil.copy(__file__, outside)
    disk = Disk(tmp_path / "inside")
    odd = (str(outside), f"../{NAME}", f"a/../../{NAME}", NAME, f".journal/{NAME}", "a/x.aac", None)
    for number, path in enumerate(odd):
        disk.journal.enter(f"{number}", {"path": path, "room": "a", "worker": "w"}).close()
    for _ in range(2):
        await disk.sweep()
    assert [path.name for path in listing(tmp_path)] == [NAME, "inside"]
    assert len(caplog.records) == len(odd)  # each is told once
