"""Recorder processes are there, obey, and are started again when they die: for real."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from roomtape.fleet import processes
from roomtape.fleet.options import Service, WorkerOptions
from roomtape.fleet.processes import Processes
from roomtape.fleet.recorder.messages import (
    Beat,
    Began,
    Ended,
    Message,
    Record,
    Stop,
    from_line,
    to_line,
)
from roomtape.fleet.rooms import first_line
from support.scripted_recording import until

pytestmark = pytest.mark.realtime

SECRET = "a secret that nobody may read"


class Scene:
    """Two processes, and what they tell."""

    def __init__(self, directory: Path) -> None:
        service = Service("ws://127.0.0.1:9", "key", SECRET)  # where nobody answers
        options = WorkerOptions(directory=directory, service=service, name="w")
        self.told: list[Message] = []
        self.gone: list[int] = []
        self.hopeless = 0
        self.all = Processes(
            2,
            first_line(options, "text", debug=False),
            on_message=lambda number, message: self.told.append(message),
            on_gone=self.gone.append,
            on_hopeless=self._give_up,
        )

    def _give_up(self) -> None:
        self.hopeless += 1

    def pids(self) -> list[int]:
        return [int(each) for each in children().split()]


def children() -> str:
    return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text()


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    made.all.start()
    await until(lambda: made.all.up() == [0, 1])
    yield made
    await made.all.close()
    await made.all.close()


async def test_they_beat_obey_and_end_when_there_are_no_more_orders(scene: Scene):
    assert all(beat.cpu_s > 0 for beat in scene.all.beats().values())
    assert not any(SECRET in command_line(pid) for pid in scene.pids())
    assert scene.all.send(0, Record("a", "RM_1", 1, "rec"))
    await until(lambda: any(isinstance(each, Ended) for each in scene.told))
    (ended,) = scene.told
    assert isinstance(ended, Ended)
    assert (ended.room, ended.lease, ended.failed, ended.file) == ("a", 1, True, "")
    assert "cannot join" in ended.why
    pids = scene.pids()
    for pid in pids:  # which end a worker, and are the worker's to obey
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
    heard = scene.all.beats()[0]
    await until(lambda: scene.all.beats()[0] is not heard)
    await scene.all.close()
    assert sorted(scene.gone) == [0, 1]
    assert scene.pids() == []
    assert not scene.all.send(0, Stop("a", 1, "too late"))


async def test_one_that_dies_is_started_again_until_it_is_hopeless(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog
):
    monkeypatch.setattr(processes, "_MOST_RESTARTS", 3)
    for slot in scene.all._slots:
        slot.deaths = type(slot.deaths)(maxlen=3)
    for number in range(3):
        await until(lambda: scene.all.up() == [0, 1])
        os.kill(scene.pids()[0] if number == 0 else scene.all._slots[0].process.pid, 9)
        await until(lambda count=number + 1: scene.gone == [0] * count)
    await until(lambda: scene.hopeless == 1)
    assert scene.all.up() == [1]  # what the other records goes on
    assert scene.all.restarts == 2
    assert "ended by signal 9" in caplog.text
    assert "died 3 times" in caplog.text


async def test_one_that_hangs_is_killed(scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog):
    hanging = scene.all._slots[1].process.pid
    os.kill(hanging, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(processes, "_SILENT_S", 3.0)
        await until(lambda: 1 in scene.gone)
    assert "says nothing for" in caplog.text
    await until(lambda: scene.all.up() == [0, 1])


async def test_they_end_with_a_parent_that_is_killed(tmp_path: Path):
    code = f"""
import asyncio
from pathlib import Path
from fleet.test_processes import Scene
async def main():
    scene = Scene(Path({str(tmp_path)!r}))
    scene.all.start()
    while scene.all.up() != [0, 1]:
        await asyncio.sleep(0.05)
    print(*scene.pids(), flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    tests = str(Path(__file__).parents[1])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": tests},
    )
    assert process.stdout is not None
    pids = [int(each) for each in (await process.stdout.readline()).split()]
    assert len(pids) == 2
    process.kill()
    await process.wait()
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


@pytest.mark.parametrize(
    "message",
    [
        Record("a/b\n", "RM_1", 7, "rec", {"file": "/x.aac", "worker": "w", "lease": 1}),
        Stop("a", 7, "enough"),
        Began("a", 7, "/data/a.aac"),
        Ended("a", 7, "enough", "/data/a.aac", True, 1.5, 0.1, 0.2, {"no_audio": 1}),
        Beat(1.0, 0.1, 2.0),
    ],
)
def test_a_message_is_one_line_and_comes_back_the_same(message: Message):
    line = to_line(message)
    assert line.count(b"\n") == 1
    assert from_line(line) == message


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"x\n", b"[]\n", b"{}\n", b'{"kind": "x"}\n', b'{"kind": "stop"}\n', b"1\n"],
)
def test_what_is_no_message_is_none(line: bytes):
    assert from_line(line) is None


def test_the_secret_is_in_no_text_of_ours(tmp_path: Path):
    service = Service("ws://127.0.0.1:9", "key", SECRET)
    options: Any = WorkerOptions(
        directory=tmp_path, service=service, name="w", redis="redis://:hidden@x"
    )
    assert SECRET not in repr(options)
    assert "hidden" not in repr(options)
