"""Recorders in every order of calls: see ``support/lives.py`` for what holds always."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from unittest import mock

import numpy as np
import pytest
import soundfile
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, initialize, multiple, rule

from roomtape import (
    AudioRecorder,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    Forgotten,
    RecordingEvent,
)
from roomtape.recording.life import RecorderState
from roomtape.recording.parts.closing import Closing
from roomtape.recording.parts.turning import Turning, TurningState
from roomtape.recording.process_end import running
from roomtape.recording.saving.save import Save, SaveState
from roomtape.recording.saving.saves import Saves
from roomtape.types.errors import RoomtapeError
from support.examples import examples
from support.lives import (
    ERROR,
    FINISH,
    FOREIGN,
    FRAME,
    NAMES,
    RATE,
    Machine,
    Told,
    World,
    faults,
    few,
    habits,
)

SAVED, SAVE_FAILED = AudioRecordingCode.SAVED, AudioRecordingCode.SAVE_FAILED
TURNED = {
    AudioRecordingCode.PROMOTED: TurningState.DONE,
    AudioRecordingCode.DEMOTED: TurningState.DONE,
    AudioRecordingCode.PROMOTE_FAILED: TurningState.FAILED,
    AudioRecordingCode.DEMOTE_FAILED: TurningState.FAILED,
}
CLOSED = {AudioRecordingCode.PART_FINISHED: False, AudioRecordingCode.PART_FAILED: True}

pytestmark = pytest.mark.slow


class Recorders(Machine):
    """Recorders, without a room."""

    recorders = Bundle("recorders")
    sources = Bundle("sources")

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[AudioRecorder, World, Told]] = []
        self.saves: list[Save] = []
        self.told_of_saves: list[tuple[AudioRecordingCode, str]] = []
        begin = Saves.begin

        def noted(saves: Saves, *args: object) -> Save:
            self.saves.append(begin(saves, *args))
            return self.saves[-1]

        self.patched = [mock.patch.object(Saves, "begin", noted)]
        self.turnings: list[Turning] = []
        self.closings: list[Closing] = []
        self.told_of_turns: list[TurningState] = []
        self.told_of_parts: list[bool] = []
        for kind, begun in ((Turning, self.turnings), (Closing, self.closings)):
            self.patched.append(mock.patch.object(kind, "start", _noting(kind.start, begun)))
        for each in self.patched:
            each.start()

    @initialize(target=recorders)
    def nothing_yet(self):
        return multiple()

    @rule(
        target=recorders,
        index=st.integers(0, 1),
        name=st.sampled_from(NAMES),
        cycle_time=st.sampled_from([0, 10]),
        channels=st.sampled_from([1, 2]),
        report=st.booleans(),
        stems=st.booleans(),
        split_s=st.sampled_from([None, None, 1]),
        consent=st.sampled_from(["not_asked", "required"]),
        habit=habits,
        fault=faults,
    )
    def make(
        self, index, name, cycle_time, channels, report, stems, split_s, consent, habit, fault
    ):
        world, told = self.world(index), Told(habit)
        config = AudioRecordingConfiguration(
            self.directory / name,
            sample_rate=RATE,
            cycle_time=cycle_time,
            channels=channels,
            report=report,
            stems=self.directory / f"stems-{len(self.made)}" if stems else None,
            split_s=None if cycle_time else split_s,
            consent=consent,
        )

        def heard(event: RecordingEvent) -> object:
            if event.code in (SAVED, SAVE_FAILED):
                self.told_of_saves.append((event.code, event.file_path))
            if event.code in TURNED:
                self.told_of_turns.append(TURNED[event.code])
            if event.code in CLOSED:
                self.told_of_parts.append(CLOSED[event.code])
            return told(event.code, event.file_path)

        recorder = AudioRecorder(
            config,
            on_event=heard,
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

    def begun_for(self, recorder, world, seconds):
        """Have it run, so that what else happens to it is not only refused."""
        if seconds is not None and recorder.state is RecorderState.NEW:
            world.run(recorder.start())
        if seconds:
            world.run(world.clock.advance(seconds))

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

    @rule(
        which=recorders,
        what=st.sampled_from(["exclude", "include", "mask", "unmask", "pause", "resume"])
        | st.sampled_from(["agree", "withdraw", "ask_again"]),
        mode=st.sampled_from(["silence", "tone", "skip"]),
    )
    def decide(self, which, what, mode):
        recorder, _ = which
        given = {"pause": [mode], "resume": []}
        getattr(recorder, what)(*given.get(what, ["alice"]))

    @rule(which=recorders, cancelled_after=few, begun_s=st.sampled_from([None, 0, 0.5, 1.5]))
    def forget(self, which, cancelled_after, begun_s):
        recorder, world = which
        if world.over:
            return
        self.begun_for(recorder, world, begun_s)
        forgotten = world.run(recorder.forget("alice"), cancelled_after)
        assert isinstance(forgotten, Forgotten | RoomtapeError | asyncio.CancelledError)

    @rule(which=recorders, at=st.sampled_from([None, None, 0, 0.5, 1e9, "x"]))
    def mark(self, which, at):
        recorder, _ = which
        with suppress(RoomtapeError, ValueError):
            recorder.mark("here", at)

    @rule(
        which=recorders,
        cancelled_after=few,
        name=st.sampled_from([*NAMES, "saved.wav", "saved.aac", "missing/a.wav"]),
        last_s=st.sampled_from([0, 0.3, 30, -1]),
        then_s=st.sampled_from([0, 0, 2.5]),
        since_last_save=st.booleans(),
        begun_s=st.sampled_from([None, 0, 0.5, 1.5]),
    )
    def save(self, which, cancelled_after, name, last_s, then_s, since_last_save, begun_s):
        recorder, world = which
        if world.over:
            return
        self.begun_for(recorder, world, begun_s)
        saving = recorder.save(
            self.directory / name, last_s=last_s, then_s=then_s, since_last_save=since_last_save
        )

        async def begun() -> None:  # it may take seconds, which come later or never
            task = asyncio.ensure_future(saving)
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            for _ in range(cancelled_after):
                await asyncio.sleep(0)
            if cancelled_after < 12:
                task.cancel()

        world.run(begun())

    @rule(
        which=recorders,
        cancelled_after=few,
        back=st.booleans(),
        where=st.sampled_from([None, "live", "missing/live", "theirs"]),
        cycle_time=st.sampled_from([None, 10, 60, 7]),
        begun_s=st.sampled_from([None, 0, 0.5, 1.5]),
    )
    def turn(self, which, cancelled_after, back, where, cycle_time, begun_s):
        recorder, world = which
        if world.over:
            return
        self.begun_for(recorder, world, begun_s)
        suffix = recorder.config.path.suffix
        path = where and self.directory / f"{where}-{len(self.turnings)}{suffix}"
        turning = recorder.demote(cycle_time) if back else recorder.promote(path)

        async def begun() -> None:  # the file of a demotion may come later, or never
            task = asyncio.ensure_future(turning)
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            for _ in range(cancelled_after):
                await asyncio.sleep(0)
            if cancelled_after < 12:
                task.cancel()

        world.run(begun())

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
            source._track.look = lambda *args, **kwargs: 1 / 0

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
                    if self.alone_at(told.paths[-1]):
                        self.check_report(recorder.report, told, path_told=told.paths[-1])
                if not world.over and world not in self.worlds:
                    world.end(politely=True)
            for world in self.worlds:
                world.end(politely=True)
            self.settle()
            self.check_saves()
            self.check_parts()
            assert not [each for each in running if each in {r._run for r, _, _ in self.made}]
            self.check_no_lock()
            self.nobody_elses_file_is_touched()
            if not self.harmed:
                assert not [
                    each for each in self.directory.glob(".roomtape-*") if each.name not in FOREIGN
                ]
        finally:
            for each in self.patched:
                each.stop()
            self.tidy()

    def alone_at(self, path):
        """Whether no other recording had this name, and nothing was saved there."""
        saved = path in {each for _, each in self.told_of_saves}
        return not saved and sum(path in told.paths for told in self.told) == 1

    def check_parts(self):
        for each in (*self.turnings, *self.closings):
            assert each.outcome.done()
        assert all(each.state in TURNED.values() for each in self.turnings)
        assert sorted(self.told_of_turns, key=str) == sorted(
            (each.state for each in self.turnings), key=str
        )
        assert sorted(self.told_of_parts) == sorted(bool(each.error) for each in self.closings)

    def check_saves(self):
        ended = {SaveState.SAVED: SAVED, SaveState.FAILED: SAVE_FAILED}
        expected = [(ended[save.state], str(save.path)) for save in self.saves]
        assert sorted(expected) == sorted(self.told_of_saves)
        for save in self.saves:
            if save.state is SaveState.FAILED:
                assert save.outcome.exception(0)
                continue
            report = save.outcome.result(0)
            assert report.duration_s > 0
            ours = [each for each in self.told_of_saves if each[1] == str(save.path)]
            if save.path.name == "saved.wav" and len(ours) == 1 and not self.harmed:
                assert soundfile.info(save.path).frames == round(report.duration_s * RATE)
                assert save.path.stat().st_size == report.bytes_written


def _noting(start, begun):
    def noted(self, *args):
        if not any(each is self for each in begun):
            begun.append(self)
        start(self, *args)

    return noted


TestRecorders = Recorders.TestCase
TestRecorders.settings = examples(150)
