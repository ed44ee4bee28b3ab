"""Forgetting participants while ``roomtape record`` runs: on the key ``f``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...types import ErrorCode

if TYPE_CHECKING:
    from ...engine import RtcEngine
    from ..telling import Teller


class Forgetter:
    """Removes the voices of some from what is held, and records them no more.

    Args:
        engine: Whose recording.
        names: Of the participants.
        teller: Who hears of it.
    """

    def __init__(self, engine: RtcEngine, names: Sequence[str], teller: Teller) -> None:
        self._engine = engine
        self._names = names
        self._teller = teller
        self._tasks: set[asyncio.Task[None]] = set()

    def forget(self) -> None:
        """Now."""
        if not self._names:
            self._teller.not_forgotten("--forget says whom")
            return
        task = asyncio.get_running_loop().create_task(self._forget())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self) -> None:
        """For what is still being forgotten; the recording is over, so that is not long."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _forget(self) -> None:
        engine = self._engine
        for name in self._names:
            code = await engine.forget_participant(name, by="key f")
            forgotten = engine.last_forgotten
            if code is ErrorCode.OK and forgotten is not None:
                self._teller.forgotten(name, forgotten)
            else:
                self._teller.not_forgotten(engine.last_error)
