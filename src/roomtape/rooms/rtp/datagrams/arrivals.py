"""Takes the datagrams of a room's calls, those of a fiftieth of a second at once.

A process that wakes up for each packet spends more on waking up than on the packet. So while audio
comes, its sockets are looked at every :data:`EVERY_S`; the kernel has noted when each datagram
came. When none has come for so long, the event loop watches them again, and what comes next is
taken at once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

from ....types import NS_PER_S
from ..bounds import MAX_DATAGRAM_BYTES
from .asyncio_internals import leave_unread, socket_of

logger = logging.getLogger(__name__)

Received = Callable[[bytes, tuple[Any, ...], int], bool]
"""Takes a datagram, the address that it came from, and when it came, by ``time.monotonic_ns()``;
whether it was audio. It must not raise."""

EVERY_S = 0.02
"""What most packets hold. All rooms of an event loop look at the same moments."""
_MOST_NS = NS_PER_S // 10
"""What seems to have waited for longer did so because this process was away, or because a clock was
set; the recording deals with that as with what came late."""
_ROOM_BYTES = 1 << 16
"""Some seventy packets, as the kernel counts; Linux gives three times as many to whoever asks."""
_AT_ONCE = 256
"""Datagrams of one socket before others have their turn."""
_MOST_ROUNDS = 16
_ROUNDING = 0.01
_SO_TIMESTAMPNS = 35 if sys.platform == "linux" else 0
"""asm-generic/socket.h; the control message is named the same."""
_TIMESPEC = struct.Struct("@ll")
_CONTROL_BYTES = socket.CMSG_SPACE(_TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 0


class Arrivals:
    """The sockets of one room, on one event loop. It keeps nothing while it has none."""

    def __init__(self) -> None:
        self._sockets: set[socket.socket] = set()
        self._selector: selectors.EpollSelector | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._taking = False
        self._emptied_ns = 0
        """All that is in the sockets has come since then."""

    def add(self, sock: socket.socket, received: Received) -> bool:
        """Take what comes into ``sock``, which nobody else reads, until it is removed.

        Returns:
            False where the kernel notes no times, or has no room for what waits: then it is not
            taken.
        """
        if (
            not _SO_TIMESTAMPNS
            or sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < _ROOM_BYTES
        ):
            return False
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        except OSError:
            return False
        if self._selector is None:
            self._selector = selectors.EpollSelector()
            self._watch(self._selector)
        self._selector.register(sock, selectors.EVENT_READ, received)
        self._sockets.add(sock)
        return True

    def take_over(
        self, transport: asyncio.BaseTransport, received: Received
    ) -> socket.socket | None:
        """As :meth:`add`, for the socket of a transport, which goes on to send and to close it.

        Returns:
            The socket; None where it is still asyncio that reads it.
        """
        sock = socket_of(transport)
        if sock is None or not self.add(sock, received):
            return None
        leave_unread(sock)
        return sock

    def remove(self, sock: socket.socket) -> None:
        """Take nothing more of it; before it is closed. Any number of times."""
        selector = self._selector
        if selector is None or sock not in self._sockets:
            return
        self._sockets.remove(sock)
        selector.unregister(sock)
        if not self._sockets:
            self._selector = None
            if self._timer is None:
                asyncio.get_running_loop().remove_reader(selector)
            else:
                self._timer.cancel()
                self._timer = None
            selector.close()

    def take_waiting(self) -> None:
        """Take what has come, at once."""
        for _ in range(_MOST_ROUNDS):
            if self._take()[1]:
                return

    def _watch(self, selector: selectors.EpollSelector) -> None:
        asyncio.get_running_loop().add_reader(selector, self._readable)

    def _readable(self) -> None:
        audio, emptied = self._take()
        if audio and emptied and self._selector is not None:
            asyncio.get_running_loop().remove_reader(self._selector)
            self._look_later(2)  # at least once EVERY_S from now

    def _look(self) -> None:
        self._timer = None
        audio = emptied = False
        try:
            audio, emptied = self._take()
        finally:  # whatever one datagram led to, others come
            if self._selector is not None:
                if audio and emptied:
                    self._look_later(1)
                else:
                    self._watch(self._selector)

    def _look_later(self, steps: int) -> None:
        loop = asyncio.get_running_loop()
        # A moment that a timer was late or early for is the one that it was set to.
        step = math.floor(loop.time() / EVERY_S + _ROUNDING) + steps
        self._timer = loop.call_at(step * EVERY_S, self._look)

    def _take(self) -> tuple[bool, bool]:
        """Whether there was audio, and whether nothing waits now."""
        selector = self._selector
        if selector is None or self._taking:
            return False, True
        self._taking = True
        try:
            now_ns = time.monotonic_ns()
            monotonic_ns = now_ns - time.time_ns()
            since_ns = max(self._emptied_ns, now_ns - _MOST_NS)
            audio, emptied = False, True
            for key, _ in selector.select(0):
                taken, empty = _take_all(key.fileobj, key.data, monotonic_ns, since_ns, now_ns)
                audio, emptied = audio or taken, emptied and empty
            if emptied:
                self._emptied_ns = now_ns
            return audio, emptied
        finally:
            self._taking = False


def _take_all(
    sock: Any, received: Received, monotonic_ns: int, since_ns: int, now_ns: int
) -> tuple[bool, bool]:
    """Whether there was audio, and whether the socket is empty now. What was noted by the wall
    clock is ``monotonic_ns`` less on it."""
    audio = False
    for _ in range(_AT_ONCE):
        try:
            # One byte more than may be: what is longer must look so.
            data, control, _, address = sock.recvmsg(MAX_DATAGRAM_BYTES + 1, _CONTROL_BYTES)
        except (BlockingIOError, InterruptedError):
            return audio, True
        except OSError as error:  # an ICMP error is told so, once; or the socket was closed
            logger.debug("a socket says %s", error)
            return audio, False
        arrived_ns = now_ns
        if control and len(control[0][2]) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(control[0][2])
            noted_ns = seconds * NS_PER_S + nanoseconds + monotonic_ns
            # Within what is possible, whatever happened to the wall clock.
            arrived_ns = min(max(noted_ns, since_ns), now_ns)
        if received(data, address, arrived_ns):
            audio = True
    return audio, False
