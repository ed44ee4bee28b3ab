"""A server that says anything, and a client that listens to it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from aiohttp import web
from hypothesis import strategies as st

from roomtape.rooms.webrtc.room import WebRtcRoom
from roomtape.types.errors import RoomError

from .protocol_grammar import NAMES, ODD_TEXT, messages
from .room_listener import RoomEar

PARTICIPANT: dict[str, Any] = {
    "uid": "bob",
    "session": "s",
    "number": 1,
    "muted": False,
    "recording": False,
    "away": False,
}
WELCOME: dict[str, Any] = {
    "type": "welcome",
    "server": "1",
    "number": 1,
    "resume": "r",
    "resumed": False,
    "participants": [],
}
PARTICIPANTS = st.fixed_dictionaries(
    {
        "uid": NAMES,
        "session": st.sampled_from(["s", "t"]) | ODD_TEXT,
        "number": st.integers(0, 3),
        "muted": st.booleans(),
        "recording": st.booleans(),
        "asks": st.booleans(),
        "agrees": st.none() | st.booleans() | ODD_TEXT,
    }
)
FROM_A_SERVER = st.one_of(
    messages(
        {
            "welcome": ["participants", "resume", "number", "ice_servers"],
            "refused": ["code", "message"],
            "joined": ["participant"],
            "state": ["participant"],
            "left": ["uid", "session", "reason"],
            "offer": ["from", "call", "sdp"],
            "answer": ["from", "call", "sdp"],
            "candidate": ["from", "call", "candidate"],
            "error": ["code", "message"],
        }
    ),
    st.builds(lambda who: {"type": "joined", "participant": who}, PARTICIPANTS),
    st.builds(lambda who: {"type": "state", "participant": who}, PARTICIPANTS),
    st.builds(
        lambda who, server: {**WELCOME, "server": server, "participants": who},
        st.lists(PARTICIPANTS, max_size=3),
        st.sampled_from(["1", "2"]),
    ),
)
FRAMES = st.lists(
    FROM_A_SERVER.map(json.dumps)
    | st.sampled_from(["", "null", "[" * 300_000, '{"type":' * 5000, "NaN"])
    | st.binary(max_size=20),
    max_size=10,
)


class FuzzingServer:
    """A server that says what it is told to."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.wrong: list[str] = []
        self.script: list[Any] = []
        runner.get_loop().set_exception_handler(lambda _, told: self.wrong.append(str(told)))

    def say_next(self, frames: list[Any], *, welcomed: bool) -> None:
        """To whom joins next."""
        self.script = [json.dumps(WELCOME), *frames] if welcomed else frames

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/ws", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(timeout=1.0)
        await ws.prepare(request)
        await ws.receive()
        with suppress(ConnectionError):
            for frame in self.script:
                if isinstance(frame, bytes):
                    await ws.send_bytes(frame)
                else:
                    await ws.send_str(frame)
            await ws.send_json({"type": "joined", "participant": {**PARTICIPANT, "uid": "last"}})
            async for _ in ws:
                pass
        return ws

    async def be_listened_to(self) -> None:
        room, ear = WebRtcRoom(self.url), RoomEar()
        try:
            await room.join(
                token=None, channel="standup", uid="alice", listener=ear, local_audio=None
            )
        except RoomError:
            return  # What came first was no welcome; that is said in one line.
        await ear.until_event("joined", "last")
        await room.leave()
        assert ear.events[-1] == ("closed", "left")
