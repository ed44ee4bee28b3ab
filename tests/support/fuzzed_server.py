"""A server that hears anything, and a pair in its room whom that must not disturb."""

from __future__ import annotations

import asyncio
import itertools
import json

import aiohttp
from hypothesis import strategies as st

from roomtape.server.app import RoomServer

from .protocol_grammar import messages
from .room_attack import Pair

TO_THE_SERVER = messages(
    {
        "join": ["room", "uid", "session", "token", "resume", "muted", "recording"],
        "offer": ["to", "call", "sdp"],
        "answer": ["to", "call", "sdp"],
        "candidate": ["to", "call", "candidate"],
        "state": ["muted", "recording"],
        "leave": [],
    }
)
FRAMES = st.lists(
    TO_THE_SERVER.map(json.dumps)
    | st.sampled_from(["", "null", "[" * 30_000, '{"type":' * 5000, "NaN", "1" * 5000])
    | st.binary(max_size=20),
    max_size=12,
)
_calls = itertools.count(1)


class FuzzedServer:
    """A server, a pair in it, and everything that went wrong, on an event loop of their own."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.wrong: list[str] = []
        self.server = RoomServer("127.0.0.1", 0)
        runner.get_loop().set_exception_handler(lambda _, told: self.wrong.append(str(told)))

    async def start(self) -> None:
        await self.server.start()
        self.http = aiohttp.ClientSession()
        self.pair = await Pair.join(self.http, self.server.url)

    async def stop(self) -> None:
        await self.http.close()
        await self.server.stop()

    async def suffer(self, frames: list[str | bytes], *, joined: bool) -> None:
        """One client says all that; the pair goes on."""
        async with self.http.ws_connect(f"{self.server.url}/ws", max_msg_size=0) as ws:
            if joined:
                uid = f"mallory {next(_calls)}"
                hello = {"type": "join", "room": "standup", "uid": uid, "session": "s"}
                await ws.send_json(hello)
                assert (await ws.receive_json())["type"] == "welcome"
            try:
                for frame in frames:
                    if isinstance(frame, bytes):
                        await ws.send_bytes(frame)
                    else:
                        await ws.send_str(frame)
            except ConnectionError:
                pass  # It was refused meanwhile.
            call = f"honest {next(_calls)}"
            candidate = {"candidate": "x"}
            await self.pair.one.say(type="candidate", to="bob", call=call, candidate=candidate)
            while (await self.pair.other.until("candidate")).get("call") != call:
                pass
