"""A bad network between the participants of a room: a relay that does real harm to real packets.

Participants join at :attr:`Relay.url` instead of the server's own. Signalling passes through to
the server; only the addresses (ICE candidates) in it are replaced by ones of ours, so that every
packet between two participants comes by here. RTP is harmed as the :class:`Way` of its
direction says; STUN, DTLS and, if not asked for otherwise, RTCP pass at once.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from aiohttp import web

Address = tuple[str, int]
LOOPBACK = "127.0.0.1"
PACKET_S = 0.02
"""What an RTP packet of Opus holds."""
_PACKET_BYTES = 65536


@dataclass
class Counts:
    """What became of the RTP packets of one SSRC, exactly.

    Attributes:
        came: From the sender.
        lost: Never delivered.
        delivered: Copies not counted.
        copied: How many were delivered once more.
        overtaken: Delivered after one that was sent later.
        numbers, missed, got: The sequence numbers that were sent, those lost when they were sent
            first, and those that were delivered in the end. A count is of fewer than 65536.
    """

    came: int = 0
    lost: int = 0
    delivered: int = 0
    copied: int = 0
    overtaken: int = 0
    highest: int | None = None
    numbers: set[int] = field(default_factory=set)
    missed: set[int] = field(default_factory=set)
    got: set[int] = field(default_factory=set)

    @property
    def dropped(self) -> int:
        """Packets lost when they were sent first."""
        return len(self.missed)

    @property
    def resent(self) -> int:
        """Packets lost at first, and delivered when they were sent again."""
        return len(self.missed & self.got)


@dataclass
class Way:
    """One direction between two participants. Any value can be changed at any time.

    Attributes:
        loss: The share of packets that is lost, each for itself.
        cut: Everything is lost.
        delay_s: How long each packet travels.
        jitter_s: Each travels up to so much longer, but none overtakes another.
        reordered: The share of packets that travels up to ``reorder_s`` longer, and is overtaken.
        held_until_s: Everything waits until then, on the event loop's clock ...
        pace_s: ... and packets come out so far apart at least, as from a narrow link.
        copies: The share of packets that comes twice, the copy up to ``reorder_s`` later.
        rtcp: RTCP is lost, too, and takes as long.
        nack: What is said of answering NACKs passes; else nobody hears of it.
        counts: By SSRC.
    """

    loss: float = 0.0
    cut: bool = False
    delay_s: float = 0.0
    jitter_s: float = 0.0
    reordered: float = 0.0
    reorder_s: float = 0.06
    held_until_s: float = 0.0
    pace_s: float = 1e-6  # timers of the same moment come in any order
    copies: float = 0.0
    rtcp: bool = False
    nack: bool = True
    random: random.Random = field(default_factory=random.Random)
    counts: defaultdict[int, Counts] = field(default_factory=lambda: defaultdict(Counts))
    _last_s: float = 0.0

    def total(self, what: str) -> int:
        """The sum of one of the counts over all streams of this direction."""
        return sum(getattr(each, what) for each in self.counts.values())

    def carry(self, packet: bytes, deliver: Callable[[bytes], None]) -> None:
        """Take a packet; ``deliver`` it as the network would."""
        if not _is_rtp(packet):
            self._carry_other(packet, deliver)
            return
        counts = self.counts[int.from_bytes(packet[8:12])]
        counts.came += 1
        number = int.from_bytes(packet[2:4])
        first = number not in counts.numbers
        counts.numbers.add(number)
        if self.cut or self.random.random() < self.loss:
            counts.lost += 1
            if first:
                counts.missed.add(number)
            return
        counts.got.add(number)
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        due_s = now_s + self.delay_s + self.random.uniform(0, self.jitter_s)
        due_s = max(due_s, self.held_until_s, self._last_s + self.pace_s)
        self._last_s = due_s
        if self.random.random() < self.reordered:
            due_s += self.random.uniform(PACKET_S, self.reorder_s)
        if due_s <= now_s:
            self._deliver(packet, counts, deliver)
        else:
            loop.call_at(due_s, self._deliver, packet, counts, deliver)
        if self.random.random() < self.copies:
            counts.copied += 1
            loop.call_at(due_s + self.random.uniform(0, self.reorder_s), deliver, packet)

    def _carry_other(self, packet: bytes, deliver: Callable[[bytes], None]) -> None:
        if not (self.rtcp and _is_rtcp(packet)):
            deliver(packet)
        elif self.random.random() >= self.loss:
            asyncio.get_running_loop().call_later(self.delay_s, deliver, packet)

    @staticmethod
    def _deliver(packet: bytes, counts: Counts, deliver: Callable[[bytes], None]) -> None:
        number = int.from_bytes(packet[2:4])
        counts.delivered += 1
        if counts.highest is not None and (counts.highest - number) % 65536 in range(1, 32768):
            counts.overtaken += 1
        else:
            counts.highest = number
        deliver(packet)


class _Face(asyncio.DatagramProtocol):
    """The socket that one participant takes for the other."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.peer: Address | None = None  # who talks to this face
        self.beyond: _Face | None = None  # what the other participant talks to
        self.transport: asyncio.DatagramTransport | None = None
        self.dead = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own datagram transports do not say that they are such (until 3.13).
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        # ICE also tries the machine's other addresses, to which no answer finds its way.
        if addr == self.peer and self.beyond is not None and not self.dead:
            self.way.carry(data, self.beyond.send)

    def error_received(self, exc: Exception) -> None:
        """The participant has closed its socket."""

    def send(self, packet: bytes) -> None:
        assert self.transport is not None
        if self.peer is not None and not self.transport.is_closing():
            self.transport.sendto(packet, self.peer)

    def rewritten(self, sdp: str) -> str:
        """Remember where the participant whose description this is can be reached, and say that
        it can be reached at the other face."""
        assert self.beyond is not None
        assert self.beyond.transport is not None
        host, port = self.beyond.transport.get_extra_info("sockname")
        lines = []
        for line in sdp.splitlines():
            if line.startswith("a=candidate:"):
                words = line.split(" ")
                if words[4] != LOOPBACK:
                    continue
                self.peer = (words[4], int(words[5]))
                words[4:6] = [host, str(port)]
                lines.append(" ".join(words))
            else:
                lines.append(line)
        assert self.peer is not None, f"no candidate on {LOOPBACK} in this description:\n{sdp}"
        return "\r\n".join([*lines, ""])


