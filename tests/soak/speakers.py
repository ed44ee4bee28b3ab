"""Those who talk, each a process of its own: they come, leave, mute themselves, stall and die."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from random import Random

from support.processes import SUPPORT

from .log import Log

NAMES = tuple(f"speaker {number}" for number in range(1, 7))
_NAME_FREE_S = 12.0
"""The server holds the seat of who vanished for up to 8.75 s."""


class Speakers:
    """Who is in the room besides the recorder.

    Args:
        channel: The room.
        chance: Decides who and how long.
        log: Told of everything.
    """

    def __init__(self, channel: str, chance: Random, log: Log) -> None:
        self._channel = channel
        self._chance = chance
        self._log = log
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._vanished_s: dict[str, float] = {}
        self._muted: set[str] = set()

    @property
    def present(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self._processes)

    async def join(self, url: str) -> bool:
        """One more; False where all names are in use."""
        now_s = time.monotonic()
        free = [
            uid
            for uid in NAMES
            if uid not in self._processes
            and now_s - self._vanished_s.get(uid, -_NAME_FREE_S) >= _NAME_FREE_S
        ]
        if not free:
            return False
        uid = self._chance.choice(free)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", str(SUPPORT / "room_client.py")),
            *(url, self._channel, uid, "120"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._processes[uid] = process
        assert process.stdout is not None
        await process.stdout.readline()
        self._log.say(f"{uid} joined")
        return True

    async def leave(self, uid: str) -> None:
        process = self._forget(uid)
        assert process.stdin is not None
        process.stdin.close()
        self._log.say(f"{uid} leaves")
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            self._vanished_s[uid] = time.monotonic()
            self._log.violate(f"{uid} did not leave within 10 s")

    async def kill(self, uid: str) -> None:
        process = self._forget(uid)
        process.kill()
        await process.wait()
        self._vanished_s[uid] = time.monotonic()
        self._log.say(f"{uid} was killed")

    async def mute(self, uid: str) -> None:
        self._tell(uid, "unmute" if uid in self._muted else "mute")
        self._muted ^= {uid}

    async def stall(self, uid: str) -> None:
        self._tell(uid, f"stall {self._chance.uniform(0.2, 1.5):.2f}")

    def _tell(self, uid: str, line: str) -> None:
        stdin = self._processes[uid].stdin
        assert stdin is not None
        stdin.write(f"{line}\n".encode())
        self._log.say(f"{uid}: {line}")

    def notice_crashes(self) -> None:
        for uid, process in tuple(self._processes.items()):
            if process.returncode is not None:
                self._forget(uid)
                self._vanished_s[uid] = time.monotonic()
                self._log.violate(f"{uid} ended by itself with {process.returncode}")

    def _forget(self, uid: str) -> asyncio.subprocess.Process:
        self._muted.discard(uid)
        return self._processes.pop(uid)
