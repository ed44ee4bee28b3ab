"""The places where Roomtape reaches into aioice, all of them.

aioice opens the sockets of a call. It offers no way to put 127.0.0.1 among its addresses, takes
whatever comes as fast as it comes, lets what a broken datagram raises out to the event loop, and
notices after 30 s that nothing comes any more. :class:`Door` stands before each socket of a call.

As in :mod:`..aiortc_internals`, single objects are changed and never classes, which other parts of
the program may use; tests/rooms/test_aiortc_internals.py says what a new version lacks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from aioice import Candidate, Connection
from aioice.ice import CandidatePair

from ....types import NS_PER_S
from ..bounds import MAX_CANDIDATES, MAX_DATAGRAM_BYTES, Excess, MediaBounds, TokenBucket
from .arrivals import Arrivals, Received

logger = logging.getLogger(__name__)

GATHER = "get_component_candidates"
LOOPBACK = "127.0.0.1"
RECEIVE_BUFFER_BYTES = 4 << 20
"""What the kernel keeps while this process is busy: a minute and more of audio."""
DEAD_AFTER_NS = 5 * NS_PER_S
"""A path over which nothing at all has come for so long is dead."""
_ASK_AFTER_NS = NS_PER_S
"""Whoever was quiet for so long is asked, by STUN, whether it is there ..."""
_ASK_EACH_S = 0.4
"""... again and again, since requests and answers are lost as well."""
STRANGERS = (300, 100.0)
"""Datagrams from an address over which no check has succeeded yet (RFC 8445)."""
_SO_RCVBUFFORCE = getattr(socket, "SO_RCVBUFFORCE", 33)
_SO_MEMINFO = 55
_DROPS = 8
"""The place of the drops in it (linux/sock_diag.h)."""


class Door:
    """Stands before the sockets of one ICE connection, until that is closed.

    :meth:`open` once, before candidates are gathered. What comes too fast, is too long, or makes
    aioice raise is left out and counted.

    Args:
        ice: The connection.
        loopback: Have an address at 127.0.0.1 as well, which ICE leaves out (RFC 8445, section
            5.1.1.1). Without it, a machine without a network has no address at all.
        bounds, excess: What may come, and where the rest is counted.
        take: Asked first with what comes from where the peer is known to be, and when it came;
            True: it has taken it.
        arrivals: By whom the sockets are read, where that can be.
    """

    def __init__(
        self,
        ice: Connection,
        *,
        loopback: bool,
        bounds: MediaBounds,
        excess: Excess,
        take: Callable[[bytes, int], bool] = lambda *_: False,
        arrivals: Arrivals | None = None,
    ) -> None:
        self._ice = ice
        self._arrivals = arrivals
        self._loopback = loopback
        self._excess = excess
        self._take = take
        self._known = TokenBucket(bounds.datagrams, bounds.datagrams_a_second)
        self._strangers = TokenBucket(*STRANGERS)
        self._paths: set[tuple[Any, ...]] = set()
        """Addresses from which the peer has proved that it is there. Its audio may come from any of
        them: each side chooses for itself where it sends from."""
        self._heard_ns = time.monotonic_ns()
        self._sockets: list[Any] = []
        self._gathering: asyncio.Task[list[Candidate]] | None = None
        self._dropped = self._told_dropped = 0

    def open(self) -> None:
        gather = getattr(self._ice, GATHER)

        async def gather_and_watch(component: int, addresses: list[str]) -> list[Candidate]:
            more = [LOOPBACK] if self._loopback else []
            candidates: list[Candidate] = await gather(
                component=component, addresses=[*addresses, *more]
            )
            for protocol in self._ice._protocols:
                self._watch(protocol)
            return candidates

        async def gather_to_the_end(component: int, addresses: list[str]) -> list[Candidate]:
            # aioice knows of its sockets when it has all of them: cancelled, it would lose them.
            loop = asyncio.get_running_loop()
            self._gathering = loop.create_task(gather_and_watch(component, addresses))
            try:
                return await asyncio.shield(self._gathering)
            except asyncio.CancelledError:
                self._gathering.add_done_callback(self._gathered_in_vain)
                raise

        setattr(self._ice, GATHER, gather_to_the_end)

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel dropped because this process did not take them in time."""
        return sum(map(_drops, self._sockets))

    def take_dropped(self) -> int:
        """How many since it was asked last, as far as :meth:`watch_path` has looked."""
        new, self._told_dropped = self._dropped - self._told_dropped, self._dropped
        return new

    async def watch_path(self) -> None:
        """Close the connection when nothing has come over its path for :data:`DEAD_AFTER_NS`. Begin
        when it is connected; returns when it is closed."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _ASK_EACH_S
            await asyncio.sleep(_ASK_EACH_S)
            if not self._ice._nominated:
                return  # the other side has closed it
            if loop.time() - due > 1.0:
                self._heard_ns = time.monotonic_ns()  # it was this process that was away
            self._count_dropped()
            quiet_ns = time.monotonic_ns() - self._heard_ns
            if quiet_ns >= DEAD_AFTER_NS:
                logger.info("nothing has come for %.1f s: this path is dead", quiet_ns / NS_PER_S)
                await self._ice.close()
                return
            if quiet_ns >= _ASK_AFTER_NS:
                self._ask()

    def abandon(self) -> None:
        """Close the sockets at once."""
        for protocol in self._ice._protocols:
            protocol.transport.abort()

    def _count_dropped(self) -> None:
        dropped = self.dropped
        if dropped > self._dropped:
            what = "datagrams, more than this machine had the time to take"
            self._excess.add(what, dropped - self._dropped)
            self._dropped = dropped

    def _gathered_in_vain(self, gathering: asyncio.Task[list[Candidate]]) -> None:
        if not gathering.cancelled() and gathering.exception() is not None:
            logger.debug("no addresses: %r", gathering.exception())
        self.abandon()

    def _ask(self) -> None:
        for pair in self._ice._nominated.values():
            request = self._ice.build_request(pair, nominate=False)
            request.add_message_integrity((self._ice.remote_password or "").encode())
            pair.protocol.send_stun(request, pair.remote_addr)

    def _is_path(self, address: tuple[Any, ...]) -> bool:
        """Has the peer answered a check that was sent there, or sent one that chooses it?"""
        for pair in self._ice._check_list:
            proved = pair.state is CandidatePair.State.SUCCEEDED or pair.remote_nominated
            if proved and pair.remote_addr == address[:2]:
                self._paths.add(address)
                return True
        return False

    def _watch(self, protocol: Any) -> None:
        receive: Callable[[bytes, tuple[Any, ...]], None] = protocol.datagram_received

        def received(data: bytes, address: tuple[Any, ...], arrived_ns: int) -> bool:
            known = address in self._paths or self._is_path(address)
            if len(data) > MAX_DATAGRAM_BYTES:
                self._excess.add(f"datagrams of more than {MAX_DATAGRAM_BYTES} bytes")
            elif not (self._known if known else self._strangers).take(arrived_ns):
                self._excess.add("datagrams")
            elif not known and len(self._ice.remote_candidates) > 2 * MAX_CANDIDATES:
                self._excess.add("addresses that packets come from")
            else:
                if known or not self._ice._nominated:
                    self._heard_ns = max(self._heard_ns, arrived_ns)
                if known and data and self._take(data, arrived_ns):
                    return True
                try:
                    receive(data, address)
                except Exception as error:
                    self._excess.add("datagrams that are broken")
                    logger.debug("a datagram is left out: %r", error)
            return False

        def received_now(data: bytes, address: tuple[Any, ...]) -> None:
            received(data, address, time.monotonic_ns())

        protocol.datagram_received = received_now
        sock = protocol.transport.get_extra_info("socket")
        if sock is not None:  # a TURN server's has none of its own
            self._sockets.append(sock)
            _enlarge(sock)
            if self._arrivals is not None:
                self._read_by(self._arrivals, protocol, received)

    def _read_by(self, arrivals: Arrivals, protocol: Any, received: Received) -> None:
        lost: Callable[[Exception | None], None] = protocol.connection_lost
        sock = arrivals.take_over(protocol.transport, received)
        if sock is None:
            return

        def gone(error: Exception | None) -> None:
            arrivals.remove(sock)
            lost(error)

        protocol.connection_lost = gone


def _enlarge(sock: Any) -> None:
    """As much receive buffer as this process may have."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    except OSError:  # only root may have more than net.core.rmem_max
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


def _drops(sock: Any) -> int:
    try:
        numbers = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_DROPS + 1))
        return int(struct.unpack_from("I", numbers, 4 * _DROPS)[0])
    except (OSError, struct.error):  # closed, or no Linux
        return 0
