"""One source on a scripted clock, and what became of what it pushed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roomtape import AudioRecorder, AudioRecordingConfiguration, Source
from roomtape.types import (
    AudioRecordingWarning,
    Pcm,
    RecordingEvent,
    RecordingReport,
    SourceReport,
)
from roomtape.types.clock import ScriptedClock

from .readers import read_all

RATE = 16000


@dataclass
class Recording:
    """One source on a scripted clock."""

    recorder: AudioRecorder
    clock: ScriptedClock
    source: Source
    events: list[RecordingEvent]

    async def until(self, at_s: float) -> None:
        await self.clock.advance(at_s - self.clock.now_ns() / 1e9)

    async def finish(self) -> tuple[Pcm, SourceReport]:
        self.whole: RecordingReport = await self.recorder.stop()
        return read_all(self.recorder.path)[0], self.whole.sources[0]

    @property
    def warnings(self) -> list[AudioRecordingWarning]:
        return [each.code for each in self.events if isinstance(each.code, AudioRecordingWarning)]


async def recording(path: Path, rate_hz: int = RATE, **source: Any) -> Recording:
    clock, events = ScriptedClock(), list[RecordingEvent]()
    config = AudioRecordingConfiguration(path / "a.wav", sample_rate=rate_hz)
    recorder = AudioRecorder(config, on_event=events.append, clock=clock)
    await recorder.start()
    return Recording(recorder, clock, recorder.add_source("alice", **source), events)
