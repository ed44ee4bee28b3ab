"""What a recording tells: events to whoever listens, warnings to the report as well."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

from ..types import AudioRecordingCode, AudioRecordingWarning, RecordingEvent

logger = logging.getLogger(__name__)

_MOST_WARNINGS = 1000

EventListener = Callable[[RecordingEvent], object]

_running: set[asyncio.Task[None]] = set()  # the event loop itself would forget them


def call_listener(listener: Callable[..., object], *args: object) -> None:
    """Call somebody's callback; what it raises is logged and harms nobody.

    An ``async`` one goes on as a task of its own: nobody waits for it.
    """
    try:
        answer = listener(*args)
    except Exception:
        logger.exception("a callback raised: %r", listener)
        return
    if inspect.isawaitable(answer):
        waiting = _awaited(listener, answer)
        try:
            task = asyncio.get_running_loop().create_task(waiting)
        except RuntimeError:  # the event loop has ended
            _drop(waiting, answer)
            logger.warning("a callback was not awaited, since no event loop runs: %r", listener)
            return
        _running.add(task)
        task.add_done_callback(_running.discard)


async def _awaited(listener: Callable[..., object], answer: Awaitable[object]) -> None:
    try:
        await answer
    except Exception:
        logger.exception("a callback raised: %r", listener)


def _drop(*coroutines: object) -> None:
    for each in coroutines:
        if isinstance(each, Coroutine):
            each.close()


class EventFeed:
    """Delivers events in order, on the caller's thread.

    Args:
        path: The recording; what is told from then on is about :attr:`path`.
        listener: Who is told; None for nobody. It may be ``async``.
    """

    def __init__(self, path: Path, listener: EventListener | None) -> None:
        self.path = path
        """Where it goes now."""
        self._listener = listener
        self.warnings: list[str] = []
        """All of them, each with its time; for the report."""

    def tell(
        self,
        code: AudioRecordingCode | AudioRecordingWarning,
        detail: str = "",
        *,
        path: str | None = None,
    ) -> None:
        """Deliver one event, of the recording or of what it is called now."""
        if self._listener is not None:
            call_listener(self._listener, RecordingEvent(code, path or str(self.path), detail))

    def note(self, at_s: float, detail: str) -> None:
        """Keep a warning for the report."""
        if len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append(f"{at_s:.1f} s: {detail}")

    def warn(self, at_s: float, code: AudioRecordingWarning, detail: str) -> None:
        """Deliver a warning, and keep it."""
        self.note(at_s, detail)
        self.tell(code, detail)
