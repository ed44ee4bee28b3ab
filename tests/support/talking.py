"""People who talk on a scripted clock, recorded with a stem of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roomtape import AudioRecorder, AudioRecordingConfiguration, RecordingReport
from roomtape.storage.disk import Disk
from roomtape.types import Pcm
from roomtape.types.clock import ScriptedClock

RATE = 48000


class Talking:
    """Participants who come, speak and go."""

    def __init__(
        self, path: Path, *, disk: Disk | None = None, on_event: Any = None, **config: Any
    ) -> None:
        self.clock = ScriptedClock()
        settings = {"sample_rate": RATE, "stems": path.parent / "stems"} | config
        self.recorder = AudioRecorder(
            AudioRecordingConfiguration(path, **settings),
            on_event=on_event,
            clock=self.clock,
            disk=disk,
        )
        self._speaking: dict[Any, tuple[Pcm, int, int]] = {}

    def join(self, name: str, voice: Pcm, rate: int | None = None, *, local: bool = False) -> Any:
        source = self.recorder.add_source(name, local=local)
        self._speaking[source] = (voice, rate or RATE, 0)
        return source

    def leave(self, source: Any) -> None:
        del self._speaking[source]
        source.close()

    async def talk(self, seconds: float) -> None:
        for _ in range(round(seconds * 5)):
            for source, (voice, rate, at) in self._speaking.items():
                stop = at + rate // 5
                source.push(voice[at:stop], rate, at)
                self._speaking[source] = (voice, rate, stop)
            await self.clock.advance(0.2)

    async def end(self) -> RecordingReport:
        return await self.recorder.stop()
