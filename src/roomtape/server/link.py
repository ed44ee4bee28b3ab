"""One client's WebSocket, from the server's side."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .seldom import Seldom

logger = logging.getLogger(__name__)
logger.addFilter(Seldom())

MAX_UNSENT_BYTES = 512 * 1024
"""Of offers, answers and candidates that wait for a client: 31 offers of 12 kB, and then some."""
MAX_COMPLAINTS_BYTES = 16 * 1024
"""What may wait for a client that is to be told that it made a mistake. It makes them itself."""
MAX_UNSENT_ALL_BYTES = 2 * MAX_UNSENT_BYTES
"""Of all messages that wait. How the others are takes 1 kB each, and is told a few times a second
at most: a client that reads is never so far behind."""
STUCK_AFTER_S = 10.0
"""A client whose network takes nothing for so long does not read."""
CLOSE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Note:
    """A message on its way to a client.

    Attributes:
        text: JSON, all of it ASCII.
        relayed: Another participant's, which is kept for a client that is away; what the room
            itself says is in the next welcome, too.
    """

    text: str
    relayed: bool

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Note:
        return cls(json.dumps(message), "from" in message)


class Link:
    """Sends without waiting, in order.

    :meth:`send` and :meth:`end` never block. Who reads ``ws`` awaits :meth:`finish` at last.
    """

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.ws = ws
        self.transport = transport
        self._unsent: deque[Note | int] = deque()
        self._unsent_bytes = 0
        self._more = asyncio.Event()
        self._ending = False
        self._writer = asyncio.get_running_loop().create_task(self._write())

    def send(self, note: Note) -> bool:
        """Send a message.

        A client that does not read is cut off when too much waits for it.

        Returns:
            False if so much waits that this message, which another participant sent, was left out.
        """
        waiting = self._unsent_bytes + len(note.text)
        if note.relayed and waiting > MAX_UNSENT_BYTES:
            return False
        if waiting > MAX_UNSENT_ALL_BYTES:
            self._cut(f"{self._unsent_bytes // 1024} KiB wait for it")
            return True
        self._unsent_bytes = waiting
        self._put(note)
        return True

    def complain(self, code: str, message: str) -> None:
        """Tell the client that its message was wrong, unless it does not listen anyway."""
        if self._unsent_bytes < MAX_COMPLAINTS_BYTES:
            self.send(Note.of({"type": "error", "code": code, "message": message}))

    def end(self, code: int) -> None:
        """Close with ``code`` when everything before has been sent."""
        self._ending = True
        self._put(code)

    async def finish(self) -> list[Note]:
        """Stop sending.

        Returns:
            The messages that were never sent.
        """
        if self._ending:
            await asyncio.wait([self._writer], timeout=CLOSE_TIMEOUT_S)
        self._writer.cancel()
        await asyncio.wait([self._writer])
        return [note for note in self._unsent if isinstance(note, Note)]

    def _put(self, item: Note | int) -> None:
        self._unsent.append(item)
        self._more.set()

    async def _write(self) -> None:
        # The reading side sees a lost connection as well, and deals with it.
        with suppress(ConnectionError):
            while True:
                await self._more.wait()
                self._more.clear()
                while self._unsent:
                    item = self._unsent.popleft()
                    if isinstance(item, int):
                        await self.ws.close(code=item)
                        return
                    self._unsent_bytes -= len(item.text)
                    try:
                        async with asyncio.timeout(STUCK_AFTER_S):
                            await self.ws.send_str(item.text)
                    except TimeoutError:
                        self._cut(f"it has taken nothing for {STUCK_AFTER_S:.0f} s")
                        return

    def _cut(self, why: str) -> None:
        logger.warning("a client that does not read is cut off: %s", why)
        if self.transport is not None:
            self.transport.abort()
