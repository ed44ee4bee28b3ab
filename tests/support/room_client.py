"""A participant in a process of its own: ``python room_client.py URL ROOM UID [SECONDS]``.

It speaks, 30 s if it is not told otherwise, and prints ``joined`` when it is in the room. Lines
on its standard input: ``mute``, ``unmute``, ``stall SECONDS`` (its event loop is blocked). When
that ends, it leaves.
"""

from __future__ import annotations

import asyncio
import sys
import time

from roomtape.rooms.webrtc.room import WebRtcRoom
from roomtape.types.clock import SystemClock
from support.room_listener import RoomEar, speaking


class _Deaf(RoomEar):
    """Remembers no audio, so that it can stay for long."""

    def on_audio(self, uid: str, track: str, frame: object) -> None: ...


async def take_part(url: str, channel: str, uid: str, seconds: str = "30") -> None:
    room, audio = WebRtcRoom(url), speaking(uid, float(seconds))
    audio.start(SystemClock())
    await room.join(token=None, channel=channel, uid=uid, listener=_Deaf(), local_audio=audio)
    print("joined", uid)  # noqa: T201 (the test waits for it)
    while line := await asyncio.to_thread(sys.stdin.readline):
        match line.split():
            case ["mute"]:
                audio.muted = True
            case ["unmute"]:
                audio.muted = False
            case ["stall", duration]:
                time.sleep(float(duration))  # noqa: ASYNC251 (as a busy program does)
    await room.leave()
    await audio.stop()


asyncio.run(take_part(*sys.argv[1:]))
