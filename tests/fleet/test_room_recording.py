"""One room's recording: when its file begins and ends, and what is left whatever goes wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from roomtape.fleet.files.names import JOURNAL
from roomtape.fleet.recorder.life import MAY_FOLLOW, RoomState
from roomtape.fleet.recorder.messages import Began, Ended, Message, Record, Stop
from roomtape.fleet.recorder.process import Entrance, RecorderProcess
from roomtape.fleet.recorder.room_recording import RoomRecording, Setting
from roomtape.rooms import MemoryRoom
from roomtape.storage.notes.journal import Journal
from roomtape.storage.proof.seal import check_seal
from roomtape.types import Consent
from roomtape.types.clock import SYSTEM_CLOCK
from support.scripted_recording import until
from support.signals import speech

ORDER = Record("stand/up", "RM_1", 7, "rec", {"file": "/before.aac", "worker": "old", "lease": 6})
ALONE_S = 0.3


class Scene:
    """A room that others come into, and its recording."""

    def __init__(self, directory: Path, room: MemoryRoom | None = None, **setting: Any) -> None:
        self.directory = directory
        self.room = room or MemoryRoom(SYSTEM_CLOCK)
        self.began: list[Began] = []
        self.recording = RoomRecording(
            ORDER,
            self.room,
            None,
            Setting(worker="w", directory=directory, **{"alone_s": ALONE_S, **setting}),
            self.began.append,
        )
        self.task = asyncio.create_task(self.recording.run())

    async def reach(self, state: RoomState) -> None:
        await until(lambda: self.recording.state is state)

    async def ended(self) -> Ended:
        async with asyncio.timeout(60):
            return await self.task

    def report(self, ended: Ended) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(Path(ended.file + ".json").read_text())
        return report

    @property
    def files(self) -> list[str]:
        return files_in(self.directory)

    @property
    def entries(self) -> list[dict[str, Any]]:
        return Journal(self.directory / JOURNAL).facts()


def files_in(directory: Path) -> list[str]:
    return sorted(str(path) for path in directory.glob("*/*.aac"))


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_a_file_begins_with_the_first_participant(scene: Scene):
    await scene.reach(RoomState.WAITING)
    assert scene.files == []
    scene.room.enter("alice")
    await scene.reach(RoomState.RECORDING)
    (began,) = scene.began
    assert (began.room, began.lease) == ("stand/up", 7)
    assert scene.files == [began.file]
    (entry,) = scene.entries  # in the journal, for as long as it is written
    assert (entry["file"], entry["worker"], entry["lease"]) == (began.file, "w", 7)
    scene.room.speak("alice", speech("alice", 0.4), 48000)
    await asyncio.sleep(0.5)
    scene.recording.stop(Stop("stand/up", 7, "enough", {"file": "/next.aac"}))
    ended = await scene.ended()
    assert (ended.file, ended.failed, ended.why) == (began.file, False, "enough")
    assert ended.duration_s > 0.4
    report = scene.report(ended)
    assert report["sources"][0]["name"] == "alice"
    assert report["sha256"]
    seal = check_seal(report)
    assert seal is not None
    assert seal.whole
    assert report["fleet"] == {
        "room": "stand/up",
        "sid": "RM_1",
        "worker": "w",
        "lease": 7,
        "previous": {"file": "/before.aac", "worker": "old", "lease": 6},
        "next": {"file": "/next.aac"},
        "ended": "enough",
    }
    assert scene.entries == []


async def test_a_room_that_nobody_comes_to_leaves_no_file(scene: Scene):
    ended = await scene.ended()
    assert (ended.file, ended.failed, ended.why) == ("", False, "nobody came")
    assert scene.files == []
    assert scene.entries == []


async def test_it_ends_some_time_after_everybody_has_left(scene: Scene):
    scene.room.enter("alice")
    await scene.reach(RoomState.RECORDING)
    scene.room.exit("alice")
    await asyncio.sleep(ALONE_S / 3)
    scene.room.enter("bob")  # and goes on where somebody comes meanwhile
    await asyncio.sleep(ALONE_S * 2)
    assert scene.recording.state is RoomState.RECORDING
    scene.room.exit("bob")
    ended = await scene.ended()
    assert (ended.failed, ended.why) == (False, "everybody had left")
    assert [each["name"] for each in scene.report(ended)["sources"]] == ["alice", "bob"]


async def test_a_room_that_is_closed_ends_it(scene: Scene):
    scene.room.enter("alice")
    await scene.reach(RoomState.RECORDING)
    scene.room.lose("the room was closed")
    ended = await scene.ended()
    assert (bool(ended.file), ended.why) == (True, "the room was closed")
    assert scene.report(ended)["fleet"]["ended"] == "the room was closed"
    assert scene.entries == []


async def test_a_room_that_cannot_be_joined_is_told(tmp_path: Path):
    scene = Scene(tmp_path, MemoryRoom(SYSTEM_CLOCK, refuse="the token has expired"))
    ended = await scene.ended()
    assert (ended.file, ended.failed) == ("", True)
    assert "the token has expired" in ended.why


@pytest.mark.parametrize("state", [RoomState.JOINING, RoomState.WAITING, RoomState.RECORDING])
async def test_it_can_be_stopped_at_any_moment_and_twice(tmp_path: Path, state: RoomState):
    room = SlowRoom() if state is RoomState.JOINING else MemoryRoom(SYSTEM_CLOCK)
    scene = Scene(tmp_path, room, alone_s=60)
    if state is RoomState.RECORDING:
        scene.room.enter("alice")
    await scene.reach(state)
    await asyncio.sleep(0)
    for why in ("enough", "more than enough"):
        scene.recording.stop(Stop("stand/up", 7, why))
    ended = await scene.ended()
    assert (ended.why, ended.failed) == ("enough", False)
    assert bool(ended.file) == (state is RoomState.RECORDING)
    assert scene.entries == []
    scene.recording.stop(Stop("stand/up", 7, "too late"))


class SlowRoom(MemoryRoom):
    def __init__(self) -> None:
        super().__init__(SYSTEM_CLOCK)

    async def join(self, **how: Any) -> None:
        await asyncio.sleep(60)


class OddRoom(MemoryRoom):
    async def join(self, **how: Any) -> None:
        raise ValueError("odd")


async def test_a_defect_in_a_room_ends_its_recording_alone(tmp_path: Path):
    ended = await Scene(tmp_path, OddRoom(SYSTEM_CLOCK)).ended()
    assert (ended.file, ended.failed) == ("", True)
    assert "ValueError: odd" in ended.why


async def test_a_directory_that_cannot_be_written_to_is_told(tmp_path: Path):
    (tmp_path / "stand%2Fup").write_text("in the way")
    scene = Scene(tmp_path)
    scene.room.enter("alice")
    ended = await scene.ended()
    assert (ended.file, ended.failed) == ("", True)
    assert "stand%2Fup" in ended.why
    assert scene.entries == []


async def test_who_is_excluded_or_has_not_agreed_is_silence(tmp_path: Path):
    scene = Scene(tmp_path, exclude=("bob",), consent=Consent.REQUIRED)
    for name in ("alice", "bob", "carol"):
        scene.room.enter(name)
    await scene.reach(RoomState.RECORDING)
    assert scene.room.asks
    (entry,) = scene.entries
    assert entry["consent"] == "required"
    for name in ("bob", "carol"):  # one of them for nothing
        scene.room.agree(name)
    for name in ("alice", "bob", "carol"):
        scene.room.speak(name, speech(name, 3), 48000)
    await asyncio.sleep(1)
    scene.recording.stop(Stop("stand/up", 7, "enough"))
    report = scene.report(await scene.ended())
    sources = {each["name"]: each for each in report["sources"]}
    for name in ("alice", "bob"):
        assert sources[name]["silenced_s"] >= sources[name]["received_s"] > 0
    assert report["consent"] == "required"
    acts = [(act["kind"], act["who"]) for act in report["acts"]]
    assert {("excluded", "bob"), ("agreed", "carol")} <= {*acts}


async def test_the_room_hears_a_beep(tmp_path: Path):
    scene = Scene(tmp_path, beep_s=1.0)
    scene.room.enter("alice")
    await scene.reach(RoomState.RECORDING)
    assert scene.room.local_audio is not None
    scene.recording.stop(Stop("stand/up", 7, "enough"))
    assert not (await scene.ended()).failed
    assert scene.room.local_audio is None


async def test_a_beep_that_nobody_can_hear_is_told(tmp_path: Path):
    class QuietRoom(MemoryRoom):
        can_publish = False

    scene = Scene(tmp_path, QuietRoom(SYSTEM_CLOCK), beep_s=1.0)
    scene.room.enter("alice")
    ended = await scene.ended()
    assert (ended.file, ended.failed) == ("", True)
    assert "the others hear nothing of us" in ended.why
    assert (scene.files, scene.entries) == ([], [])


async def test_a_recorder_process_finishes_all_it_has_when_there_are_no_more_orders(
    tmp_path: Path,
):
    rooms: list[MemoryRoom] = []

    def make() -> MemoryRoom:
        rooms.append(MemoryRoom(SYSTEM_CLOCK))
        rooms[-1].enter("alice")
        return rooms[-1]

    told: list[Message] = []
    process = RecorderProcess(
        Entrance(make, lambda room, identity: None),
        Setting(worker="w", directory=tmp_path),
        told.append,
    )
    orders = asyncio.StreamReader()
    running = asyncio.create_task(process.run(orders))
    for number in range(3):
        process.obey(Record(f"room {number}", "RM", number, "rec"))
    process.obey(Record("room 0", "RM", 0, "rec"))  # twice
    process.obey(None)
    process.obey(Stop("nowhere", 1, "enough"))
    await until(lambda: sum(isinstance(each, Began) for each in told) == 3)
    process.obey(Stop("room 1", 1, "enough"))
    await until(lambda: any(isinstance(each, Ended) for each in told))
    orders.feed_eof()
    await running
    ended = [each for each in told if isinstance(each, Ended)]
    assert sorted(each.room for each in ended) == ["room 0", "room 1", "room 2"]
    assert sorted(each.file for each in ended) == files_in(tmp_path)
    assert Journal(tmp_path / JOURNAL).facts() == []
    assert len(rooms) == 3


def test_nothing_leads_back():
    order = [*RoomState]
    for state, following in MAY_FOLLOW.items():
        assert all(order.index(each) > order.index(state) for each in following)
