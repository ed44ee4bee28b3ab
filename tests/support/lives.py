"""Lives of recorders and engines in every order of calls, cancelled and failing anywhere.

Whatever happens: one FINISH or ERROR after each START, nothing left open, running or locked, the
report equals the file, and nobody else's file is touched.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
)

from roomtape import (
    AudioRecordingCode,
)
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import RoomtapeError

from .faulty_disk import Fault, FaultyDisk
from .processes import descriptors

START, FINISH, ERROR = (
    AudioRecordingCode.START,
    AudioRecordingCode.FINISH,
    AudioRecordingCode.ERROR,
)
RATE = 16000
NAMES = ("a.wav", "b.wav", "a.aac")
FRAME = (np.arange(RATE // 50) * 50).astype(np.int16)
FOREIGN = {"a.wav": b"somebody's", "b.wav.ring": b"somebody's ring", ".roomtape-1-1.part": b"x"}

few = st.integers(0, 12)
"""Turns of the event loop before a call is cancelled; the last one means never."""
faults = st.none() | st.builds(
    Fault,
    at=st.integers(0, 40),
    errno=st.sampled_from([errno.ENOSPC, errno.EIO]),
    lasting=st.sampled_from(["once", "all"]),
)


class World:
    """One event loop with a scripted clock."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: None)
        self.clock = ScriptedClock()
        self.over = False

    def run(self, work: Coroutine[Any, Any, Any], cancelled_after: int = 12) -> Any:
        """Do it; or cancel it after some turns of the loop. What it may raise is returned."""

        async def tried() -> Any:
            task = asyncio.ensure_future(work)
            if cancelled_after < 12:
                for _ in range(cancelled_after):
                    await asyncio.sleep(0)
                task.cancel()
            try:
                return await asyncio.wait_for(task, 30)
            except (RoomtapeError, asyncio.CancelledError) as error:
                return error

        return self.loop.run_until_complete(tried())

    def end(self, *, politely: bool) -> None:
        """As asyncio.run ends a loop; or it is just closed."""
        if self.over:
            return
        self.over = True
        if politely:
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


class Told:
    """A callback that remembers, and does whatever it was made for besides."""

    def __init__(self, habit: str) -> None:
        self.habit = habit
        self.codes: list[AudioRecordingCode] = []
        self.paths: list[str] = []
        self.act: Callable[[], object] = lambda: None

    def __call__(self, code: object, path: str) -> object:
        if code in (START, FINISH, ERROR):
            self.codes.append(code)
            self.paths.append(path)
        match self.habit:
            case "raises":
                raise ZeroDivisionError("a callback raises")
            case "async":
                return asyncio.sleep(0.001)
            case "acts":
                self.act()
        return None

    def check(self) -> None:
        for index, code in enumerate(self.codes):
            before = self.codes[index - 1] if index else None
            assert (code is START) == (before is not START), self.codes


habits = st.sampled_from(["", "raises", "async", "acts"])


class Machine(RuleBasedStateMachine):
    """What both machines share: a directory with foreign files, and worlds."""

    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        self.directory = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="roomtape-test-"))
        for name, content in FOREIGN.items():
            (self.directory / name).write_bytes(content)
        self.threads = self._threads()
        self.descriptors = descriptors()
        self.worlds = [World(), World()]
        self.told: list[Told] = []
        self.moved = False
        self.harmed = False

    @staticmethod
    def _threads() -> int:
        return sum(each.name.startswith("roomtape") for each in threading.enumerate())

    def world(self, index: int) -> World:
        """A world that is alive."""
        if self.worlds[index].over:
            self.worlds[index] = World()
        return self.worlds[index]

    def disk(self, fault: Fault | None) -> FaultyDisk:
        self.harmed = self.harmed or fault is not None
        return FaultyDisk(fault)

    @rule(index=st.integers(0, 1), seconds=st.sampled_from([0.1, 0.5, 1.5]))
    def time_passes(self, index: int, seconds: float) -> None:
        world = self.world(index)
        world.run(world.clock.advance(seconds))

    @rule(name=st.sampled_from(NAMES), new=st.sampled_from(["", "theirs.wav"]))
    def somebody_takes_a_file_away(self, name: str, new: str) -> None:
        path = self.directory / name
        if not path.exists() or path.read_bytes() in FOREIGN.values():
            return
        self.moved = True
        if new:
            path.rename(self.directory / new)
        else:
            path.unlink()

    @invariant()
    def each_start_has_one_end(self) -> None:
        for told in self.told:
            told.check()

    @invariant()
    def nobody_elses_file_is_touched(self) -> None:
        there = {each.read_bytes() for each in self.directory.iterdir() if each.is_file()}
        assert set(FOREIGN.values()) <= there

    def settle(self) -> None:
        """Threads of undo, and of freeing, end by themselves."""
        ends = time.monotonic() + 30
        while (
            self._threads() > self.threads or descriptors() > self.descriptors
        ) and time.monotonic() < ends:
            time.sleep(0.001)
        assert self._threads() <= self.threads, [each.name for each in threading.enumerate()]
        assert descriptors() <= self.descriptors

    def check_report(self, report: Any, told: Told, *, path_told: str) -> None:
        assert report.file_path == path_told
        if report.error or self.moved:
            return
        path = Path(report.file_path)
        if report.format == "wav" and path.exists():
            assert path.stat().st_size == report.bytes_written
            assert soundfile.info(path).frames == round(report.duration_s * RATE)

    def check_no_lock(self) -> None:
        for path in self.directory.rglob("*"):
            if path.is_dir():
                continue
            fd = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                os.close(fd)

    def tidy(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        logging.disable(logging.NOTSET)
