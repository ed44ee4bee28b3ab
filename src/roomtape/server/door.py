"""The sockets: who may connect, how many at once, and how long without joining a room.

A connection costs a descriptor, and they are few. So each has :data:`ENTER_WITHIN_S` from its last
request to join a room; an address has at most so many, and the server as well. Where there is no
more room, the one that has been idle for longest makes way for the new one. Who has joined a
room is never put out.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections import Counter
from collections.abc import Callable

from .addresses import household, is_loopback
from .seldom import Seldom

logger = logging.getLogger(__name__)
logger.addFilter(Seldom())

ENTER_WITHIN_S = 15.0
"""A page asks for its three files within a second; a join must come 10 s after its WebSocket."""
MAX_PER_ADDRESS = 256
"""Eight full rooms. A proxy in front of the server is one address for all: it needs more."""
_BACKLOG = 1024
_RETRY_S = 0.5


def most_connections() -> int:
    """How many fit: three quarters of the descriptors that the process may have."""
    return max(16, resource.getrlimit(resource.RLIMIT_NOFILE)[0] * 3 // 4)


class Door:
    """Accepts connections for a protocol, and keeps count of them.

    Args:
        factory: Makes the protocol of each connection.
        most_per_address: Connections of one address (of one /64 of IPv6).
    """

    def __init__(self, factory: Callable[[], asyncio.Protocol], *, most_per_address: int) -> None:
        self._factory = factory
        self._most_per_address = most_per_address
        self._most = most_connections()
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._open: Counter[str] = Counter()
        # Those that have joined no room, the one that has been idle for longest first.
        self._idle: dict[asyncio.BaseTransport, Visitor] = {}

    async def listen(self, host: str, port: int, *, only_loopback: bool) -> int:
        """Begin to accept connections.

        Args:
            only_loopback: Whatever the name says, refuse any other address.

        Returns:
            The port, which the system chose if ``port`` is 0.

        Raises:
            OSError: The address or the port cannot be had.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                if only_loopback and not is_loopback(str(address[0])):
                    raise OSError(f"{host} is {address[0]}, which is not this machine alone")
                at = (address[0], port, *address[2:])
                listening = socket.create_server(at, family=family, backlog=_BACKLOG)
                listening.setblocking(False)
                self._sockets.append(listening)
                port = listening.getsockname()[1]
        except OSError:
            await self.close()
            raise
        self._accepting = [loop.create_task(self._accept(each)) for each in self._sockets]
        return port

    async def close(self) -> None:
        """Accept no more; the connections stay. Can be called twice."""
        tasks, self._accepting = self._accepting, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for listening in self._sockets:
            listening.close()
        self._sockets.clear()

    def requested(self, transport: asyncio.BaseTransport | None) -> None:
        """A connection made a request: its time to join a room begins anew."""
        visitor = self._idle.pop(transport, None) if transport is not None else None
        if visitor is not None and transport is not None:
            self._idle[transport] = visitor
            visitor.wait(ENTER_WITHIN_S)

    def entered(self, transport: asyncio.BaseTransport | None) -> None:
        """A connection joined a room."""
        visitor = self._idle.pop(transport, None) if transport is not None else None
        if visitor is not None:
            visitor.wait(None)

    def came(self, visitor: Visitor, transport: asyncio.Transport) -> None:
        """For :class:`Visitor`."""
        self._open[visitor.household] += 1
        self._idle[transport] = visitor
        visitor.wait(ENTER_WITHIN_S)

    def went(self, visitor: Visitor, transport: asyncio.BaseTransport) -> None:
        """For :class:`Visitor`."""
        visitor.wait(None)
        self._idle.pop(transport, None)
        self._open[visitor.household] -= 1
        if not self._open[visitor.household]:
            del self._open[visitor.household]

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError as error:
                # Out of descriptors, which others of this process have taken.
                logger.warning("connections cannot be accepted: %s", error.strerror or error)
                self._make_way(None)
                await asyncio.sleep(_RETRY_S)
                continue
            whose = household(str(address[0]))
            if not self._has_room(whose):
                connection.close()
                # Nobody else is kept waiting by one who comes again and again.
                await asyncio.sleep(0)
                continue
            try:
                await loop.connect_accepted_socket(
                    lambda: Visitor(self, self._factory(), whose),  # noqa: B023 (called at once)
                    connection,
                )
            except OSError:
                connection.close()

    def _has_room(self, whose: str) -> bool:
        """Whether one more connection fits, if need be in place of an idle one."""
        if self._open[whose] >= self._most_per_address:
            logger.warning(
                "%s has %d connections, which is the most for one address: its idle ones are "
                "closed, or else new ones",
                whose,
                self._most_per_address,
            )
            return self._make_way(whose)
        if self._open.total() >= self._most:
            logger.warning(
                "there are %d connections, and no descriptors for more: idle ones are closed, or "
                "else new ones",
                self._most,
            )
            return self._make_way(None)
        return True

    def _make_way(self, whose: str | None) -> bool:
        """Close the connection (of one address) that has been idle for longest, if there is one."""
        for visitor in self._idle.values():
            if whose in (None, visitor.household):
                visitor.put_out()
                return True
        return False


class Visitor(asyncio.Protocol):
    """One connection: passes everything on to the protocol that serves it."""

    def __init__(self, door: Door, inner: asyncio.Protocol, whose: str) -> None:
        self.household = whose
        self._door = door
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def wait(self, seconds: float | None) -> None:
        """Put the connection out after so long; None: never."""
        if self._deadline is not None:
            self._deadline.cancel()
        loop = asyncio.get_running_loop()
        self._deadline = None if seconds is None else loop.call_later(seconds, self.put_out)

    def put_out(self) -> None:
        """Close the connection, now."""
        if self._transport is not None:
            transport, self._transport = self._transport, None
            self._door.went(self, transport)
            transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._door.came(self, transport)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            self._door.went(self, transport)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
