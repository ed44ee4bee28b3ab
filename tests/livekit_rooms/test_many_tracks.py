"""Eight tracks through one socket, while others have the processors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest

from roomtape.media.voices import VOICES
from roomtape.rooms.rtp import aioice_internals
from support.livekit_call import livekit_room, talkers
from support.livekit_server import LiveKitServer
from support.room_listener import RoomEar

pytestmark = [pytest.mark.network, pytest.mark.alone]

UIDS = tuple(f"uid{number}" for number in range(8))
BUSY = "import time\nend = time.monotonic() + 30\nwhile time.monotonic() < end: pass"


async def dropped(server: LiveKitServer, channel: str) -> int:
    """Datagrams that the kernel dropped while both cores and, for a while, our loop were busy."""
    room, ear = livekit_room(server), RoomEar()
    async with talkers(server, channel, *UIDS) as others:
        await room.join(token=None, channel=channel, uid="me", listener=ear, local_audio=None)
        for uid, voice in zip(UIDS, [*VOICES] * 2, strict=False):
            others.say(uid, voice)
        await asyncio.gather(*(ear.until_heard(uid, 0.5) for uid in UIDS))
        busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(2)]  # noqa: ASYNC220
        try:
            await asyncio.sleep(2.0)
            time.sleep(1.5)  # noqa: ASYNC251 (a loop that is blocked)
            await asyncio.sleep(1.0)
        finally:
            for process in busy:
                process.kill()
                process.wait()
        count = room.dropped
        await room.leave()
    return count


async def test_no_packet_is_dropped_by_the_kernel(server: LiveKitServer) -> None:
    assert await dropped(server, "many") == 0


async def test_what_the_kernel_drops_is_counted(
    server: LiveKitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a small buffer would drop it."""
    monkeypatch.setattr(aioice_internals, "RECEIVE_BUFFER_BYTES", 16384)
    assert await dropped(server, "small") > 0
