"""Eight tracks through one socket, while others have the processors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from roomtape.media.voices import VOICES
from roomtape.rooms import LiveKitRoom
from roomtape.rooms.rtp.datagrams import aioice_internals
from support.livekit_call import livekit_room, talkers
from support.livekit_server import LiveKitServer
from support.room_listener import RoomEar

pytestmark = [pytest.mark.network, pytest.mark.alone]

UIDS = tuple(f"uid{number}" for number in range(8))
BUSY = "import time\nend = time.monotonic() + 30\nwhile time.monotonic() < end: pass"


async def hears_all(room: LiveKitRoom, channel: str, uid: str) -> None:
    ear = RoomEar()
    await room.join(token=None, channel=channel, uid=uid, listener=ear, local_audio=None)
    await asyncio.gather(*(ear.until_heard(each, 0.5) for each in UIDS))


async def test_no_packet_is_dropped_by_the_kernel_and_else_it_would_be_counted(
    server: LiveKitServer,
) -> None:
    """While both cores are busy, and our own loop for a while. A small buffer does drop some."""
    small, usual = livekit_room(server), livekit_room(server)
    async with talkers(server, "many", *UIDS) as others:
        for uid, voice in zip(UIDS, [*VOICES] * 3, strict=False):
            others.say(uid, voice)
            others.say(uid, voice)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aioice_internals, "RECEIVE_BUFFER_BYTES", 16384)
            await hears_all(small, "many", "small")
        await hears_all(usual, "many", "usual")
        busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(2)]  # noqa: ASYNC220
        try:
            await asyncio.sleep(1.5)
            time.sleep(1.5)  # noqa: ASYNC251 (a loop that is blocked)
            await asyncio.sleep(1.0)
        finally:
            for process in busy:
                process.kill()
                process.wait()
        assert usual.dropped == 0
        assert small.dropped > 0
        for room in (small, usual):
            await room.leave()
