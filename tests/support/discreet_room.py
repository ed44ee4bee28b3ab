"""A recording in which what must not be recorded can be found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from roomtape import AudioRecorder, AudioRecordingConfiguration, RecordingReport
from roomtape.storage.disk import Disk
from roomtape.types import Pcm
from roomtape.types.clock import ScriptedClock

from .readers import read_all

RATE = 16000
STEP = RATE // 10
SECRET = 12345
"""What nobody else says, in runs of constant samples: any of it is found again."""
PUBLIC = 20


class Room:
    """A recording on a scripted clock, in which each says its own constant."""

    def __init__(self, path: Path, disk: Disk | None = None, **config: Any) -> None:
        self.clock = ScriptedClock()
        self.warnings: list[str] = []
        self.recorder = AudioRecorder(
            AudioRecordingConfiguration(path, sample_rate=RATE, **config),
            clock=self.clock,
            disk=disk,
            on_event=lambda event: self.warnings.append(event.code.name),
        )
        self.sources: dict[str, Any] = {}
        self.said = 0

    def join(self, name: str) -> None:
        self.sources[name] = self.recorder.add_source(name)

    async def go_on(self, steps: int, **values: int) -> None:
        """Everybody speaks for so many tenths of a second."""
        for _ in range(steps):
            for name, source in self.sources.items():
                value = values.get(name, PUBLIC)
                source.push(np.full(STEP, value, np.int16), RATE, self.said)
            self.said += STEP
            await self.clock.advance(0.1)

    async def stop(self) -> tuple[Pcm, RecordingReport]:
        report = await self.recorder.stop()
        return read_all(report.file_path)[0], report


def holds_secret(pcm: Pcm) -> bool:
    return bool(np.any(np.abs(pcm.astype(int)) > SECRET // 2))
