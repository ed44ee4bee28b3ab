"""One participant in each of many LiveKit rooms, by LiveKit's own SDK:
``python livekit_crowd.py URL ROOM...``, with the key in the environment.

Each hums one tone, another in each room, all the time; and at every fifth second of the wall clock
it gives a short beep. So any stretch of any recording tells which room it is of, and when it was.
It prints ``humming`` when all are in, and hums until its standard input ends. A line ``leave ROOM``
or ``enter ROOM`` has that one go, or come.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time

import numpy as np
from livekit import api, rtc

RATE_HZ = 48000
FRAME = RATE_HZ // 50
BEEP_HZ, BEEP_S, BEEP_EVERY_S = 3400.0, 0.1, 5


def tone_hz(number: int) -> float:
    """Of the n-th room."""
    return 300.0 + 200.0 * number


def hum(number: int, start_s: float) -> np.ndarray:
    """20 ms of the n-th room's participant from that moment of the wall clock on; int16."""
    moments = start_s % 3600 + np.arange(FRAME) / RATE_HZ
    heard = 6000 * np.sin(2 * np.pi * tone_hz(number) * moments)
    beeping = moments % BEEP_EVERY_S < BEEP_S
    heard += beeping * 9000 * np.sin(2 * np.pi * BEEP_HZ * moments)
    return heard.astype(np.int16)


class Hummer:
    """One participant."""

    def __init__(self, url: str, name: str, number: int) -> None:
        self._url, self._name, self._number = url, name, number
        self._room: rtc.Room | None = None
        self._humming: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        token = api.AccessToken().with_identity(f"hummer-{self._number}")
        grants = api.VideoGrants(room_join=True, room=self._name)
        self._room = rtc.Room()
        await self._room.connect(self._url, token.with_grants(grants).to_jwt())
        source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=100)
        track = rtc.LocalAudioTrack.create_audio_track("hum", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False)
        await self._room.local_participant.publish_track(track, options)
        self._humming = asyncio.create_task(self._hum(source))

    async def _hum(self, source: rtc.AudioSource) -> None:
        at_s = time.time()
        while True:
            await asyncio.sleep(max(0.0, at_s - time.time()))
            samples = hum(self._number, at_s)
            await source.capture_frame(rtc.AudioFrame(samples.tobytes(), RATE_HZ, 1, FRAME))
            at_s += FRAME / RATE_HZ

    async def leave(self) -> None:
        humming, self._humming = self._humming, None
        if humming is not None:
            humming.cancel()
        room, self._room = self._room, None
        if room is not None:
            await room.disconnect()


async def main(url: str, names: list[str]) -> None:
    crowd = {name: Hummer(url, name, number) for number, name in enumerate(names)}
    for each in crowd.values():
        await each.enter()
    print("humming", flush=True)  # noqa: T201 (the test waits for it)
    while line := await asyncio.to_thread(sys.stdin.readline):
        match line.split():
            case ["leave", name]:
                await crowd[name].leave()
            case ["enter", name]:
                await crowd[name].enter()
        print("done", flush=True)  # noqa: T201
    await asyncio.gather(*(each.leave() for each in crowd.values()))


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    os.environ.setdefault("RUST_LOG", "error")
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
