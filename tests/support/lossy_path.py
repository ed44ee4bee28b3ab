"""A network between somebody who sends RTP and whoever records it, which loses packets for good."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import cast

import numpy as np
import numpy.typing as npt

Address = tuple[str, int]
_UNHARMED = 50
"""Packets at the beginning: what a lost first word began with, nobody could know."""


class LossyPath(asyncio.DatagramProtocol):
    """Passes on what comes to :attr:`port`; RTP of one stream, a share of it lost.

    Args:
        to: Where it goes.
        loss: The share, each packet for itself.
        clock_hz: Of the stream's timestamps.
    """

    def __init__(self, to: Address, loss: float, clock_hz: int, *, seed: int = 1) -> None:
        self._to, self._loss, self._clock_hz = to, loss, clock_hz
        self._random = random.Random(seed)
        self._transport: asyncio.DatagramTransport | None = None
        self._packets: list[tuple[int, bool]] = []  # timestamp, and whether it was lost
        self.first_at = 0.0
        """When the first packet came, by ``time.time()``."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: Address) -> None:
        del addr
        if len(data) < 12 or 192 <= data[1] <= 223:  # RTCP, in RFC 5761's words
            return
        lost = len(self._packets) >= _UNHARMED and self._random.random() < self._loss
        self.first_at = self.first_at or time.time()
        self._packets.append((int.from_bytes(data[4:8]), lost))
        if not lost:
            assert self._transport is not None
            self._transport.sendto(data, self._to)

    @property
    def _sent(self) -> list[tuple[float, bool]]:
        """Seconds from the first sample, and whether they were lost; up to the last packet that
        came: of any behind it nobody can know."""
        first = self._packets[0][0]
        last = max(n for n, (_, lost) in enumerate(self._packets) if not lost)
        return [
            ((stamp - first) % 2**32 / self._clock_hz, lost)
            for stamp, lost in self._packets[: last + 1]
        ]

    @property
    def _lost(self) -> list[tuple[float, float]]:
        return [(at, end) for (at, lost), (end, _) in pairwise(self._sent) if lost]

    @property
    def last_s(self) -> float:
        """Where the last packet that came begins; how long it is, only itself says."""
        return self._sent[-1][0]

    @property
    def lost_s(self) -> float:
        return sum(end - begin for begin, end in self._lost)

    def known(self, samples: int, rate_hz: int) -> npt.NDArray[np.bool_]:
        """Which of so many samples of what was said arrived."""
        arrived = np.ones(samples, np.bool_)
        for begin_s, end_s in self._lost:
            arrived[round(begin_s * rate_hz) : round(end_s * rate_hz)] = False
        return arrived


@asynccontextmanager
async def lossy_path(
    port: int, *, loss: float, clock_hz: int, seed: int = 1
) -> AsyncIterator[LossyPath]:
    """To a port of this machine, while the block runs."""
    path = LossyPath(("127.0.0.1", port), loss, clock_hz, seed=seed)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: path, ("127.0.0.1", 0))
    try:
        yield path
    finally:
        transport.close()
