"""The places where Roomtape reaches into asyncio, all of them.

aioice has asyncio read its sockets. That takes one datagram each time that it wakes up, and does
not say when it came. tests/rooms/test_aiortc_internals.py says what a new version lacks.
"""

from __future__ import annotations

import asyncio
import socket

REMOVE_READER = "_remove_reader"
SOCKET = "_sock"


def socket_of(transport: asyncio.BaseTransport) -> socket.socket | None:
    """The socket of a transport of the running event loop; None where :func:`leave_unread` cannot
    be called with it."""
    sock = getattr(transport.get_extra_info("socket"), SOCKET, None)
    loop = asyncio.get_running_loop()
    return sock if isinstance(sock, socket.socket) and hasattr(loop, REMOVE_READER) else None


def leave_unread(sock: socket.socket) -> None:
    """Have the running event loop no longer read a transport's socket; it still sends by it, and
    closes it."""
    getattr(asyncio.get_running_loop(), REMOVE_READER)(sock.fileno())
