"""One recording on a scripted clock: seconds of it take milliseconds, the same each time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.storage.disk import Disk
from roomtape.types import (
    AudioRecordingCode,
    AudioRecordingWarning,
    RecordingEvent,
    RecordingReport,
)
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import FileError, OpenFileError, StateError

from .signals import noise

_STEP_S = 0.2
_HANG_S = 120.0


@dataclass(frozen=True)
class Outcome:
    """What became of a recording.

    Attributes:
        events: All, in order.
        report: None if it never started.
        refused: Why it did not start; empty if it did.
    """

    events: list[RecordingEvent]
    report: RecordingReport | None
    refused: str

    @property
    def codes(self) -> list[AudioRecordingCode]:
        """The events that are no warnings."""
        return [each.code for each in self.events if isinstance(each.code, AudioRecordingCode)]

    @property
    def warnings(self) -> list[AudioRecordingWarning]:
        """The events that are."""
        return [each.code for each in self.events if isinstance(each.code, AudioRecordingWarning)]


def listing(directory: Path) -> list[Path]:
    """What is in a directory, sorted."""
    return sorted(directory.iterdir())


async def until(condition: Callable[[], bool], *, within_s: float = 120.0) -> None:
    """Wait, in real time, until something is true."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 (nothing tells when a file has changed)
            await asyncio.sleep(0.02)


async def record_scripted(
    path: Path, *, disk: Disk | None = None, seconds: float = 1.6, **config: Any
) -> Outcome:
    """Record noise from the first sample on; it must not hang, whatever the disk does."""
    clock, events = ScriptedClock(), list[RecordingEvent]()
    recorder = AudioRecorder(
        AudioRecordingConfiguration(path, **config),
        on_event=events.append,
        clock=clock,
        disk=disk,
    )
    async with asyncio.timeout(_HANG_S):
        try:
            await recorder.start()
        except OpenFileError as error:
            return Outcome(events, None, str(error))
        source = recorder.add_source("alice")
        pcm, step = noise(1, seconds, 48000), round(_STEP_S * 48000)
        for start in range(0, len(pcm), step):
            source.push(pcm[start : start + step], 48000, start)
            await clock.advance(len(pcm[start : start + step]) / 48000)
        try:
            await recorder.stop()
        except (FileError, StateError):
            await until(lambda: recorder.over)
    return Outcome(events, recorder.report, "")
