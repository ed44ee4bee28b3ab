"""A lossy network between a LiveKit server and those who hear it, without being root.

The server tells clients to send to ``127.0.0.3`` (``node_ip``, ICE-lite so that it finds no way
around); there stands this relay, and passes everything on to the server's own port. What the server
sends to clients as RTP is dropped at random.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

ADDRESS = "127.0.0.3"


class LiveKitRelay:
    """Passes datagrams on, from :meth:`open` to :meth:`close`.

    Args:
        port: Of the server, at 127.0.0.1, and of the relay.
        loss: The share of RTP packets from the server that is dropped while it is ``lossy``.

    Attributes:
        longer_s: By so much longer is the way to the server of whoever comes from now on.
        passed: How many packets of audio came while it was not lossy.
        sent: How many the server has sent while it was ...
        lost: ... and how many of them did not come the first time.
    """

    def __init__(self, port: int, *, loss: float) -> None:
        self._port = port
        self._loss = loss
        self._random = random.Random(1)
        self._clients: dict[Any, asyncio.DatagramTransport] = {}
        self._opening: dict[Any, list[bytes]] = {}
        self._front: asyncio.DatagramTransport | None = None
        self._seen: set[tuple[bytes, bytes]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.lossy = False
        self.longer_s = 0.0
        self._longer_s: dict[Any, float] = {}
        self.sent = self.lost = self.passed = 0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(self._from_client), local_addr=(ADDRESS, self._port)
        )

    async def close(self) -> None:
        for transport in (self._front, *self._clients.values()):
            if transport is not None:
                transport.close()

    def _from_client(self, data: bytes, address: Any) -> None:
        if address in self._clients:
            longer_s = self._longer_s[address]
            if longer_s:
                loop = asyncio.get_running_loop()
                loop.call_later(longer_s, self._clients[address].sendto, data)
            else:
                self._clients[address].sendto(data)
        elif address in self._opening:
            self._opening[address].append(data)
        else:
            self._opening[address] = [data]
            self._longer_s[address] = self.longer_s
            task = asyncio.get_running_loop().create_task(self._connect(address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, address: Any) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Receiver(lambda data, _: self._from_server(data, address)),
            remote_addr=("127.0.0.1", self._port),
        )
        self._clients[address] = transport
        for data in self._opening.pop(address):
            transport.sendto(data)

    def _from_server(self, data: bytes, address: Any) -> None:
        assert self._front is not None
        if not self.lossy:
            self.passed += _is_rtp(data)
        elif _is_rtp(data):
            packet = (data[8:12], data[2:4])  # SSRC and sequence number, which SRTP leaves open
            first = packet not in self._seen
            self._seen.add(packet)
            drop = self._random.random() < self._loss
            self.sent += first
            self.lost += first and drop
            if drop:
                return
        self._front.sendto(data, address)


class _Receiver(asyncio.DatagramProtocol):
    def __init__(self, take: Any) -> None:
        self.datagram_received = take


def _is_rtp(data: bytes) -> bool:
    """Neither STUN nor DTLS (RFC 7983) nor RTCP (RFC 5761)."""
    return len(data) > 12 and 128 <= data[0] <= 191 and not 192 <= data[1] <= 223
