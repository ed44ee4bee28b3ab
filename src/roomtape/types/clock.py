"""Where time comes from: the machine's clock, or a script.

Everything that needs the time takes a :class:`Clock`; nothing in the package reads one by
itself. So an hour of a call can be played in seconds, the same each time. Work that takes time goes
through the clock as well: on the machine's it runs on other threads, in a script right then.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

from .audio import NS_PER_S


class Clock(Protocol):
    """A monotonic clock with a known UTC time."""

    threads: bool
    """Whether work goes on beside the event loop; in a script everything happens in order."""

    def now_ns(self) -> int:
        """Monotonic nanoseconds; thread-safe."""
        ...

    def utc(self) -> datetime:
        """The UTC time now (timezone-aware)."""
        ...

    async def sleep_until(self, deadline_ns: int) -> None:
        """Return when ``now_ns()`` has reached ``deadline_ns``, at once if it has."""
        ...

    def call_at(self, deadline_ns: int, function: Callable[[], None]) -> None:
        """Have the running event loop call ``function`` then."""
        ...

    def start(self, work: Callable[[], None]) -> None:
        """Have ``work`` done away from the event loop; it must not raise.

        Raises:
            RuntimeError: There is no thread to be had.
        """
        ...

    def slept_ns(self) -> int:
        """For how long the machine was suspended so far, which :meth:`now_ns` leaves out."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    threads = True
    now_ns = staticmethod(time.monotonic_ns)  # it is called for every frame

    def utc(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, deadline_ns: int) -> None:
        await asyncio.sleep(max(0, deadline_ns - time.monotonic_ns()) / NS_PER_S)

    def call_at(self, deadline_ns: int, function: Callable[[], None]) -> None:
        delay_s = max(0, deadline_ns - time.monotonic_ns()) / NS_PER_S
        asyncio.get_running_loop().call_later(delay_s, function)

    def start(self, work: Callable[[], None]) -> None:
        _pool().submit(work)

    def slept_ns(self) -> int:
        if not hasattr(time, "CLOCK_BOOTTIME"):  # Linux has it
            return 0
        # Read one after the other, they differ by a little even where there was no sleep.
        return max(0, time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns())


SYSTEM_CLOCK = SystemClock()
"""The one that everybody has who names none, so that they share what hangs on a clock."""


class ScriptedClock:
    """A clock that moves only when it is told to.

    :meth:`advance` wakes sleepers in the order of their deadlines, with ``now_ns()`` at each
    one's own deadline, and gives every woken task the event loop before it goes on.
    """

    threads = False

    def __init__(self, *, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now_ns = self._slept_ns = 0
        self._start = start
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now_ns(self) -> int:
        return self._now_ns

    def utc(self) -> datetime:
        return self._start + timedelta(microseconds=self._now_ns / 1000)

    async def sleep_until(self, deadline_ns: int) -> None:
        if deadline_ns <= self._now_ns:
            await asyncio.sleep(0)
            return
        await self._waker(deadline_ns)

    def call_at(self, deadline_ns: int, function: Callable[[], None]) -> None:
        self._waker(max(deadline_ns, self._now_ns)).add_done_callback(lambda _: function())

    def start(self, work: Callable[[], None]) -> None:
        work()

    def slept_ns(self) -> int:
        return self._slept_ns

    def suspend(self, seconds: float) -> None:
        """The machine sleeps for so long: the wall clock goes on, and :meth:`now_ns` does not."""
        slept_ns = round(seconds * NS_PER_S)
        self._slept_ns += slept_ns
        self._start += timedelta(microseconds=slept_ns / 1000)

    def _waker(self, deadline_ns: int) -> asyncio.Future[None]:
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (deadline_ns, next(self._order), wake))
        return wake

    async def advance(self, seconds: float) -> None:
        """Move on by ``seconds``, waking everybody whose deadline comes by."""
        target_ns = self._now_ns + round(seconds * NS_PER_S)
        await _let_tasks_run()
        while self._sleepers and self._sleepers[0][0] <= target_ns:
            deadline_ns, _, wake = heapq.heappop(self._sleepers)
            self._now_ns = max(self._now_ns, deadline_ns)
            if not wake.done():
                wake.set_result(None)
                await _let_tasks_run()
        self._now_ns = target_ns
        await _let_tasks_run()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """One pool for everybody."""
    return ThreadPoolExecutor(usable_cores(), thread_name_prefix="roomtape-work")


if hasattr(os, "register_at_fork"):
    # The parent's threads are not in the child, and its executor would wait for them for ever.
    os.register_at_fork(after_in_child=_pool.cache_clear)


def usable_cores() -> int:
    """As many threads can do work at once; more would only take it from each other."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


async def _let_tasks_run() -> None:
    # A woken task reaches its next sleep within a few turns of the loop.
    for _ in range(4):
        await asyncio.sleep(0)
