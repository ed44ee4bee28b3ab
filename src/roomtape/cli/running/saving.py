"""Saving the last seconds while ``roomtape record`` runs: on the key ``s``, and on SIGUSR1."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ...types import ErrorCode

if TYPE_CHECKING:
    from ...engine import RtcEngine
    from ..telling import Teller


class Saver:
    """Saves beside the recording, as ``call.saved-1.wav`` and so on.

    Args:
        engine: Whose recording.
        output: The recording.
        last_s, then_s: How much before and after the moment.
        teller: Who hears of it.
    """

    def __init__(
        self, engine: RtcEngine, output: Path, last_s: float, then_s: float, teller: Teller
    ) -> None:
        self._engine = engine
        self._output = output
        self._last_s = last_s
        self._then_s = then_s
        self._teller = teller
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def save(self) -> None:
        """Now."""
        task = asyncio.get_running_loop().create_task(self._save(self._free_path()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self) -> None:
        """For what is still being saved; the recording is over, so that is not long."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _free_path(self) -> Path:
        output = self._output
        for number in self._numbers:
            path = output.with_name(f"{output.stem}.saved-{number}{output.suffix}")
            if not os.path.lexists(path):
                return path
        raise AssertionError("the numbers do not end")

    async def _save(self, path: Path) -> None:
        engine = self._engine
        code = await engine.save_audio_recording(str(path), self._last_s, self._then_s)
        report = engine.last_save_report
        if code is ErrorCode.OK and report is not None:
            self._teller.saved(report)
        else:
            self._teller.not_saved(str(path), engine.last_error)
