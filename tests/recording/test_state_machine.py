"""Recorders and engines in every order of calls, cancelled and failing anywhere.

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
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from roomtape import (
    AudioRecorder,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    ChannelEventCallback,
    ErrorCode,
    PushedAudio,
    RtcEngine,
)
from roomtape.clock import ScriptedClock
from roomtape.errors import RoomtapeError
from roomtape.recording.life import RecorderState
from roomtape.recording.process_end import running
from roomtape.rooms import MemoryRoom
from support.examples import examples
from support.faulty_disk import Fault, FaultyDisk

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
        self.descriptors = self._descriptors()
        self.worlds = [World(), World()]
        self.told: list[Told] = []
        self.moved = False
        self.harmed = False

    @staticmethod
    def _threads() -> int:
        return sum(each.name.startswith("roomtape") for each in threading.enumerate())

    @staticmethod
    def _descriptors() -> int:
        return len([*Path("/proc/self/fd").iterdir()])

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
            self._threads() > self.threads or self._descriptors() > self.descriptors
        ) and time.monotonic() < ends:
            time.sleep(0.001)
        assert self._threads() <= self.threads, [each.name for each in threading.enumerate()]
        assert self._descriptors() <= self.descriptors

    def check_report(self, report: Any, told: Told, *, path_told: str) -> None:
        assert report.file_path == path_told
        if report.error or self.moved:
            return
        path = Path(report.file_path)
        if report.format == "wav" and path.exists():
            assert path.stat().st_size == report.bytes_written
            assert soundfile.info(path).frames == round(report.duration_s * RATE)

    def check_no_lock(self) -> None:
        for path in self.directory.iterdir():
            fd = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                os.close(fd)

    def tidy(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        logging.disable(logging.NOTSET)


class Recorders(Machine):
    """Recorders, without a room."""

    recorders = Bundle("recorders")
    sources = Bundle("sources")

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[AudioRecorder, World, Told]] = []

    @initialize(target=recorders)
    def nothing_yet(self):
        return multiple()

    @rule(
        target=recorders,
        index=st.integers(0, 1),
        name=st.sampled_from(NAMES),
        cycle_time=st.sampled_from([0, 10]),
        report=st.booleans(),
        habit=habits,
        fault=faults,
    )
    def make(self, index, name, cycle_time, report, habit, fault):
        world, told = self.world(index), Told(habit)
        config = AudioRecordingConfiguration(
            self.directory / name, sample_rate=RATE, cycle_time=cycle_time, report=report
        )
        recorder = AudioRecorder(
            config,
            on_event=lambda event: told(event.code, event.file_path),
            clock=world.clock,
            disk=self.disk(fault),
        )

        def act() -> None:  # a callback calls back in
            recorder.add_source("called back").push(FRAME, RATE)
            if world.loop.is_running():
                told.habit = ""
                task = asyncio.ensure_future(recorder.stop())
                task.add_done_callback(lambda done: done.cancelled() or done.exception())

        told.act = act
        self.told.append(told)
        self.made.append((recorder, world, told))
        return recorder, world

    @rule(which=recorders, cancelled_after=few)
    def start(self, which, cancelled_after):
        recorder, world = which
        if not world.over:
            world.run(recorder.start(), cancelled_after)

    @rule(which=recorders, cancelled_after=few, take_name=st.booleans())
    def prepare(self, which, cancelled_after, take_name):
        recorder, world = which
        if not world.over:
            world.run(recorder.prepare(take_name=take_name), cancelled_after)

    @rule(which=recorders, cancelled_after=few)
    def begin(self, which, cancelled_after):
        recorder, world = which
        if not world.over:
            world.run(recorder.begin(), cancelled_after)

    @rule(which=recorders, cancelled_after=few)
    def discard(self, which, cancelled_after):
        recorder, world = which
        if not world.over:
            world.run(recorder.discard(), cancelled_after)

    @rule(which=recorders, cancelled_after=few)
    def stop(self, which, cancelled_after):
        recorder, world = which
        if not world.over:
            world.run(recorder.stop(), cancelled_after)

    @rule(which=recorders, cancelled_after=few)
    def two_things_at_once(self, which, cancelled_after):
        recorder, world = which
        if not world.over:

            async def both() -> None:
                await asyncio.gather(
                    recorder.start(), recorder.discard(), recorder.begin(), return_exceptions=True
                )

            world.run(both(), cancelled_after)

    @rule(target=sources, which=recorders, local=st.booleans())
    def add_source(self, which, local):
        recorder, _ = which
        try:
            return recorder.add_source("alice", local=local)
        except RoomtapeError:
            return None  # the disk has a thread of its own: in another run this may be a source

    @rule(
        source=sources,
        rate=st.sampled_from([RATE, RATE, 48000, np.int32(RATE), 7, "x"]),
        pts=st.sampled_from([None, None, 0, 320, np.uint32(640), 2**63, 1.5]),
    )
    def push(self, source, rate, pts):
        with suppress(ValueError):
            if source is not None:
                source.push(FRAME, rate, pts)

    @rule(source=sources, muted=st.booleans())
    def mute(self, source, muted):
        if source is not None:
            source.set_muted(muted)

    @rule(source=consumes(sources))
    def close(self, source):
        if source is not None:
            source.close()
            source.close()

    @rule(source=sources)
    def something_in_a_source_fails(self, source):
        if source is not None and source._track is not None:
            source._track.ingest = lambda *args, **kwargs: 1 / 0

    @rule(index=st.integers(0, 1), politely=st.booleans())
    def the_loop_ends(self, index, politely):
        self.worlds[index].end(politely=politely)

    def teardown(self):
        try:
            for recorder, world, told in self.made:
                if recorder._run is None:  # it never began
                    if world.over:
                        world = World()  # noqa: PLW2901
                    world.run(recorder.discard())
                    assert told.codes == []
                elif world.over:
                    recorder._run.end_with_program()
                    recorder._run.end_with_program()
                else:
                    world.run(recorder.stop())
                    world.run(recorder.stop())
                assert recorder.state in (RecorderState.OVER, RecorderState.NEW)
                told.check()
                if told.codes:
                    assert told.codes[-1] in (FINISH, ERROR)
                    assert recorder.report is not None
                    assert bool(recorder.report.error) == (told.codes[-1] is ERROR)
                    self.check_report(recorder.report, told, path_told=told.paths[-1])
                if not world.over and world not in self.worlds:
                    world.end(politely=True)
            for world in self.worlds:
                world.end(politely=True)
            self.settle()
            assert not [each for each in running if each in {r._run for r, _, _ in self.made}]
            self.check_no_lock()
            self.nobody_elses_file_is_touched()
            if not self.harmed:
                assert not [
                    each for each in self.directory.glob(".roomtape-*") if each.name not in FOREIGN
                ]
        finally:
            self.tidy()


class Engines(Machine):
    """Engines in rooms, which are lost at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.engines: list[tuple[RtcEngine, MemoryRoom, World, Told]] = []

    @initialize(habit=habits, fault=faults)
    def two_engines(self, habit, fault):
        for world in self.worlds:
            told = Told(habit)
            room = MemoryRoom(world.clock)
            room.enter("bob")
            engine = RtcEngine(room, clock=world.clock, disk=self.disk(fault))

            class Ear(ChannelEventCallback):
                def on_audio_recording(self, code, file_path, told=told):
                    return told(code, file_path)

            def act(engine=engine, told=told) -> None:  # a callback calls back in
                told.habit = ""
                task = asyncio.ensure_future(engine.stop_audio_recording())
                task.add_done_callback(lambda done: done.cancelled() or done.exception())

            told.act = act
            engine.set_event_callback(Ear())
            self.told.append(told)
            self.engines.append((engine, room, world, told))

    @rule(index=st.integers(0, 1), cancelled_after=few)
    def join(self, index, cancelled_after):
        engine, _, world, _ = self.engines[index]
        world.run(engine.join_channel(None, "standup", "me"), cancelled_after)

    @rule(
        index=st.integers(0, 1),
        name=st.sampled_from([*NAMES, "a.mp3", "missing/a.wav", "\ud800.wav"]),
        cycle_time=st.sampled_from([0, 10, 7]),
        cancelled_after=few,
    )
    def start(self, index, name, cycle_time, cancelled_after):
        engine, _, world, _ = self.engines[index]
        config = AudioRecordingConfiguration(
            f"{self.directory}/{index}{name}", sample_rate=RATE, cycle_time=cycle_time, report=True
        )
        code = world.run(engine.start_audio_recording_with_config(config), cancelled_after)
        assert isinstance(code, ErrorCode | asyncio.CancelledError)
        if code is ErrorCode.OK and not self.harmed:
            assert engine.recorder is not None or self.told[index].codes[-1] in (FINISH, ERROR)

    @rule(index=st.integers(0, 1), cancelled_after=few)
    def stop(self, index, cancelled_after):
        engine, _, world, _ = self.engines[index]
        world.run(engine.stop_audio_recording(), cancelled_after)

    @rule(index=st.integers(0, 1), cancelled_after=few)
    def leave(self, index, cancelled_after):
        engine, _, world, _ = self.engines[index]
        world.run(engine.leave_channel(), cancelled_after)

    @rule(index=st.integers(0, 1), cancelled_after=few)
    def the_room_is_lost_while_other_calls_wait(self, index, cancelled_after):
        engine, room, world, _ = self.engines[index]

        async def at_once() -> None:
            calls = asyncio.gather(
                engine.stop_audio_recording(),
                engine.join_channel(None, "standup", "me"),
                return_exceptions=True,
            )
            await asyncio.sleep(0)
            room.lose()
            await calls

        world.run(at_once(), cancelled_after)

    @rule(index=st.integers(0, 1))
    def somebody_speaks(self, index):
        _, room, world, _ = self.engines[index]

        async def speak() -> None:
            room.speak("bob", np.tile(FRAME, 25), RATE)

        world.run(speak())

    @rule(index=st.integers(0, 1), cancelled_after=few, nothing=st.booleans())
    def publish(self, index, cancelled_after, nothing):
        engine, _, world, _ = self.engines[index]
        world.run(engine.set_local_audio(None if nothing else PushedAudio()), cancelled_after)

    @rule(index=st.integers(0, 1), cancelled_after=few)
    def release(self, index, cancelled_after):
        engine, _, world, _ = self.engines[index]
        world.run(engine.release(), cancelled_after)

    def teardown(self):
        try:
            for engine, room, world, told in self.engines:
                world.run(engine.release())
                world.run(world.clock.advance(0.1))
                assert engine.recorder is None
                assert room._listener is None
                assert not told.codes or told.codes[-1] in (FINISH, ERROR)
                told.check()
                report = engine.last_recording_report
                if told.codes and report is not None:
                    self.check_report(report, told, path_told=told.paths[-1])
            for world in self.worlds:
                world.end(politely=True)
            self.settle()
            self.check_no_lock()
            self.nobody_elses_file_is_touched()
        finally:
            self.tidy()


TestRecorders = Recorders.TestCase
TestRecorders.settings = examples(150)
TestEngines = Engines.TestCase
TestEngines.settings = examples(150)
