"""One recording after the other, in every format, each checked when it is finished."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random

from roomtape import (
    AudioRecordingCode,
    AudioRecordingConfiguration,
    ChannelEventCallback,
    RtcEngine,
)

from .lag import Lag
from .log import Log
from .verdict import Take, wrong_with


class Recordings(ChannelEventCallback):
    """What one engine records; also its callback.

    Args:
        engine: Joined already.
        directory: For the files.
        chance: Decides formats and lengths.
        lag: How late the event loop is.
        log: Told of what is wrong.
    """

    def __init__(
        self, engine: RtcEngine, directory: Path, *, chance: Random, lag: Lag, log: Log
    ) -> None:
        self.checked = 0
        self.recorded_s = 0.0
        self.present_s = 0.0
        """For how long speakers were there, over all whole recordings of them."""
        self.heard_s = 0.0
        """For how long audio of theirs came."""
        self._engine = engine
        self._directory = directory
        self._chance = chance
        self._lag = lag
        self._log = log
        self._number = 0
        self._takes: dict[str, Take] = {}

    # -- what the engine tells ----------------------------------------------------------------

    def on_audio_recording(self, code: AudioRecordingCode, file_path: str) -> None:
        take = self._takes[file_path]
        take.codes.append(code)
        if code is AudioRecordingCode.START:
            take.started_s = time.monotonic()
        else:
            take.finished_s = time.monotonic()
            take.report = self._engine.last_recording_report

    def on_audio_recording_warning(self, code: object, detail: str) -> None:
        self._log.say(f"warning: {detail}")

    def on_disconnect(self, reason: str) -> None:
        self._log.violate(f"the room was lost: {reason}")

    # -- what it is told ----------------------------------------------------------------------

    async def go_on(self, end_s: float) -> None:
        """Record until ``end_s`` of the monotonic clock; then wait for the last check."""
        checks: set[asyncio.Task[None]] = set()

        def check(take: Take, *, replaced: bool) -> None:
            task = asyncio.create_task(self._check(take, replaced=replaced))
            checks.add(task)
            task.add_done_callback(checks.discard)

        running: Take | None = None
        while time.monotonic() < end_s:
            take = self._next_take()
            if running is not None:
                running.stop_called_s = time.monotonic()
            code = await self._engine.start_audio_recording_with_config(take.config)
            if code != 0:
                self._log.violate(f"a recording could not start: {self._engine.last_error}")
                return
            if running is not None:
                check(running, replaced=True)
            long = self._chance.random() < 0.15
            share = self._chance.random()
            await asyncio.sleep(40 + 60 * share if long else 4 + 15 * share)
            running = take
            if self._chance.random() < 0.7:
                await self._stop(take)
                check(take, replaced=False)
                running = None
                await asyncio.sleep(self._chance.uniform(0, 2))
        if running is not None:
            await self._stop(running)
            check(running, replaced=False)
        await asyncio.gather(*checks)

    def _next_take(self) -> Take:
        self._number += 1
        suffix = self._chance.choice((".wav", ".aac"))
        config = AudioRecordingConfiguration(
            self._directory / f"{self._number:04}{suffix}",
            sample_rate=self._chance.choice((16000, 32000, 44100, 48000)),
            quality=self._chance.choice((0, 1, 2)),
            position=self._chance.choice((0, 0, 1, 2)),
            cycle_time=self._chance.choice((0, 0, 10, 60)),
            report=True,
        )
        take = self._takes[str(config.path)] = Take(config)
        return take

    async def _stop(self, take: Take) -> None:
        self._lag.recent_s = 0.0
        await asyncio.sleep(0)
        take.stop_called_s = time.monotonic()
        if await self._engine.stop_audio_recording() != 0:
            self._log.violate(f"{take.config.path.name}: {self._engine.last_error}")

    async def _check(self, take: Take, *, replaced: bool) -> None:
        take.lag_s = self._lag.recent_s
        path = take.config.path
        try:
            wrong = await asyncio.to_thread(wrong_with, take, replaced=replaced)
        except Exception as error:
            wrong = [f"cannot be checked: {error!r}"]
        for each in wrong:
            self._log.violate(f"{path.name}: {each}")
        self.checked += 1
        report = take.report
        if report is not None and not wrong:
            self.recorded_s += take.stop_called_s - take.started_s
            if not take.config.cycle_time and take.config.position != 1:
                for source in report.sources:
                    if not source.local:
                        self.present_s += source.left_s - source.joined_s
                        self.heard_s += source.received_s
            path.unlink()
            path.with_name(f"{path.name}.json").unlink()
        del self._takes[str(path)]