class Relay:
    """See the module's text.

    Args:
        server_url: The room server.
        seed: Of everything that is random.
        nack: Whether participants hear that they can ask each other again for what is lost.
    """

    def __init__(self, server_url: str, *, seed: int = 1, nack: bool = True) -> None:
        self._server_url = server_url
        self._seed = seed
        self._nack = nack
        self._ways: dict[tuple[str, str], Way] = {}
        self._lines: dict[frozenset[str], dict[str, _Face]] = {}
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._runner: web.AppRunner | None = None
        self._http: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        """Where the participants join."""
        assert self._runner is not None
        return f"http://{LOOPBACK}:{self._runner.addresses[0][1]}"

    def way(self, sender: str, receiver: str) -> Way:
        """What ``sender`` says to ``receiver`` goes this way, now and after any new call."""
        key = (sender, receiver)
        if key not in self._ways:
            dice = random.Random(f"{self._seed} {sender} {receiver}")
            self._ways[key] = Way(random=dice, nack=self._nack)
        return self._ways[key]

    def kill_path(self, one: str, other: str) -> None:
        """From now on nothing passes between the two, of whatever kind, until they have made
        another path."""
        for face in self._lines[frozenset((one, other))].values():
            face.dead = True

    def drop_websocket(self, uid: str) -> None:
        """Cut the signalling of a participant; it may come back."""
        if uid in self._sockets:
            _cut(self._sockets[uid])

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/ws", self._signalling)
        self._http = aiohttp.ClientSession()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, 0).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        assert self._http is not None
        await self._runner.cleanup()
        await self._http.close()
        for pair in tuple(self._lines):
            self._hang_up(pair)

    async def _signalling(self, request: web.Request) -> web.StreamResponse:
        assert self._http is not None
        try:
            above = await self._http.ws_connect(f"{self._server_url}/ws")
        except aiohttp.ClientError:
            return web.Response(status=502)
        below = web.WebSocketResponse(timeout=1.0)
        await below.prepare(request)
        uids: list[str] = []
        up = asyncio.create_task(self._pump(below, above, uids))
        down = asyncio.create_task(self._pump(above, below, uids))
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        # One side closed: so does the other, and in the same way.
        for ended, other in ((up, above), (down, below)):
            if ended.done():
                code = await ended
                if code in (None, aiohttp.WSCloseCode.ABNORMAL_CLOSURE):
                    _cut(other)
                else:
                    await other.close(code=code)
        await asyncio.wait((up, down))
        await above.close()
        for uid in uids:
            if self._sockets.get(uid) is below:
                del self._sockets[uid]
        return below

    async def _pump(self, source: Any, sink: Any, uids: list[str]) -> int | None:
        """Pass messages on until ``source`` closes; return with what code it did."""
        async for received in source:
            if received.type is not aiohttp.WSMsgType.TEXT:
                continue
            message = json.loads(received.data)
            match message["type"]:
                case "join":
                    uids.append(message["uid"])
                    self._sockets[message["uid"]] = source
                    if not message.get("resume"):
                        self._hang_up_all(message["uid"])
                case "leave":
                    self._hang_up_all(uids[-1])
                case "offer" | "answer" if "to" in message:
                    await self._redirect(uids[-1], message)
                case "candidate":
                    continue  # The descriptions have them all.
                case "left":
                    self._hang_up(frozenset((uids[-1], message["uid"])))
            try:
                await sink.send_str(json.dumps(message))
            except ConnectionError:
                break
        code: int | None = source.close_code
        return code

    async def _redirect(self, sender: str, message: dict[str, Any]) -> None:
        pair = frozenset((sender, message["to"]))
        if message["type"] == "offer":
            self._hang_up(pair)
            await self._connect(sender, message["to"])
        if pair in self._lines:
            message["sdp"] = self._lines[pair][sender].rewritten(message["sdp"])
            if not self.way(sender, message["to"]).nack:
                message["sdp"] = re.sub(r"a=rtcp-fb:.* nack\r\n", "", message["sdp"])

    async def _connect(self, one: str, other: str) -> None:
        faces = {one: _Face(self.way(one, other)), other: _Face(self.way(other, one))}
        faces[one].beyond, faces[other].beyond = faces[other], faces[one]
        loop = asyncio.get_running_loop()
        for face in faces.values():
            await loop.create_datagram_endpoint(partial(_same, face), local_addr=(LOOPBACK, 0))
        self._lines[frozenset(faces)] = faces

    def _hang_up_all(self, uid: str) -> None:
        for pair in [each for each in self._lines if uid in each]:
            self._hang_up(pair)

    def _hang_up(self, pair: frozenset[str]) -> None:
        for face in self._lines.pop(pair, {}).values():
            assert face.transport is not None
            face.transport.close()


def _same(face: _Face) -> _Face:
    return face


def _is_rtp(packet: bytes) -> bool:
    """RFC 7983 tells RTP and RTCP from STUN and DTLS, RFC 5761 one from the other."""
    return len(packet) >= 12 and 128 <= packet[0] <= 191 and not 192 <= packet[1] <= 223


def _is_rtcp(packet: bytes) -> bool:
    return len(packet) >= 8 and 128 <= packet[0] <= 191 and 192 <= packet[1] <= 223


def _cut(websocket: Any) -> None:
    """As a failing network does: without a word."""
    if isinstance(websocket, web.WebSocketResponse):
        transport = websocket._req.transport if websocket._req is not None else None
        if transport is not None:
            transport.abort()
        return
    connection = websocket.get_extra_info("socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
