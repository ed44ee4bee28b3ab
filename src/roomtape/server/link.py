"""One client's WebSocket, from the server's side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiohttp import web

MAX_UNSENT = 256
"""Messages that may wait for a client that reads slowly; beyond it the client is cut off."""
CLOSE_TIMEOUT_S = 2.0


class Link:
    """Sends without waiting, in order.

    :meth:`send` and :meth:`end` never block. Who reads ``ws`` awaits :meth:`finish` at last.
    """

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.ws = ws
        self._transport = transport
        self._unsent: asyncio.Queue[Mapping[str, Any] | int] = asyncio.Queue()
        self._ending = False
        self._writer = asyncio.get_running_loop().create_task(self._write())

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; a client that has let too many wait is cut off instead."""
        if self._unsent.qsize() < MAX_UNSENT:
            self._unsent.put_nowait(message)
        elif self._transport is not None:
            self._transport.abort()

    def end(self, code: int) -> None:
        """Close with ``code`` when everything before has been sent."""
        self._ending = True
        self._unsent.put_nowait(code)

    async def finish(self) -> list[Mapping[str, Any]]:
        """Stop sending.

        Returns:
            The messages that were never sent.
        """
        if self._ending:
            await asyncio.wait([self._writer], timeout=CLOSE_TIMEOUT_S)
        self._writer.cancel()
        await asyncio.wait([self._writer])
        unsent = []
        while not self._unsent.empty():
            message = self._unsent.get_nowait()
            if not isinstance(message, int):
                unsent.append(message)
        return unsent

    async def _write(self) -> None:
        # The reading side sees a lost connection as well, and deals with it.
        with suppress(ConnectionError):
            while not isinstance(message := await self._unsent.get(), int):
                await self.ws.send_str(json.dumps(message))
            await self.ws.close(code=message)
