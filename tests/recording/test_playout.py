"""Bots: speech that is there before it is heard, and withdrawn when the caller interrupts."""

from __future__ import annotations

import asyncio
import itertools
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration, PlayoutSource
from roomtape.types import AudioRecordingPosition, IntervalKind, Pcm, RecordingReport
from roomtape.types.clock import SYSTEM_CLOCK, Clock, ScriptedClock
from support.lag import Lag
from support.readers import read_all
from support.scripted import spans
from support.signals import noise


@dataclass
class Listener:
    """Somebody who hears a bot: a queue that is played at the pace of speech, written down as what
    was heard at which sample."""

    clock: Clock
    rate_hz: int
    begun_ns: int
    end: int = 0
    heard: list[tuple[int, Pcm]] = field(default_factory=list)
    withdrawn: list[Pcm] = field(default_factory=list)

    @property
    def now(self) -> int:
        return (self.clock.now_ns() - self.begun_ns) * self.rate_hz // 10**9

    def push(self, pcm: Pcm) -> None:
        start = max(self.now, self.end)
        self.heard.append((start, pcm))
        self.end = start + len(pcm)

    def clear(self) -> int:
        now, before, self.end = self.now, self.end, min(self.end, self.now)
        kept = []
        for start, pcm in self.heard:
            until = max(0, min(len(pcm), now - start))
            if until:
                kept.append((start, pcm[:until]))
            if until < len(pcm):
                self.withdrawn.append(pcm[until:])
        self.heard = kept
        return max(0, before - now)

    def recording(self, length: int) -> Pcm:
        wanted = np.zeros(length, np.int16)
        for start, pcm in self.heard:
            piece = pcm[: max(0, length - start)]
            wanted[start : start + len(piece)] = piece
        return wanted


@dataclass
class Call:
    recorder: AudioRecorder
    clock: ScriptedClock
    bot: PlayoutSource
    listener: Listener

    def push(self, pcm: Pcm) -> None:
        self.bot.push(pcm, self.listener.rate_hz)
        self.listener.push(pcm)

    def clear(self) -> None:
        cleared_s = self.bot.clear()
        assert cleared_s == pytest.approx(self.listener.clear() / self.listener.rate_hz, abs=1e-4)

    async def say(self, pcm: Pcm, pace: float, chunk_s: float = 0.02) -> None:
        """Push chunk after chunk, ``pace`` times as fast as it is spoken."""
        size = round(chunk_s * self.listener.rate_hz)
        for low in range(0, len(pcm), size):
            piece = pcm[low : low + size]
            self.push(piece)
            if np.isfinite(pace):
                await self.clock.advance(len(piece) / self.listener.rate_hz / pace)

    @property
    def report(self) -> RecordingReport:
        assert self.recorder.report is not None
        return self.recorder.report


async def call(path: Path, rate_hz: int = 48000, **config: object) -> Call:
    clock = ScriptedClock()
    full = AudioRecordingConfiguration(path, **{"sample_rate": 48000, **config})  # type: ignore[arg-type]
    recorder = AudioRecorder(full, clock=clock)
    await recorder.start()
    bot = recorder.add_playout("bot", local=True)
    return Call(recorder, clock, bot, Listener(clock, rate_hz, clock.now_ns()))


