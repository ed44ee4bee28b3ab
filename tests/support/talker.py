"""A participant in a process of its own: ``python talker.py URL ROOM UID``.

It prints ``joined`` when it is in the room. Each line ``say VOICE`` on its standard input has it
say one of the package's voices, and print ``said VOICE TIME`` with the UTC time at which it began.
It stays until that input ends.
"""

from __future__ import annotations

import asyncio
import sys
import time

from roomtape import ErrorCode, PushedAudio, RtcEngine
from roomtape.rooms import WebRtcRoom
from support.signals import speech


async def take_part(url: str, channel: str, uid: str) -> None:
    mouth = PushedAudio()
    async with RtcEngine(WebRtcRoom(url)) as engine:
        await engine.set_local_audio(mouth)
        assert await engine.join_channel(None, channel, uid) is ErrorCode.OK, engine.last_error
        print("joined", uid)  # noqa: T201 (the test waits for it)
        while line := await asyncio.to_thread(sys.stdin.readline):
            voice = speech(line.split()[1])
            mouth.push(voice)
            print("said", line.split()[1], time.time())  # noqa: T201


asyncio.run(take_part(*sys.argv[1:]))
