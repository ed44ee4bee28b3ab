"""Hearing of the end of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress


class LoopEnd:
    """Has ``on_end`` awaited when the running event loop is about to end, until :meth:`forget`.

    A loop tells nobody that it ends, but it lets each asynchronous generator that began on it clean
    up (:meth:`asyncio.loop.shutdown_asyncgens`, which :func:`asyncio.run` calls last of all, after
    it has cancelled every task). So one waits here for nothing else. A loop that is closed without
    that is not heard of.

    Args:
        on_end: Must not raise; what it awaits is waited for.
    """

    def __init__(self, on_end: Callable[[], Awaitable[None]]) -> None:
        self._on_end: Callable[[], Awaitable[None]] | None = on_end
        self._loop = asyncio.get_running_loop()
        self._waiting = self._wait()
        with suppress(StopIteration):  # run it to its yield
            self._waiting.__anext__().send(None)

    def forget(self) -> None:
        """It has nothing to tell any more. Any number of times, from any thread."""
        self._on_end = None
        with suppress(RuntimeError):  # the loop is closed, and has closed it
            self._loop.call_soon_threadsafe(self._close)

    def _close(self) -> None:
        with suppress(StopIteration, RuntimeError):  # it is being closed by the loop right now
            self._waiting.aclose().send(None)

    async def _wait(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if self._on_end is not None:
                await self._on_end()
