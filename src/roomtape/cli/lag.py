"""How long a busy machine keeps a program waiting."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType

from ..types import NS_PER_S
from ..types.clock import Clock

_EVERY_NS = NS_PER_S // 100


class Lag:
    """Measures, as long as it is entered, how much later than it should the event loop wakes.

    Args:
        clock: Of the program.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._worst_ns = 0

    @property
    def worst_s(self) -> float:
        """The longest that it was kept waiting."""
        return self._worst_ns / NS_PER_S

    async def __aenter__(self) -> Lag:
        self._task = asyncio.get_running_loop().create_task(self._measure())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _measure(self) -> None:
        while True:
            due_ns = self._clock.now_ns() + _EVERY_NS
            await self._clock.sleep_until(due_ns)
            self._worst_ns = max(self._worst_ns, self._clock.now_ns() - due_ns)
