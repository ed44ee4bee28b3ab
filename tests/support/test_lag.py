"""Only what the machine did to a test is forgiven, never what the test did to itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support import lag as lag_module
from support.lag import Lag, measured_lag

_SPIN = "import os; os.sched_setaffinity(0, {%d})\nwhile True: pass"


@contextmanager
def others_on(processor: int, count: int) -> Iterator[None]:
    """So many programs that never rest, on one processor."""
    command = [sys.executable, "-S", "-c", _SPIN % processor]
    others = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for each in others:
            each.kill()
            each.wait()


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@pytest.mark.slow
def test_waiting_for_a_processor_is_measured() -> None:
    mine = os.sched_getaffinity(0)
    processor = min(mine)
    try:
        with others_on(processor, 4):
            os.sched_setaffinity(0, {processor})
            with measured_lag() as lag:
                spin(2.0)
    finally:
        os.sched_setaffinity(0, mine)
    assert lag.worst_s > 0.5
    assert lag.late_s == lag.worst_s


@pytest.mark.slow
def test_what_a_child_waits_for_is_measured_too() -> None:
    processor = min(os.sched_getaffinity(0))
    with others_on(processor, 4), measured_lag() as lag:
        # The others are children of this test as well: what they wait for counts like any wait.
        time.sleep(2.0)
    assert lag.worst_s > 0.5


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What the kernel is to say of each thread, in nanoseconds."""
    waits: dict[str, int] = {"1": 0}
    monkeypatch.setattr(lag_module, "_waits_ns", lambda: dict(waits))
    return waits


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(lag_module.time, "monotonic", lambda: now[0])
    return now


def play(waits: dict[str, int], clock: list[float], waited_s: list[float]) -> Lag:
    """Look ten times a second at a thread that waits so long in each tenth."""
    lag = Lag()
    for each in waited_s:
        clock[0] += 0.1
        waits["1"] += round(each * 1e9)
        lag.look()
    return lag


def test_a_thread_that_never_waits_costs_nothing(waits, clock) -> None:
    lag = play(waits, clock, [0.0] * 10)
    assert (lag.worst_s, lag.late_s) == (0, 0)


def test_waits_between_which_there_is_time_to_catch_up_do_not_add_up(waits, clock) -> None:
    lag = play(waits, clock, [0.02] * 50)
    assert lag.worst_s == pytest.approx(0.02)
    assert lag.late_s == 0


def test_waits_without_a_rest_add_up(waits, clock) -> None:
    lag = play(waits, clock, [0.0, 0.08, 0.09, 0.08, 0.09, 0.09, 0.07, 0.0, 0.05])
    assert lag.worst_s == pytest.approx(0.5)
    assert lag.late_s == lag.worst_s


def test_a_thread_that_is_new_has_waited_since_it_began(waits, clock) -> None:
    lag = Lag()
    clock[0] += 0.1
    waits["2"] = 60_000_000
    lag.look()
    assert lag.worst_s == pytest.approx(0.06)


def test_a_thread_that_cannot_be_seen_for_a_moment_is_not_new_afterwards(waits, clock) -> None:
    waits["1"] = 10**12
    lag = Lag()
    before = waits.pop("1")
    lag.look()
    waits["1"] = before
    lag.look()
    assert lag.worst_s == 0


def test_the_worse_of_two_lags_is_what_counts(waits, clock) -> None:
    lag, other = Lag(), Lag()
    lag.worst_s, other.worst_s = 0.1, 0.3
    lag.include(other)
    other.include(lag)
    assert (lag.worst_s, other.worst_s) == (0.3, 0.3)