@pytest.mark.parametrize("pace", [1.0, 1.1, 1.3, 2, 10, float("inf")])
@pytest.mark.parametrize("chunk_s", [0.02, 0.1, 1.7])
async def test_what_was_heard_stands_where_it_was_heard_and_nothing_else(
    tmp_path: Path, pace: float, chunk_s: float
):
    here = await call(tmp_path / "a.wav")
    seeds = itertools.count()
    await here.clock.advance(0.737)
    for pause_s, speech_s, interrupted_after_s in [
        (0.3, 2.0, None),
        (0.05, 1.0, 0.4),  # the caller interrupts in the midst of it
        (0.0, 0.7, None),  # and gets an answer at once
        (1.31, 3.0, 0.013),
        (2.0, 0.5, 2.5),  # when all was said: nothing is withdrawn
    ]:
        if pause_s:
            await here.clock.advance(here.bot.pending_s)
        await here.clock.advance(pause_s)
        await here.say(noise(next(seeds), speech_s), pace, chunk_s)
        if interrupted_after_s is not None:
            await here.clock.advance(interrupted_after_s)
            here.clear()
    await here.clock.advance(5.0)
    report = await here.recorder.stop()
    pcm, _ = read_all(tmp_path / "a.wav")
    # Who pushes at the pace of speech, in chunks that end late, is a few samples early or late.
    assert np.array_equal(pcm, here.listener.recording(len(pcm)))
    (bot,) = report.sources
    withdrawn_s = sum(map(len, here.listener.withdrawn)) / 48000
    heard_s = sum(len(piece) for _, piece in here.listener.heard) / 48000
    assert bot.received_s == pytest.approx(heard_s, abs=1e-3)
    assert bot.left_out.get("cleared", 0) == pytest.approx(withdrawn_s, abs=1e-3)
    assert (bot.lost_s, bot.late_s, bot.duplicate_s, bot.after_end_s) == (0, 0, 0, 0)
    assert not spans(bot, IntervalKind.STALLED)
    assert not report.warnings


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 44100, 48000])
@pytest.mark.parametrize("out_hz", [16000, 48000])
async def test_at_any_rate_it_stands_within_a_sample(tmp_path: Path, rate_hz: int, out_hz: int):
    here = await call(tmp_path / "a.wav", rate_hz, sample_rate=out_hz)
    click = np.zeros(rate_hz // 10, np.int16)
    click[rate_hz // 20] = 20000
    for after_s in (0.4, 0.33, 1.7):
        await here.clock.advance(after_s)
        here.push(click)
    await here.clock.advance(1.0)
    await here.recorder.stop()
    pcm, _ = read_all(tmp_path / "a.wav")
    for start, _ in here.listener.heard:
        at = round((start / rate_hz + 0.05) * out_hz)
        around = np.abs(pcm[at - 100 : at + 100].astype(int))
        assert abs(int(around.argmax()) - 100) <= 2
        assert around.max() > 5000 or rate_hz < out_hz


async def test_clear_withdraws_what_is_queued_far_ahead_and_keeps_what_is_not_mixed_yet(
    tmp_path: Path,
):
    here = await call(tmp_path / "a.wav")
    said = noise(1, 60.0)
    here.push(said)
    await here.clock.advance(0.25)  # heard, and half a second before it is mixed
    assert here.bot.pending_s == pytest.approx(59.75)
    assert here.bot.clear() == pytest.approx(59.75)
    assert here.bot.clear() == 0
    assert here.bot.pending_s == 0
    await here.clock.advance(2)
    report = await here.recorder.stop()
    pcm, _ = read_all(tmp_path / "a.wav")
    assert np.array_equal(pcm[:12000], said[:12000])
    assert not pcm[12000:].any()
    assert report.sources[0].left_out["cleared"] == pytest.approx(59.75)


async def test_at_the_end_the_rest_is_unheard(tmp_path: Path):
    here = await call(tmp_path / "a.wav")
    said = noise(1, 10.0)
    here.push(said)
    await here.clock.advance(3)
    report = await here.recorder.stop()
    pcm, _ = read_all(tmp_path / "a.wav")
    assert np.array_equal(pcm, said[: 3 * 48000])
    assert (report.sources[0].received_s, report.sources[0].after_end_s) == (3, 7)
    # Time goes on for whoever waits, and nothing is kept for it.
    assert here.bot.pending_s == 7
    waiting = asyncio.ensure_future(here.bot.wait())
    await here.clock.advance(6.9)
    assert not waiting.done()
    await here.clock.advance(0.2)
    assert waiting.done()
    here.bot.push(said, 48000)  # dropped
    assert here.bot.clear() == 0


async def test_waiting_ends_when_all_was_heard_or_withdrawn(tmp_path: Path):
    here = await call(tmp_path / "a.wav")
    await here.bot.wait()  # nothing waits
    here.push(noise(1, 2.0))
    waiting = [asyncio.ensure_future(here.bot.wait()) for _ in range(2)]
    await here.clock.advance(1)
    here.push(noise(2, 1.0))  # more of it
    await here.clock.advance(1.9)
    assert not any(each.done() for each in waiting)
    await here.clock.advance(0.2)
    assert all(each.done() for each in waiting)
    here.push(noise(3, 100.0))
    first, second = (asyncio.ensure_future(here.bot.wait()) for _ in range(2))
    await here.clock.advance(1)
    first.cancel()
    threading.Thread(target=here.bot.clear).start()
    async with asyncio.timeout(60):
        await second
    assert here.clock.now_ns() < 6e9
    await here.recorder.stop()


async def test_who_closes_is_heard_to_the_end_and_can_still_be_interrupted(tmp_path: Path):
    here = await call(tmp_path / "a.wav")
    said = noise(1, 3.0)
    here.push(said)
    here.bot.close()
    other = here.recorder.add_playout("other")
    other.push(noise(2, 3.0, dbfs=-20), 48000)
    other.close()
    other.push(noise(3, 3.0), 48000)  # after its end: dropped
    await here.clock.advance(1)
    assert other.clear() == 2
    await here.clock.advance(4)
    report = await here.recorder.stop()
    pcm, _ = read_all(tmp_path / "a.wav")
    assert np.array_equal(pcm[48000 : 3 * 48000], said[48000:])
    assert not pcm[3 * 48000 :].any()
    assert [round(each.left_s, 1) for each in report.sources] == [3.0, 1.0]
    assert [each.received_s for each in report.sources] == [3.0, 1.0]


async def test_what_is_being_said_when_the_recording_begins_is_in_it_from_there_on(tmp_path: Path):
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=48000)
    recorder = AudioRecorder(config, clock=clock)
    bot = recorder.add_playout("bot")
    said = noise(1, 5.0)
    bot.push(said, 48000)
    await clock.advance(2)
    await recorder.start()
    await clock.advance(4)
    await recorder.stop()
    pcm, _ = read_all(tmp_path / "a.wav")
    assert np.array_equal(pcm[: 3 * 48000], said[2 * 48000 :])
    assert not pcm[3 * 48000 :].any()


async def test_a_bot_that_the_position_leaves_out_keeps_its_pace(tmp_path: Path):
    position = AudioRecordingPosition.MIXED_PLAYBACK
    here = await call(tmp_path / "a.wav", position=position)
    here.push(noise(1, 2.0))
    await here.clock.advance(0.5)
    assert here.bot.pending_s == 1.5
    await here.clock.advance(2)
    assert here.bot.pending_s == 0
    report = await here.recorder.stop()
    assert not read_all(tmp_path / "a.wav")[0].any()
    assert not report.sources


async def test_another_rate_goes_on_where_the_one_before_ended(tmp_path: Path):
    here = await call(tmp_path / "a.wav")
    ones = {rate: np.full(rate // 2, 4000, np.int16) for rate in (48000, 24000, 16000, 48000)}
    await here.clock.advance(0.3)
    for _ in range(3):
        for rate, pcm in ones.items():
            here.bot.push(pcm, rate)
    await here.clock.advance(6)
    report = await here.recorder.stop()
    pcm, _ = read_all(tmp_path / "a.wav")
    loud = np.abs(pcm) > 2000
    begin, end = int(loud.argmax()), len(loud) - int(loud[::-1].argmax())
    assert abs(begin - 14400) <= 48
    assert abs(end - (14400 + round(4.5 * 48000))) <= 48
    assert loud[begin + 100 : end - 100].mean() > 0.99
    assert report.sources[0].received_s == pytest.approx(4.5, abs=0.01)


async def test_more_than_may_wait_is_refused_whole(tmp_path: Path):
    here = await call(tmp_path / "a.wav")
    with pytest.raises(ValueError, match=r"bot: 0.0 s of speech wait already, and at most 600 s"):
        here.bot.push(np.zeros(601 * 8000, np.int16), 8000)
    for _ in range(6):
        here.bot.push(np.ones(100 * 8000, np.int16), 8000)
    with pytest.raises(ValueError, match=r"bot: 600.0 s of speech wait already"):
        here.bot.push(np.ones(8000, np.int16), 8000)
    assert here.bot.pending_s == 600
    here.bot.clear()
    here.bot.push(np.ones(8000, np.int16), 8000)
    patient = here.recorder.add_playout("patient", max_queued_s=3600)
    patient.push(np.ones(3600 * 4000, np.int16), 4000)
    for wrong in (0, -1, float("nan"), 1e9):
        with pytest.raises(ValueError, match="max_queued_s"):
            here.recorder.add_playout("wrong", max_queued_s=wrong)
    await here.recorder.stop()


async def test_a_bot_is_in_time_beside_a_microphone(tmp_path: Path):
    """Whoever interrupts is recorded as well, and neither shifts the other."""
    here = await call(tmp_path / "a.wav")
    caller = here.recorder.add_source("caller")
    said = noise(5, 4.0, dbfs=-30)
    here.push(noise(6, 20.0, dbfs=-30))
    for low in range(0, len(said), 960):
        await here.clock.advance(0.02)
        caller.push(said[low : low + 960], 48000, low)
        if low == 96000:
            here.clear()
    await here.clock.advance(1)
    await here.recorder.stop()
    pcm, _ = read_all(tmp_path / "a.wav")
    # A frame is stamped when it comes, which is when it ended.
    expected = here.listener.recording(len(pcm)).astype(int)
    expected[960 : 960 + len(said)] += said
    assert np.array_equal(pcm, expected)


def test_any_thread_may_push_and_clear(tmp_path: Path):
    async def main() -> tuple[RecordingReport, float, float]:
        clock = ScriptedClock()
        config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=16000)
        pushed_s, cleared_s = [0.0] * 4, [0.0] * 4
        over = threading.Event()
        async with AudioRecorder(config, clock=clock) as recorder:
            bot = recorder.add_playout("bot")

            def work(index: int) -> None:
                while not over.is_set():
                    bot.push(np.ones(1600, np.int16), 16000)
                    pushed_s[index] += 0.1
                    if index == 0 and pushed_s[0] % 1 < 0.1:
                        cleared_s[0] += bot.clear()

            threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(100):
                await clock.advance(0.1)
            over.set()
            for thread in threads:
                thread.join()
        assert recorder.report is not None
        return recorder.report, sum(pushed_s), sum(cleared_s)

    report, pushed_s, cleared_s = asyncio.run(main())
    (bot,) = report.sources
    assert bot.left_out.get("cleared", 0) == pytest.approx(cleared_s, abs=0.01)
    total_s = bot.received_s + bot.left_out.get("cleared", 0) + bot.after_end_s
    assert total_s == pytest.approx(pushed_s, abs=0.02)


@pytest.mark.realtime
@pytest.mark.parametrize("pace", [1.1, 2.0, 10.0])
async def test_on_the_real_clock_it_stands_where_a_listener_heard_it(
    tmp_path: Path, pace: float, lag: Lag
):
    config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=48000)
    async with AudioRecorder(config) as recorder:
        begun_ns = SYSTEM_CLOCK.now_ns() - round(recorder.duration_s * 1e9)
        listener = Listener(SYSTEM_CLOCK, 48000, begun_ns)
        bot = recorder.add_playout("bot", local=True)
        for seed in range(4):
            await asyncio.sleep(0.1)
            burst = noise(seed, 0.4)
            for low in range(0, len(burst), 960):
                bot.push(burst[low : low + 960], 48000)
                listener.push(burst[low : low + 960])
                await asyncio.sleep(0.02 / pace)
            if seed == 2:
                bot.clear()
                listener.clear()
            await bot.wait()
        await asyncio.sleep(0.2)
    pcm, _ = read_all(tmp_path / "a.wav")
    slack = round((0.02 + lag.worst_s) * 48000)
    for at, said in [each for each in listener.heard if len(each[1]) == 960]:
        around = pcm[max(0, at - slack) : at + 960 + slack].astype(float)
        likeness = np.correlate(around, said.astype(float), "valid")
        assert likeness.max() > 0.5 * np.square(said.astype(float)).sum()
    for said in [each[-480:] for each in listener.withdrawn if len(each) == 960]:
        likeness = np.correlate(pcm.astype(float), said.astype(float), "valid")
        assert likeness.max() < 0.5 * np.square(said.astype(float)).sum()
