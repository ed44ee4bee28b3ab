"""One beat for many recorders."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise

import pytest

from roomtape.recording.scheduler import TICK_NS, Scheduler
from roomtape.types import NS_PER_S
from roomtape.types.clock import SYSTEM_CLOCK, ScriptedClock

STEP_S = TICK_NS / NS_PER_S


async def test_everybody_is_called_five_times_a_second_until_it_stops() -> None:
    clock = ScriptedClock()
    heard: dict[int, list[int]] = {number: [] for number in range(7)}
    beats = [Scheduler.shared(clock).add(heard[number].append) for number in heard]
    await clock.advance(10)
    beats[0].stop()
    before = len(heard[0])
    await clock.advance(1)
    for times in heard.values():
        assert len(times) in ((before,) if times is heard[0] else (54, 55))
        assert {b - a for a, b in pairwise(times)} == {TICK_NS}
    for beat in beats[1:]:
        beat.stop()
        beat.stop()
    await clock.advance(1)
    assert max(map(len, heard.values())) <= 55


async def test_a_loop_that_was_blocked_is_made_up_for_at_twice_the_speed() -> None:
    clock, heard = ScriptedClock(), []
    beat = Scheduler.shared(clock).add(lambda until_ns: heard.append((clock.now_ns(), until_ns)))
    await clock.advance(2)
    clock._now_ns += 3 * NS_PER_S  # nobody was woken meanwhile
    await clock.advance(6)
    beat.stop()
    behind_s = [(now - until) / NS_PER_S for now, until in heard]
    stall = behind_s.index(max(behind_s))
    assert behind_s[:stall] == [0] * stall
    assert behind_s[stall] == pytest.approx(3, abs=2 * STEP_S)
    # Back with the clock after as long as it was blocked.
    assert heard[stall][0] / NS_PER_S == pytest.approx(5, abs=STEP_S)
    caught_up = next(now for now, until in heard[stall:] if now == until)
    assert caught_up / NS_PER_S == pytest.approx(7.7, abs=2 * STEP_S)
    assert behind_s[-3:] == [0] * 3


async def test_a_machine_that_is_always_too_slow_is_not_waited_for() -> None:
    clock, heard = ScriptedClock(), []
    beat = Scheduler.shared(clock).add(lambda until_ns: heard.append(clock.now_ns() - until_ns))
    await clock.advance(1)
    for _ in range(30):
        clock._now_ns += NS_PER_S // 2  # each turn of the loop takes half a second
        await clock.advance(0.05)
    beat.stop()
    assert max(heard) < 2 * NS_PER_S
    assert heard[-1] == 0


@pytest.mark.realtime
async def test_nobody_is_called_twice_at_once_and_one_that_is_slow_holds_up_no_other() -> None:
    release, inside, others = threading.Event(), [], []

    def slow(until_ns: int) -> None:
        inside.append(until_ns)
        assert release.wait(120)

    ticker = Scheduler.shared(SYSTEM_CLOCK)
    beats = [ticker.add(slow), *(ticker.add(others.append) for _ in range(3))]
    try:
        async with asyncio.timeout(120):
            while len(others) < 6 or not inside:  # noqa: ASYNC110
                await asyncio.sleep(STEP_S / 10)
        await asyncio.sleep(2 * STEP_S)
        assert len(inside) == 1
    finally:
        release.set()
        for beat in beats:
            beat.stop()


async def test_recorders_of_one_clock_share_one_and_none_is_left_behind() -> None:
    clock = ScriptedClock()
    ticker = Scheduler.shared(clock)
    beat = ticker.add(lambda until_ns: None)
    assert Scheduler.shared(clock) is ticker
    assert Scheduler.shared(ScriptedClock()) is not ticker
    beat.stop()
    await clock.advance(1)
    assert Scheduler.shared(clock) is not ticker


async def test_one_that_stopped_and_comes_again_is_heard_as_before() -> None:
    clock, heard = ScriptedClock(), []
    ticker = Scheduler.shared(clock)
    ticker.add(heard.append).stop()
    beat = ticker.add(heard.append)  # before the ticker has noticed that nobody was left
    await clock.advance(2)
    beat.stop()
    assert {b - a for a, b in pairwise(heard)} == {TICK_NS}
    assert len(heard) in (9, 10)


async def test_whoever_cancels_every_task_does_not_silence_it() -> None:
    clock, heard = ScriptedClock(), []
    beat = Scheduler.shared(clock).add(heard.append)
    await clock.advance(1)
    before = len(heard)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await clock.advance(1)
    beat.stop()
    assert len(heard) == before + 5
