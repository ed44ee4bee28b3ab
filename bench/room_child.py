"""Who :mod:`room` records: ``room_child.py URL ROOM COUNT``. Says ``joined`` when all are in."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack

from common import speech
from roomtape import ErrorCode, PushedAudio, RtcEngine
from roomtape.rooms import WebRtcRoom

_SECONDS = 60
_FRAME = 960


async def speak(url: str, channel: str, count: int) -> None:
    async with AsyncExitStack() as stack:
        mouths = []
        for number in range(count):
            mouth = PushedAudio()
            engine = await stack.enter_async_context(RtcEngine(WebRtcRoom(url)))
            await engine.set_local_audio(mouth)
            code = await engine.join_channel(None, channel, f"speaker {number}")
            assert code is ErrorCode.OK, engine.last_error
            mouths.append((mouth, speech(number, _SECONDS).reshape(-1, _FRAME)))
        print("joined", flush=True)
        ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
        begun, tick = time.monotonic(), 0
        while not ended.done():
            for mouth, frames in mouths:
                mouth.push(frames[tick % len(frames)])
            tick += 1
            await asyncio.sleep(max(0.0, begun + tick * 0.02 - time.monotonic()))


if __name__ == "__main__":
    asyncio.run(speak(sys.argv[1], sys.argv[2], int(sys.argv[3])))
