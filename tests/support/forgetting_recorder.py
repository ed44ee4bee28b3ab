"""A recorder to be killed: ``python forgetting_recorder.py DIRECTORY SEED``.

It records somebody who says a constant, forgets and includes that voice again and again, saves and
promotes meanwhile, and prints a line of JSON when a call has returned: what is forgotten by then,
and where it is known to be still.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from roomtape import AudioRecorder, AudioRecordingConfiguration, RoomtapeError
from support.secret_bands import QUIET, SECRET, band

RATE = 16000
FRAME = RATE // 50


class Call:
    """Alice, and bob, who says what is to be found again."""

    def __init__(self, directory: Path, chance: random.Random) -> None:
        self.directory = directory
        self.chance = chance
        self.value = 0
        cycle_time = chance.choice([0, 10, 10, 10])
        stems = directory / "stems" if cycle_time and chance.random() < 0.5 else None
        self.recorder = AudioRecorder(
            AudioRecordingConfiguration(
                directory / "call.wav", sample_rate=RATE, cycle_time=cycle_time, stems=stems
            )
        )

    def say(self, **facts: object) -> None:
        print(json.dumps(facts), flush=True)  # noqa: T201 (the test reads it)

    async def speak(self) -> None:
        begin, pts = time.monotonic(), 0
        alice, bob = self.recorder.add_source("alice"), self.recorder.add_source("bob")
        while True:
            alice.push(np.full(FRAME, QUIET, np.int16), RATE, pts)
            bob.push(np.full(FRAME, self.value, np.int16), RATE, pts)
            pts += FRAME
            await asyncio.sleep(max(0.0, begin + pts / RATE - time.monotonic()))

    async def decide(self) -> None:
        for epoch in range(1000):
            self.value = band(epoch)
            self.recorder.include("bob")
            self.say(says=band(epoch))
            await asyncio.sleep(self.chance.uniform(1.2, 2))
            with suppress(RoomtapeError):
                await self.besides(epoch)
            forgetting = asyncio.ensure_future(self.recorder.forget("bob"))
            await asyncio.sleep(0)  # it is kept out by now
            self.value = SECRET
            forgotten = await forgetting
            self.say(forgotten=band(epoch), still_in=forgotten.still_in)
            await asyncio.sleep(self.chance.uniform(0, 0.2))

    async def besides(self, epoch: int) -> None:
        match self.chance.choice(["save", "running save", "promote", "demote", "", ""]):
            case "save":
                await self.recorder.save(self.directory / f"saved-{epoch}.wav")
            case "running save":
                saving = self.recorder.save(self.directory / f"running-{epoch}.wav", then_s=1)
                task = asyncio.ensure_future(saving)
                task.add_done_callback(lambda done: done.cancelled() or done.exception())
                await asyncio.sleep(0.1)
            case "promote":
                await self.recorder.promote(self.directory / f"live-{epoch}.wav")
            case "demote":
                await self.recorder.demote(10)

    async def run(self) -> None:
        await self.recorder.start()
        await asyncio.gather(self.speak(), self.decide())


if __name__ == "__main__":
    asyncio.run(Call(Path(sys.argv[1]), random.Random(int(sys.argv[2]))).run())
