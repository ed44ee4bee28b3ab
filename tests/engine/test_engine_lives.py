"""Engines in every order of calls: see ``support/lives.py`` for what holds always."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from roomtape import (
    AudioRecordingConfiguration,
    ChannelEventCallback,
    ErrorCode,
    PushedAudio,
    RtcEngine,
)
from roomtape.rooms import MemoryRoom
from support.examples import examples
from support.lives import (
    ERROR,
    FINISH,
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

pytestmark = pytest.mark.slow


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
        channels=st.sampled_from([1, 2]),
        stems=st.booleans(),
        split_s=st.sampled_from([None, None, 1, 0]),
        consent=st.sampled_from(["not_asked", "required", ""]),
        beep_s=st.sampled_from([None, None, 1, 0]),
        cancelled_after=few,
    )
    def start(
        self, index, name, cycle_time, channels, stems, split_s, consent, beep_s, cancelled_after
    ):
        engine, _, world, _ = self.engines[index]
        config = AudioRecordingConfiguration(
            f"{self.directory}/{index}{name}",
            sample_rate=RATE,
            cycle_time=cycle_time,
            channels=channels,
            stems=f"{self.directory}/stems-{index}" if stems else None,
            split_s=split_s,
            consent=consent,
            beep_s=beep_s,
            report=True,
        )
        code = world.run(engine.start_audio_recording_with_config(config), cancelled_after)
        assert isinstance(code, ErrorCode | asyncio.CancelledError)
        if code is ErrorCode.OK and not self.harmed:
            assert engine.recorder is not None or self.told[index].codes[-1] in (FINISH, ERROR)

    @rule(index=st.integers(0, 1), cancelled_after=few)
    def stop(self, index, cancelled_after):
        engine, _, world, _ = self.engines[index]
        world.run(engine.stop_audio_recording(), cancelled_after)

    @rule(
        index=st.integers(0, 1),
        who=st.sampled_from(["bob", None]),
        mode=st.sampled_from(["silence", "tone", "skip", "", None]),
        resumes=st.booleans(),
    )
    def decide(self, index, who, mode, resumes):
        engine, _, world, _ = self.engines[index]
        for call in (engine.exclude_participant(who), engine.include_participant(who)):
            assert isinstance(world.run(call), ErrorCode)
        for call in (engine.mask_participant(who), engine.unmask_participant(who)):
            assert isinstance(world.run(call), ErrorCode)
        for call in (engine.agree_participant(who), engine.withdraw_participant(who)):
            assert isinstance(world.run(call), ErrorCode)
        assert isinstance(world.run(engine.set_local_consent(resumes)), ErrorCode)
        assert isinstance(world.run(engine.pause_audio_recording(mode)), ErrorCode)
        if resumes:
            assert isinstance(world.run(engine.resume_audio_recording()), ErrorCode)

    @rule(index=st.integers(0, 1), who=st.sampled_from(["bob", None]), cancelled_after=few)
    def forget(self, index, who, cancelled_after):
        engine, _, world, _ = self.engines[index]
        self._begin(world, engine.forget_participant(who), cancelled_after)

    @rule(index=st.integers(0, 1), at=st.sampled_from([None, 0, 1e9, "x"]))
    def mark(self, index, at):
        engine, _, world, _ = self.engines[index]
        code = world.run(engine.mark_audio_recording("here", at))
        assert isinstance(code, ErrorCode)

    @rule(
        index=st.integers(0, 1),
        name=st.sampled_from(["saved.wav", "saved.aac", "missing/a.wav"]),
        then_s=st.sampled_from([0, 2.5]),
        cancelled_after=few,
    )
    def save(self, index, name, then_s, cancelled_after):
        engine, _, world, _ = self.engines[index]
        path = f"{self.directory}/{index}{name}"
        self._begin(world, engine.save_audio_recording(path, 3, then_s), cancelled_after)

    @rule(
        index=st.integers(0, 1),
        name=st.sampled_from([None, "live.wav", "live.aac", "missing/a.wav"]),
        cancelled_after=few,
    )
    def promote(self, index, name, cancelled_after):
        engine, _, world, _ = self.engines[index]
        path = name and f"{self.directory}/{index}{name}"
        self._begin(world, engine.promote_audio_recording(path), cancelled_after)

    @rule(index=st.integers(0, 1), cycle_time=st.sampled_from([None, 10, 7]), cancelled_after=few)
    def demote(self, index, cycle_time, cancelled_after):
        engine, _, world, _ = self.engines[index]
        self._begin(world, engine.demote_audio_recording(cycle_time), cancelled_after)

    @rule(index=st.integers(0, 1), cycle_time=st.sampled_from([0, 10]), then=st.booleans())
    def record_and_turn(self, index, cycle_time, then):
        """What is rarely come by: all of it in one go."""
        engine, _, world, _ = self.engines[index]
        config = AudioRecordingConfiguration(
            f"{self.directory}/{index}turned.wav", sample_rate=RATE, cycle_time=cycle_time
        )
        world.run(engine.join_channel(None, "standup", "me"))
        world.run(engine.start_audio_recording_with_config(config))
        world.run(world.clock.advance(1))
        self._begin(world, engine.promote_audio_recording(), 12)
        self._begin(world, engine.demote_audio_recording(10), 12)
        if then:
            world.run(world.clock.advance(1.5))

    def _begin(self, world, call, cancelled_after):
        """Begin what takes time that comes later, or never."""

        async def begun() -> None:
            task = asyncio.ensure_future(call)
            task.add_done_callback(
                lambda done: done.cancelled() or isinstance(done.result(), ErrorCode)
            )
            for _ in range(cancelled_after):
                await asyncio.sleep(0)
            if cancelled_after < 12:
                task.cancel()

        world.run(begun())

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

    @rule(index=st.integers(0, 1), agrees=st.booleans())
    def somebody_says_whether_it_agrees(self, index, agrees):
        _, room, _, _ = self.engines[index]
        room.agree("bob", agrees=agrees)

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


TestEngines = Engines.TestCase
TestEngines.settings = examples(150)
