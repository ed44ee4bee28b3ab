"""Ending a peer connection, whatever it does about it."""

from __future__ import annotations

import asyncio
import logging

from aiortc import RTCPeerConnection

from .aiortc_internals import abandon
from .datagrams.aioice_internals import Door

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 3.0


async def close_connection(connection: RTCPeerConnection, door: Door | None) -> None:
    """End it, and let go of what it holds if it does not end in time. Nothing is told of it any
    more. Never raises; any number of times.

    Args:
        connection: Of aiortc.
        door: Its sockets; None if it has none yet.
    """
    connection.remove_all_listeners()
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await connection.close()
    except Exception as error:
        logger.warning("a connection was not closed as it should be: %r", error)
        if door is not None:
            door.abandon()
        abandon(connection)
