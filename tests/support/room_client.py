"""A participant in a process of its own: ``python room_client.py URL ROOM UID``.

It speaks until it is ended, and prints ``joined`` when it is in the room.
"""

from __future__ import annotations

import asyncio
import sys

from roomtape.clock import SystemClock
from roomtape.rooms.webrtc import WebRtcRoom
from support.room_listener import RoomEar, speaking


async def take_part(url: str, channel: str, uid: str) -> None:
    room, audio = WebRtcRoom(url), speaking(uid, 30)
    audio.start(SystemClock())
    await room.join(token=None, channel=channel, uid=uid, listener=RoomEar(), local_audio=audio)
    print("joined", uid)  # noqa: T201 (the test waits for it)
    await asyncio.Event().wait()


asyncio.run(take_part(*sys.argv[1:]))
