"""Going live from a cyclic recording while ``roomtape record`` runs, and back: on the key ``l``,
and on SIGUSR2."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ...types import ErrorCode

if TYPE_CHECKING:
    from ...engine import RtcEngine
    from ..telling import Teller


class Promoter:
    """Makes a cyclic recording live, and cyclic again.

    Args:
        engine: Whose recording.
        teller: Who hears of it.
    """

    def __init__(self, engine: RtcEngine, teller: Teller) -> None:
        self._engine = engine
        self._teller = teller
        self._tasks: set[asyncio.Task[None]] = set()

    def turn(self) -> None:
        """Now, into what it is not."""
        task = asyncio.get_running_loop().create_task(self._turn())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self) -> None:
        """For what is still turning; the recording is over, so that is not long."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def _turn(self) -> None:
        engine = self._engine
        recorder = engine.recorder
        if recorder is None or not recorder.recording:
            return
        if recorder.cyclic:
            code = await engine.promote_audio_recording()
        elif recorder.config.cycle_time:
            code = await engine.demote_audio_recording()
        else:
            self._teller.not_turned("it is no cyclic recording (--cycle-time)")
            return
        if code is not ErrorCode.OK:
            self._teller.not_turned(engine.last_error)
