"""The signalling WebSocket: one coroutine a client, from its join to its goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web

from ..types.errors import RoomRefusedError
from .addresses import host_of, household, is_loopback, same_site
from .flow import Pace
from .ice import IceServers
from .link import CLOSE_TIMEOUT_S, Link, Note
from .protocol import (
    MAX_MESSAGE_BYTES,
    Join,
    Leave,
    Message,
    ProtocolError,
    Relay,
    State,
    parse,
)
from .room import Seat
from .rooms import HEARTBEAT_S, NotRelayedError, RefusedError, Rooms
from .token import ResumeKeys, verify_token

JOIN_TIMEOUT_S = 10.0
REFUSED_CODE = 4000
MAX_WAIT_S = 1.0
"""Between two messages of a client that says too much. It must be heard often enough for its
answers to our pings."""
_GOODBYES = (WSCloseCode.OK, WSCloseCode.GOING_AWAY)


class Signalling:
    """Serves the WebSocket.

    Args:
        secret: What tokens are signed with; None lets everybody in.
        loopback: The server listens on the loopback interface only.
        ice: The ICE servers that clients are told of.
        on_entered: Called with the transport of each client that joins a room.
    """

    def __init__(
        self,
        *,
        secret: str | None,
        loopback: bool,
        ice: IceServers,
        on_entered: Callable[[asyncio.Transport | None], None],
    ) -> None:
        self.rooms = Rooms(ResumeKeys(secret), ice)
        self._secret = secret
        self._loopback = loopback
        self._on_entered = on_entered
        self._links: set[Link] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self._secret is None and not self.is_same_site(request):
            return web.Response(status=403, text="pages of other sites may not join rooms here\n")
        ws = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S,
            max_msg_size=MAX_MESSAGE_BYTES,
            timeout=CLOSE_TIMEOUT_S,
            compress=False,
        )
        try:
            await ws.prepare(request)
        except ConnectionError:
            return web.Response()  # The client has gone already, and will not see it.
        link = Link(ws, request.transport)
        self._links.add(link)
        seat: Seat | None = None
        said_goodbye = False
        try:
            seat = await self._admit(link, household(request.remote or ""))
            if seat is not None:
                self._on_entered(link.transport)
                said_goodbye = await self._serve(seat, link)
        finally:
            self._links.discard(link)
            if seat is not None and said_goodbye and seat.link is link:
                self.rooms.vacate(seat, "left")
            unsent = await link.finish()
            if seat is not None:
                self.rooms.leave_away(seat, link, unsent)
        return ws

    def is_same_site(self, request: web.Request) -> bool:
        """Whether this is not a page of another site that reaches for a server without tokens.

        Browsers let any page open a WebSocket to any address, but say whose page it is (Origin).
        A site can also give its own name the address 127.0.0.1 (DNS rebinding); then the Host
        header has that name.
        """
        host = request.headers.get("Host", "")
        if self._loopback and not is_loopback(host_of(host) or ""):
            return False
        origin = request.headers.get("Origin")
        return origin is None or same_site(origin, host)

    async def close(self) -> None:
        """Tell every client that the server goes."""
        for link in tuple(self._links):
            link.end(WSCloseCode.GOING_AWAY)

    async def _admit(self, link: Link, whose: str) -> Seat | None:
        try:
            join = await _receive_join(link)
            if join is None:
                return None
            if self._secret is not None and not self.rooms.knows(join):
                verify_token(self._secret, join.token, room=join.room, uid=join.uid)
            return self.rooms.take_seat(join, link, whose)
        except ProtocolError as error:
            refusal = {"code": "bad_message", "message": str(error)}
        except RoomRefusedError as error:
            refusal = {"code": "bad_token", "message": str(error)}
        except RefusedError as error:
            refusal = {"code": error.code, "message": str(error)}
        link.send(Note.of({"type": "refused", **refusal}))
        link.end(REFUSED_CODE)
        # The client's answer to our closing is read here, or nowhere.
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                async for _ in link.ws:
                    pass
        return None

    async def _serve(self, seat: Seat, link: Link) -> bool:
        """Do what the client says until its WebSocket closes.

        Returns:
            Whether it said goodbye, by a message or by a proper close.
        """
        pace = Pace()
        async for received in link.ws:
            if seat.link is not link:
                return False
            wait_s = pace.said(len(received.data) if isinstance(received.data, str | bytes) else 0)
            try:
                if received.type is not WSMsgType.TEXT:
                    raise ProtocolError("messages are text")
                message = parse(received.data)
            except ProtocolError as error:
                link.complain("bad_message", str(error))
            else:
                if isinstance(message, Leave):
                    link.end(WSCloseCode.OK)
                    return True
                wait_s = max(wait_s, self._do(seat, link, message, pace))
            # Each message lets the others' have their turn; who says too much waits.
            await asyncio.sleep(min(wait_s, MAX_WAIT_S))
        return link.ws.close_code in _GOODBYES

    def _do(self, seat: Seat, link: Link, message: Message, pace: Pace) -> float:
        """Do what a client says.

        Returns:
            For how many seconds not to listen to it.
        """
        match message:
            case State():
                if self.rooms.change_state(seat, message):
                    return pace.changed()
            case Relay():
                try:
                    self.rooms.relay(seat, message)
                except NotRelayedError as error:
                    link.complain(error.code, str(error))
            case Join():
                told = "you have joined already: open another WebSocket to join another room"
                link.complain("bad_message", told)
        return 0.0


async def _receive_join(link: Link) -> Join | None:
    """The client's first message; None if it went away without one.

    Raises:
        ProtocolError: The message is something else, or does not come.
    """
    try:
        # Not the timeout of receive(), which begins anew with each ping.
        async with asyncio.timeout(JOIN_TIMEOUT_S):
            received = await link.ws.receive()
    except TimeoutError:
        raise ProtocolError(f"no join came within {JOIN_TIMEOUT_S:.0f} s") from None
    if received.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
        return None
    if received.type is not WSMsgType.TEXT:
        raise ProtocolError("messages are text")
    message = parse(received.data)
    if not isinstance(message, Join):
        raise ProtocolError("the first message must be a join")
    return message
