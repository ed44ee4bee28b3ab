"""A call on a real LiveKit server, with SDK clients who talk, recorded by a real engine."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from roomtape.rooms import LiveKitRoom
from roomtape.types import Pcm

from .livekit_server import KEY, SECRET, LiveKitServer, make_token
from .processes import SUPPORT, python_process, tell
from .recorded_call import RATE_HZ, Recorded, RecordingClient
from .signals import offset_of, speech

WORD_S = 2.0
"""What is looked for of a voice: its first words."""


class Talkers:
    """SDK clients in one process, and what they said when.

    Attributes:
        said: Who said which voice, and the UTC time at which it began.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[tuple[str, str, float]] = []
        self._done = asyncio.Condition()
        self._times: dict[str, list[float]] = {}
        self._reader = asyncio.create_task(self._read())

    def say(self, uid: str, voice: str, seconds: float = 60.0) -> None:
        """Say it, or its first seconds, after what is being said."""
        tell(self.process, f"{uid} say {voice} {seconds}")

    async def do(self, uid: str, what: str) -> float:
        """Have it done; the UTC time at which it was."""
        before = len(self._times.get(uid, []))
        tell(self.process, f"{uid} {what}")
        async with asyncio.timeout(60), self._done:
            await self._done.wait_for(lambda: len(self._times.get(uid, [])) > before)
        return self._times[uid][-1]

    async def has_said(self, uid: str, voice: str, *, times: int = 1) -> None:
        """Wait until it has begun to."""

        def begun() -> bool:
            return sum(said[:2] == (uid, voice) for said in self.said) >= times

        async with asyncio.timeout(60), self._done:
            await self._done.wait_for(begun)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await asyncio.to_thread(self.process.stdout.readline):
            uid, what, *words = line.split()
            async with self._done:
                if what == "said":
                    self.said.append((uid, words[0], float(words[1])))
                else:
                    self._times.setdefault(uid, []).append(float(words[0]))
                self._done.notify_all()


@asynccontextmanager
async def talkers(
    server: LiveKitServer, channel: str, *uids: str, encrypted: bool = False
) -> AsyncIterator[Talkers]:
    """SDK clients who have joined ``channel`` and published their audio."""
    suffix = "+encrypted" if encrypted else ""
    tokens = [make_token(channel, uid) + suffix for uid in uids]
    program = str(SUPPORT / "livekit_talker.py")
    async with python_process(program, server.url, *tokens, ready="joined") as process:
        yield Talkers(process)


def livekit_room(server: LiveKitServer, *, trust_clocks: bool = False) -> LiveKitRoom:
    return LiveKitRoom(server.url, api_key=KEY, api_secret=SECRET, trust_clocks=trust_clocks)


def recording_client(server: LiveKitServer, channel: str) -> RecordingClient:
    """An engine in ``channel``."""
    return RecordingClient(server.url, channel, room=livekit_room(server))


def later_than_said(recorded: Recorded, voice: str, said_at: float) -> tuple[float, float]:
    """How much later than it was said a voice stands in the recording, in seconds; and how sure it
    is that it is this one, 0 to 1."""
    started = recorded.report.started_at.timestamp()
    return place_of(recorded.pcm, voice, said_at - started)


def place_of(pcm: Pcm, voice: str, expected_s: float) -> tuple[float, float]:
    """How much later than expected a voice begins in a recording, and how sure that is."""
    words = speech(voice, WORD_S)
    low = max(0, round((expected_s - 0.5) * RATE_HZ))
    around = pcm[low : low + len(words) + RATE_HZ]
    offset_s, likeness = offset_of(words, around, RATE_HZ)
    return low / RATE_HZ + offset_s - expected_s, likeness
