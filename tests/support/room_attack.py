"""What does harm to a room server over real sockets, and an innocent pair beside it."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp

_sessions = itertools.count(1)


class Client:
    """Speaks the protocol by hand, and reads only when it is told to."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, ws: aiohttp.ClientWebSocketResponse
    ) -> None:
        self.http = http
        self.url = url
        self.ws = ws
        self.session = f"session {next(_sessions)}"
        self.welcome: dict[str, Any] = {}
        self._inbox: asyncio.Queue[dict[str, Any]] | None = None

    async def say(self, **message: Any) -> None:
        await self.ws.send_json(message)

    def keep_reading(self) -> None:
        """Read all the time from now on, as honest clients do; aiohttp answers pings meanwhile."""
        self._inbox = asyncio.Queue()
        self._reader = asyncio.get_running_loop().create_task(self._read(self._inbox))

    async def _read(self, inbox: asyncio.Queue[dict[str, Any]]) -> None:
        async for message in self.ws:
            inbox.put_nowait(message.json())

    async def hear(self, within_s: float = 20) -> dict[str, Any]:
        async with asyncio.timeout(within_s):
            if self._inbox is not None:
                return await self._inbox.get()
            message: dict[str, Any] = await self.ws.receive_json()
            return message

    async def until(self, kind: str, within_s: float = 20) -> dict[str, Any]:
        """Read on until a message of this type comes."""
        async with asyncio.timeout(within_s):
            while (message := await self.hear(within_s))["type"] != kind:
                pass
            return message


async def join(http: aiohttp.ClientSession, url: str, uid: str, **more: Any) -> Client:
    client = Client(http, url, await http.ws_connect(f"{url}/ws", max_msg_size=0))
    await client.say(
        **{"type": "join", "room": "standup", "uid": uid, "session": client.session, **more}
    )
    client.welcome = await client.hear()
    assert client.welcome["type"] == "welcome", client.welcome
    return client


class Pair:
    """Two who do nothing wrong, and read what they are sent."""

    def __init__(self, one: Client, other: Client) -> None:
        self.one = one
        self.other = other
        self.heard: list[dict[str, Any]] = []

    @classmethod
    async def join(cls, http: aiohttp.ClientSession, url: str) -> Pair:
        one, other = await join(http, url, "alice"), await join(http, url, "bob")
        one.keep_reading()
        other.keep_reading()
        return cls(one, other)

    async def talk(self, rounds: int = 5) -> None:
        """Offers and answers go to and fro; nothing of them may be lost."""
        for number in range(rounds):
            call = f"honest {number} {next(_sessions)}"
            await self.one.say(type="offer", to="bob", call=call, sdp="v=0 offer")
            await self._await_call(self.other, "offer", call)
            await self.other.say(type="answer", to="alice", call=call, sdp="v=0 answer")
            await self._await_call(self.one, "answer", call)
            await asyncio.sleep(0.5)

    async def _await_call(self, client: Client, kind: str, call: str) -> None:
        while (message := await client.until(kind)).get("call") != call:
            self.heard.append(message)


def descriptors(pid: int | str = "self") -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 (one number a name)


def resident_mib(pid: int | str = "self") -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def connect_silently(until: ExitStack, url: str, count: int, source: str) -> None:
    """Open connections on which nothing is ever said."""
    found = re.fullmatch(r"http://([\d.]+):(\d+)", url)
    assert found
    for _ in range(count):
        until.enter_context(
            socket.create_connection(
                (found[1], int(found[2])), timeout=5, source_address=(source, 0)
            )
        )
