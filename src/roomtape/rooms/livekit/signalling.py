"""The WebSocket of one stay on a LiveKit server. It is not mended: a new stay takes its place.

(A LiveKit client may resume a stay, but that needs an ICE restart, which aiortc cannot do.)
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version

import aiohttp
from yarl import URL

from ...types.errors import RoomError, RoomRefusedError, RoomUnreachableError
from ..rtp.bounds import Excess
from . import wire
from .access import KEY_VARIABLE, SECRET_VARIABLE, Access

logger = logging.getLogger(__name__)

JOIN_TIMEOUT_S = 10.0
MAX_UNSENT = 256
_CLOSE_WITHIN = aiohttp.ClientWSTimeout(ws_close=1.0)
_BUSY = (429, 502, 503, 504)
_WORDS = {
    "invalid API key": f"it does not know the API key: check {KEY_VARIABLE}",
    "signature is invalid": f"the token was not made with its API secret: check {SECRET_VARIABLE}",
    "token is expired": "the token has expired: get a new one (and check this machine's clock)",
    "permissions denied": "the token does not allow to join this room",
    "invalid authorization token": "the token is not one of LiveKit: it must be a JWT (a.b.c)",
    "no permissions": "the token does not allow to join this room",
}
"""What a server says (never shown: it repeats the token), and what it means."""


class Signalling:
    """A WebSocket to the server, from :meth:`join` to :meth:`leave` or its loss.

    Args:
        access: The server.
        on_message: Called with each message after :class:`~.wire.Joined`; must not raise.
        on_lost: Called once when the WebSocket is lost, with the reason; not after :meth:`leave`.
        excess: Where is counted what is left out of messages.
    """

    def __init__(
        self,
        access: Access,
        *,
        on_message: Callable[[wire.Message], None],
        on_lost: Callable[[str], None],
        excess: Excess,
    ) -> None:
        self._access = access
        self._on_message = on_message
        self._on_lost = on_lost
        self._excess = excess
        self._http: aiohttp.ClientSession | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._unsent: deque[bytes] = deque()
        self._ready = asyncio.Event()
        self._heard_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self, token: str) -> wire.Joined:
        """Join with a token.

        Raises:
            RoomUnreachableError: No LiveKit server answers there.
            RoomRefusedError: It said no.
        """
        self._http = aiohttp.ClientSession()
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                joined = await self._join(self._http, token)
        except BaseException as error:
            ws, self._ws = self._ws, None
            if ws is not None:
                await ws.close()
            await self._http.close()
            if isinstance(error, TimeoutError):
                raise RoomUnreachableError(
                    f"{self._access.place} did not answer within {JOIN_TIMEOUT_S:.0f} s"
                ) from None
            raise
        loop = asyncio.get_running_loop()
        self._heard_s = loop.time()
        self._tasks = [
            loop.create_task(self._read()),
            loop.create_task(self._write()),
            loop.create_task(self._ping(joined.ping_every_s, joined.dead_after_s)),
        ]
        return joined

    def send(self, request: bytes) -> None:
        """Send a request. Never blocks; a server that takes none is lost."""
        self._unsent.append(request)
        self._ready.set()
        if len(self._unsent) > MAX_UNSENT and self._ws is not None:
            self._unsent.clear()
            asyncio.get_running_loop().create_task(self._ws.close())

    async def leave(self, *, goodbye: bool = True) -> None:
        """Say goodbye and close. Safe to call at any time, any number of times."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        ws, self._ws = self._ws, None
        if ws is not None and not ws.closed:
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(1.0):
                    if goodbye:
                        await ws.send_bytes(wire.leave())
                    await ws.close()
        if self._http is not None:
            await self._http.close()

    async def _join(self, http: aiohttp.ClientSession, token: str) -> wire.Joined:
        # In a header, so that no address, which errors and logs show, holds the token.
        headers = {"Authorization": f"Bearer {token}"}
        query = {
            "protocol": str(wire.PROTOCOL),
            "auto_subscribe": "0",
            "sdk": "python",
            "version": version("roomtape"),
        }
        place, address = self._access.place, self._access.url / "rtc"
        try:
            self._ws = await http.ws_connect(
                address.with_query(query),
                headers=headers,
                max_msg_size=wire.MAX_MESSAGE_BYTES,
                timeout=_CLOSE_WITHIN,
                compress=0,
            )
        except aiohttp.WSServerHandshakeError as error:
            raise await self._refusal(http, address, headers, error.status) from None
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
            raise RoomUnreachableError(
                f"no LiveKit server answers at {place} ({_reason(error)}): check the address"
            ) from None
        received = await self._ws.receive()
        message = None
        if received.type is aiohttp.WSMsgType.BINARY:
            with suppress(ValueError):
                message = wire.parse(received.data, self._excess)
        if isinstance(message, wire.Leave):
            raise RoomRefusedError(f"{place} does not let us join: {message.reason}")
        if not isinstance(message, wire.Joined):
            raise RoomUnreachableError(f"{place} is not a LiveKit server: it did not say welcome")
        if not message.may_subscribe:
            raise RoomRefusedError(
                f"{place} does not allow us to hear anybody: the token needs canSubscribe"
            )
        return message

    async def _refusal(
        self, http: aiohttp.ClientSession, address: URL, headers: dict[str, str], status: int
    ) -> RoomError:
        """Why the WebSocket was not opened."""
        place = self._access.place
        if status in (401, 403):
            said = await self._ask_why(http, address, headers)
            why = next((words for key, words in _WORDS.items() if key in said), "")
            why = why or f"it refuses the token: check {KEY_VARIABLE} and {SECRET_VARIABLE}"
            return RoomRefusedError(f"{place} does not let us join: {why}")
        if status in _BUSY:
            return RoomUnreachableError(
                f"{place} takes nobody at the moment (it answered {status})"
            )
        return RoomUnreachableError(
            f"{place} is not a LiveKit server that we know (it answered {status} to /rtc)"
        )

    @staticmethod
    async def _ask_why(http: aiohttp.ClientSession, address: URL, headers: dict[str, str]) -> str:
        """A WebSocket that is refused does not say why; this does."""
        scheme = "https" if address.scheme == "wss" else "http"
        try:
            url = (address / "validate").with_scheme(scheme)
            async with http.get(url, headers=headers) as response:
                return (await response.content.read(8192)).decode("utf-8", "replace")
        except (aiohttp.ClientError, OSError):
            return ""

    async def _read(self) -> None:
        reason = f"the connection to {self._access.place} was lost"
        try:
            await self._read_on()
        except Exception as error:  # whatever it was, the room must learn that it is over
            logger.debug("reading ended", exc_info=True)
            reason = f"{self._access.place} sent what is not understood ({type(error).__name__})"
        self._on_lost(reason)

    async def _read_on(self) -> None:
        ws, loop = self._ws, asyncio.get_running_loop()
        assert ws is not None
        async for received in ws:
            self._heard_s = loop.time()
            if received.type is not aiohttp.WSMsgType.BINARY:
                self._excess.add("messages that are no LiveKit signalling")
                continue
            try:
                message = wire.parse(received.data, self._excess)
            except ValueError:
                self._excess.add("messages that are no LiveKit signalling")
                continue
            if message is not None:
                self._on_message(message)

    async def _write(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._unsent and self._ws is not None:
                try:
                    await self._ws.send_bytes(self._unsent.popleft())
                except ConnectionError:
                    return  # Reading ends as well, and tells.

    async def _ping(self, every_s: float, dead_after_s: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + every_s
            await asyncio.sleep(every_s)
            if loop.time() - due_s > 1.0:
                self._heard_s = loop.time()  # it was this process that was away
            if loop.time() - self._heard_s > dead_after_s and self._ws is not None:
                logger.info("%s has said nothing for %.0f s", self._access.place, dead_after_s)
                await self._ws.close()
                return
            self.send(wire.ping(time.time_ns() // 1_000_000))


def _reason(error: BaseException) -> str:
    """In words that hold nothing of what was sent or received."""
    cause = getattr(error, "os_error", error)
    return getattr(cause, "strerror", None) or type(cause).__name__
