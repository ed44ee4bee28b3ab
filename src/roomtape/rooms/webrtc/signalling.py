"""The client's end of the signalling WebSocket (docs/signalling.md), which mends itself."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from yarl import URL

from ...types.errors import ConfigurationError, RoomRefusedError, RoomUnreachableError
from .messages import Message, parse

logger = logging.getLogger(__name__)

JOIN_TIMEOUT_S = 10.0
RECONNECT_FOR_S = 30.0
"""How long a dropped WebSocket is tried to be opened again when no media flows either."""
ALONE_AFTER_S = 5.0
"""Without the server: then it is told that nobody can join. The server holds a seat for so long."""
RECONNECT_DELAYS_S = (0.1, 0.2, 0.5, 1.0)
"""The last one goes on. The server holds a seat for 5 s, and a restarted server's other
clients wait for 6 s: a longer delay would miss both."""
ATTEMPT_AT_LEAST_S = 2.0
"""For the last attempt to come back, however little time is left."""
HEARTBEAT_S = 10.0
MAX_MESSAGE_BYTES = 1024 * 1024
"""A welcome names 32 participants; the server is trusted, and yet not without bounds."""
MAX_UNSENT = 128
_CLOSE_WITHIN = aiohttp.ClientWSTimeout(ws_close=1.0)
_REPLACED_CODE = 4001
_SIGNALLING_PATH = "ws"


class Signalling:
    """A seat in a room: joins, sends and receives, and comes back when the WebSocket drops.

    The media do not need the server. So while they flow, the seat is never given up, however long
    the server is gone or refuses to have us back.

    Args:
        url: The server, as ``http://127.0.0.1:8080``.
        hello: What to say of ourselves when joining, and when coming back: everything that
            the join message has besides the room and the ids.
        on_welcome: Called with each welcome, before any other message.
        on_message: Called with every other message of the server.
        on_lost: Called once if the seat is lost for good, with the reason.
        media_flows: Whether anybody is connected to us.
    """

    def __init__(
        self,
        url: str,
        *,
        hello: Callable[[], Mapping[str, Any]],
        on_welcome: Callable[[Message], None],
        on_message: Callable[[Message], None],
        on_lost: Callable[[str], None],
        media_flows: Callable[[], bool],
    ) -> None:
        self._url = url
        self._address = signalling_url(url)
        self._hello = hello
        self._on_welcome = on_welcome
        self._on_message = on_message
        self._on_lost = on_lost
        self._media_flows = media_flows
        self._session = secrets.token_urlsafe(12)
        self._resume: str | None = None
        self._http: aiohttp.ClientSession | None = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._unsent: deque[Message] = deque(maxlen=MAX_UNSENT)
        self._ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self) -> None:
        """Take a seat.

        Raises:
            RoomUnreachableError: No room server answers.
            RoomRefusedError: The server said no.
        """
        self._http = aiohttp.ClientSession()
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                await self._connect()
        except BaseException as error:
            await self._http.close()
            if isinstance(error, TimeoutError):
                raise RoomUnreachableError(
                    f"{self._url} did not answer within {JOIN_TIMEOUT_S:.0f} s"
                ) from None
            raise
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._read()), loop.create_task(self._write())]

    def send(self, message: Message) -> None:
        """Send a message, later if the WebSocket is just being mended. Never blocks."""
        self._unsent.append(message)
        self._ready.set()

    async def leave(self) -> None:
        """Say goodbye and close. Safe to call at any time."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        ws, self._ws = self._ws, None
        if ws is not None and not ws.closed:
            try:
                async with asyncio.timeout(1.0):
                    await ws.send_str(json.dumps({"type": "leave"}))
                    await ws.close()
            except (ConnectionError, TimeoutError):
                pass  # Then the server notices by itself.
        if self._http is not None:
            await self._http.close()

    async def _connect(self) -> None:
        """Open the WebSocket and take, or resume, the seat."""
        assert self._http is not None
        try:
            ws = await self._http.ws_connect(
                self._address,
                heartbeat=HEARTBEAT_S,
                max_msg_size=MAX_MESSAGE_BYTES,
                timeout=_CLOSE_WITHIN,
                compress=0,
            )
        except aiohttp.WSServerHandshakeError as error:
            raise RoomUnreachableError(
                f"{self._url} is not a room server (it answered {error.status} to {self._address})"
            ) from None
        except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
            raise RoomUnreachableError(
                f"no room server answers at {self._url} ({_reason(error)}): start one with "
                "`roomtape serve`, or check the address"
            ) from None
        join = {"type": "join", "session": self._session, "resume": self._resume, **self._hello()}
        answer = None
        try:
            await ws.send_str(json.dumps(join))
            answer = parse(await ws.receive())
        except ConnectionError:
            pass
        finally:  # a timeout as well
            if answer is None or answer["type"] != "welcome":
                await ws.close()
        if answer is not None and answer["type"] == "refused":
            raise RoomRefusedError(answer["message"])
        if answer is None or answer["type"] != "welcome":
            raise RoomUnreachableError(f"{self._url} closed the connection without an answer")
        self._resume = answer["resume"]
        self._ws = ws
        self._on_welcome(answer)
        self._ready.set()

    async def _read(self) -> None:
        try:
            reason = await self._read_on()
        except Exception as error:  # whatever it was, the room must learn that it is over
            logger.exception("reading from %s ended", self._url)
            reason = f"reading from {self._url} ended: {error}"
        self._on_lost(reason)

    async def _read_on(self) -> str:
        """Read, and come back, until the seat is lost.

        Returns:
            Why it is.
        """
        while True:
            ws = self._ws
            assert ws is not None
            async for received in ws:
                message = parse(received)
                if message is None:
                    logger.debug("%s sent a message that is not understood", self._url)
                else:
                    self._tell(message)
            self._ws = None
            if ws.close_code == _REPLACED_CODE:
                return "another connection took this seat"
            logger.info("the WebSocket to %s dropped: coming back", self._url)
            await ws.close()
            reason = await self._reconnect()
            if reason:
                return reason

    def _tell(self, message: Message) -> None:
        try:
            self._on_message(message)
        except Exception:  # one odd message must not end the reading of all others
            logger.exception("a message of %s made us stumble", self._url)

    async def _reconnect(self) -> str:
        """Try to come back, for as long as media flow and a while longer.

        Returns:
            Why it failed; empty if it did not.
        """
        dropped_s = heard_s = time.monotonic()
        delays = iter(RECONNECT_DELAYS_S)
        told = False
        while True:
            await asyncio.sleep(next(delays, RECONNECT_DELAYS_S[-1]))
            reason = await self._reconnect_once(heard_s + RECONNECT_FOR_S)
            now_s = time.monotonic()
            if not reason:
                if told:
                    logger.warning("%s is back after %.0f s", self._url, now_s - dropped_s)
                return ""
            if self._media_flows():
                heard_s = now_s
            elif now_s - heard_s > RECONNECT_FOR_S:
                return reason
            if now_s - dropped_s > ALONE_AFTER_S and not told:
                told = True
                logger.warning(
                    "%s: who is connected stays so, but nobody can join until we are back", reason
                )

    async def _reconnect_once(self, deadline_s: float) -> str:
        """Try to come back.

        Returns:
            Why it failed; empty if it did not.
        """
        left_s = deadline_s - time.monotonic()
        try:
            async with asyncio.timeout(min(max(left_s, ATTEMPT_AT_LEAST_S), JOIN_TIMEOUT_S)):
                await self._connect()
        except RoomRefusedError as error:
            # It may pass: a name is free again, a room empties, somebody renews a token.
            return f"{self._url} does not let us come back: {error}"
        except (RoomUnreachableError, TimeoutError) as error:
            logger.debug("not yet back: %s", error)
            return f"the connection to {self._url} was lost"
        return ""

    async def _write(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._unsent and self._ws is not None:
                message = self._unsent.popleft()
                try:
                    await self._ws.send_str(json.dumps(message))
                except ConnectionError:
                    self._unsent.appendleft(message)
                    break  # Coming back sets the event again.


def signalling_url(url: str) -> URL:
    """The WebSocket of the room server at ``url``.

    Raises:
        ConfigurationError: It is not such a URL.
    """
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    try:
        parsed = URL(url)
        if parsed.scheme in schemes and parsed.host and not parsed.query_string:
            return (parsed.with_fragment(None) / _SIGNALLING_PATH).with_scheme(
                schemes[parsed.scheme]
            )
    except ValueError:
        pass
    raise ConfigurationError(
        f"{url!r} is not the address of a room server: it looks like http://127.0.0.1:8080"
    )


def _reason(error: BaseException) -> str:
    cause = getattr(error, "os_error", error)
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
