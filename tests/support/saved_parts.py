"""Recordings of noise on a scripted clock that parts are saved of, and what each part must hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from roomtape import AudioRecorder, AudioRecordingConfiguration, RecordingEvent, RecordingReport
from roomtape.storage.disk import Disk
from roomtape.types import Pcm
from roomtape.types.clock import ScriptedClock

from .damage import adts_offsets
from .signals import noise

RATE = 16000
FRAME = 1024


class Take:
    """Recorders that hear the same noise on one clock.

    Args:
        seconds: How much noise there is before it begins anew.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        self.clock = ScriptedClock()
        self.recorders: list[AudioRecorder] = []
        self.events: list[RecordingEvent] = []
        self._sources: list[Any] = []
        self._noise = noise(7, seconds, RATE)
        self._heard = 0  # samples

    @property
    def now(self) -> int:
        """The sample of this moment."""
        return round(self.clock.now_ns() * RATE / 1e9)

    async def record(self, path: Path, *, disk: Disk | None = None, **config: Any) -> AudioRecorder:
        """One more, from now on."""
        recorder = AudioRecorder(
            AudioRecordingConfiguration(path, sample_rate=RATE, **config),
            on_event=self.events.append,
            clock=self.clock,
            disk=disk,
        )
        await recorder.start()
        self._sources.append(recorder.add_source("alice"))
        self.recorders.append(recorder)
        return recorder

    async def go_on(self, seconds: float) -> None:
        """Hear noise for so long, in pieces of half a second or less."""
        stop = self.now + round(seconds * RATE)
        while self._heard < stop:
            count = min(RATE // 2, stop - self._heard)
            for source in self._sources:
                source.push(self.heard(self._heard, count), RATE, self._heard)
            self._heard += count
            await self.clock.advance((self._heard - self.now) / RATE)

    def heard(self, first: int, count: int) -> Pcm:
        """What was said in these samples."""
        return self._noise[np.arange(first, first + count) % len(self._noise)]

    async def stop(self) -> list[RecordingReport]:
        """All of them."""
        return [await recorder.stop() for recorder in self.recorders]

    async def answer(
        self, saving: Coroutine[Any, Any, RecordingReport], *, within_s: float = 1.0
    ) -> RecordingReport:
        """What a save gives, when the noise has gone on for as long as it needs."""
        task = asyncio.ensure_future(saving)
        await asyncio.sleep(0)
        await self.go_on(within_s)
        return await asyncio.wait_for(task, 60)


@asynccontextmanager
async def take_of(
    path: Path, *, disk: Disk | None = None, **config: Any
) -> AsyncIterator[tuple[Take, AudioRecorder]]:
    """One recording, which is stopped if it was not."""
    take = Take()
    recorder = await take.record(path, disk=disk, **config)
    try:
        yield take, recorder
    finally:
        if not recorder.over:
            await recorder.stop()


def samples_of(path: Path) -> Pcm:
    """A WAV file of ours, past its header."""
    return np.frombuffer(path.read_bytes()[80:], "<i2")


def frames_of(path: Path) -> list[bytes]:
    """The ADTS frames of a file."""
    data = path.read_bytes()
    borders = [*adts_offsets(path), len(data)]
    return [data[start:stop] for start, stop in pairwise(borders)]


def decoded(path: Path) -> Pcm:
    """An AAC file as FFmpeg decodes it."""
    with av.open(str(path)) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])


def report_beside(path: Path) -> dict[str, Any]:
    """The report that lies beside a file."""
    said: dict[str, Any] = json.loads(path.with_name(path.name + ".json").read_text())
    return said


def content(path: Path) -> bytes:
    """What was recorded: the samples, or the frames without the mark that the first one has."""
    if path.suffix == ".wav":
        return path.read_bytes()[80:]
    return b"".join([_unmarked(frame) for frame in frames_of(path)])


def _unmarked(frame: bytes) -> bytes:
    mark = b"\x80\x10ROOMTAPE LIVE 1\n"
    if frame[7 : 7 + len(mark)] != mark:
        return frame
    length = len(frame) - len(mark)
    head = bytearray(frame[:7])
    head[3] = head[3] & ~3 | length >> 11
    head[4] = length >> 3 & 0xFF
    head[5] = head[5] & 0x1F | (length & 7) << 5
    return bytes(head) + frame[7 + len(mark) :]
