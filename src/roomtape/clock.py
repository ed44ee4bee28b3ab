"""Where time comes from: the machine's clock, or a script.

Everything that needs the time takes a :class:`Clock`; nothing in the package reads one by
itself. So an hour of a call can be played in seconds, the same each time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from .types import NS_PER_S


class Clock(Protocol):
    """A monotonic clock with a known UTC time."""

    def now_ns(self) -> int:
        """Monotonic nanoseconds; thread-safe."""
        ...

    def utc(self) -> datetime:
        """The UTC time now (timezone-aware)."""
        ...

    async def sleep_until(self, deadline_ns: int) -> None:
        """Return when ``now_ns()`` has reached ``deadline_ns``, at once if it has."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def utc(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, deadline_ns: int) -> None:
        await asyncio.sleep(max(0, deadline_ns - time.monotonic_ns()) / NS_PER_S)


class ScriptedClock:
    """A clock that moves only when it is told to.

    :meth:`advance` wakes sleepers in the order of their deadlines, with ``now_ns()`` at each
    one's own deadline, and gives every woken task the event loop before it goes on.
    """

    def __init__(self, *, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now_ns = 0
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
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (deadline_ns, next(self._order), wake))
        await wake

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


async def _let_tasks_run() -> None:
    # A woken task reaches its next sleep within a few turns of the loop.
    for _ in range(4):
        await asyncio.sleep(0)
