"""Participants that do their worst: ``python hostile.py URL ROOM VICTIM SECONDS``.

It prints ``ready``. For each line on its standard input, ``ATTACK,ATTACK,...``, one for each joins,
attacks the participant VICTIM for so long, and leaves; then ``over`` is printed. They speak the
protocol by themselves, since our own client would not do any of this.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import secrets
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtp import RtcpByePacket, RtcpRtpfbPacket, RtpPacket

UFRAG = "a=ice-ufrag:abcd\r\na=ice-pwd:" + "x" * 22 + "\r\na=setup:actpass\r\na=rtcp-mux\r\n"
FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\n"


def candidate(number: int) -> str:
    """A well-formed candidate, unlike any other."""
    host = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return f"{number} 1 udp {2**31 - number} {host} {1024 + number % 60000} typ host"


def offer(sections: int = 1, candidates: int = 0, codecs: str = "96") -> str:
    """An offer that nothing stands behind."""
    mids = " ".join(str(number) for number in range(sections))
    lines = "".join(f"a=candidate:{candidate(number)}\r\n" for number in range(candidates))
    head = f"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\n"
    return head + "".join(
        f"m=audio 9 UDP/TLS/RTP/SAVPF {codecs}\r\nc=IN IP4 0.0.0.0\r\na=sendrecv\r\n"
        f"a=mid:{number}\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\n"
        f"{UFRAG}{FINGERPRINT}{lines if not number else ''}"
        for number in range(sections)
    )


class RefusedError(Exception):
    """The server does not let us in, or not yet."""


class Hostile:
    """A seat in a room, and calls to one who is there."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, victim: str) -> None:
        self.ws = ws
        self.victim = victim
        self.answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def tell(self, **message: Any) -> None:
        await self.ws.send_json({"to": self.victim, **message})

    async def listen(self) -> None:
        async for received in self.ws:
            message = received.json()
            if message["type"] == "answer":
                self.answers.put_nowait(message)

    @asynccontextmanager
    async def calling(self, sections: int = 1, codec: str = "opus") -> Any:
        """A real call, over which anything can be sent."""
        connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        for _ in range(sections):
            transceiver = connection.addTransceiver("audio")
            transceiver.setCodecPreferences(
                [
                    each
                    for each in RTCRtpSender.getCapabilities("audio").codecs
                    if each.name.lower() == codec
                ]
            )
        ice = connection.getTransceivers()[0].receiver.transport.transport.iceGatherer._connection
        gather = ice.get_component_candidates

        async def on_loopback(component: int, addresses: list[str]) -> Any:
            return await gather(component=component, addresses=["127.0.0.1"])

        ice.get_component_candidates = on_loopback
        await connection.setLocalDescription()
        name = secrets.token_hex(4)
        await self.tell(type="offer", call=name, sdp=connection.localDescription.sdp)
        async with asyncio.timeout(30):
            while (answer := await self.answers.get())["call"] != name:
                pass
            await connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
            while connection.connectionState != "connected":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        try:
            yield Line(connection, answer["sdp"])
        finally:
            await connection.close()


class Line:
    """Sends what it is told over a call."""

    def __init__(self, connection: RTCPeerConnection, answer: str) -> None:
        self.connection = connection
        self.answer = answer
        self.sender = connection.getSenders()[0]
        self._numbers = itertools.count(random.randrange(1000))

    async def rtp(
        self, payload: bytes, timestamp: int, *, ssrc: int | None = None, payload_type: int = 96
    ) -> None:
        packet = RtpPacket(
            payload_type=payload_type,
            sequence_number=next(self._numbers) % 65536,
            timestamp=timestamp % 2**32,
        )
        packet.ssrc = self.sender._ssrc if ssrc is None else ssrc
        packet.payload = payload
        await self.sender.transport._send_rtp(packet.serialize())

    async def rtcp(self, packet: RtcpByePacket | RtcpRtpfbPacket) -> None:
        await self.sender.transport._send_rtp(bytes(packet))


QUIET = bytes.fromhex("f8fffe")
"""20 ms of digital silence in Opus."""


async def candidates(me: Hostile, seconds: float) -> None:
    """714 a second, for one call."""
    await me.tell(type="offer", call="c", sdp=offer())
    for number in range(int(seconds * 714)):
        text = {"candidate": f"candidate:{candidate(number)}", "sdpMid": "0", "sdpMLineIndex": 0}
        await me.tell(type="candidate", call="c", candidate=text)
        if number % 7 == 0:
            await asyncio.sleep(0.0098)


async def offers(me: Hostile, seconds: float) -> None:
    """Ten a second, each with 900 candidates."""
    for number in range(int(seconds * 10)):
        await me.tell(type="offer", call=f"o{number}", sdp=offer(candidates=900))
        await asyncio.sleep(0.1)


async def sections(me: Hostile, seconds: float) -> None:
    """As many sections as a message holds, twice a second."""
    for number in range(int(seconds * 2)):
        await me.tell(type="offer", call=f"s{number}", sdp=offer(31, codecs="96 0"))
        await me.tell(type="offer", call=f"t{number}", sdp=offer(160))
        await asyncio.sleep(0.5)


async def ssrcs(me: Hostile, seconds: float) -> None:
    """300 streams in one track, in one call after the other."""
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        async with me.calling() as line:
            for number in range(300):
                await line.rtp(QUIET, number * 960, ssrc=1000 + number)
                if number % 3 == 0:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(2.0)  # a receiver report or two


async def flood(me: Hostile, seconds: float) -> None:
    """2,025 packets a second, of 20 ms each."""
    async with me.calling() as line:
        for number in range(int(seconds * 2025)):
            await line.rtp(QUIET, number * 960)
            if number % 20 == 0:
                await asyncio.sleep(20 / 2025)


async def timestamps(me: Hostile, seconds: float) -> None:
    """Timestamps that make no sense, so that the jitter does not fit into a report."""
    async with me.calling() as line:
        for number in range(int(seconds * 100)):
            await line.rtp(QUIET, (2**32 - 1) * (number % 2))
            await asyncio.sleep(0.01)


async def nacks(me: Hostile, seconds: float) -> None:
    """Asks for everything again, all the time."""
    async with me.calling() as line:
        receiver = line.connection.getReceivers()[0]
        ssrcs = list(receiver._RTCRtpReceiver__remote_streams) or [1]
        for number in range(int(seconds * 100)):
            lost = [(17 * each + number) % 65536 for each in range(300)]
            for ssrc in ssrcs:
                await line.rtcp(
                    RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=ssrc, lost=sorted(set(lost)))
                )
            await asyncio.sleep(0.01)


async def odd_candidates(me: Hostile, seconds: float) -> None:
    """Candidates that are none."""
    await me.tell(type="offer", call="c", sdp=offer())
    nested: Any = "x"
    for _ in range(300):
        nested = [nested]
    for each in (
        {"candidate": nested},
        {"candidate": 7, "sdpMid": nested},
        {"candidate": "candidate:1 1 udp 1"},
        {"candidate": "candidate:1 1 udp 1 300.300.300.300 1 typ host"},
        {"candidate": "candidate:1 99999999999999 udp 1 ::1 70000 typ host"},
        {},
    ):
        await me.tell(type="candidate", call="c", candidate=each)
    await asyncio.sleep(seconds)


async def states(me: Hostile, seconds: float) -> None:
    """300 changes of its state in one burst, again and again."""
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        for number in range(300):
            await me.ws.send_json({"type": "state", "muted": number % 2 == 0})
        await asyncio.sleep(0.5)


async def everything(me: Hostile, seconds: float) -> None:
    """Bursts of states all the time; with them candidates, offers and sections at once, and in turn
    a call with far too many packets (an offer ends the call before it)."""
    end = asyncio.get_running_loop().time() + seconds
    turn_s = min(5.0, seconds / 2)
    bursts = asyncio.create_task(states(me, seconds))
    by_calling = random.random() < 0.5  # of many, half are at the one and half at the other
    try:
        while (left_s := end - asyncio.get_running_loop().time()) > 0.1:
            for_s = min(turn_s, left_s)
            if by_calling:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(for_s + 5.0):  # the victim lets it wait
                        await flood(me, for_s)
            else:
                await asyncio.gather(candidates(me, for_s), offers(me, for_s), sections(me, for_s))
            by_calling = not by_calling
        await bursts
    finally:
        bursts.cancel()
        await asyncio.wait([bursts])
        bursts.cancelled() or bursts.exception()


ATTACKS: dict[str, Callable[[Hostile, float], Awaitable[None]]] = {
    attack.__name__: attack
    for attack in (
        candidates, offers, sections, ssrcs, flood, timestamps, nacks, odd_candidates, states,
        everything,
    )
}  # fmt: skip


async def attack(url: str, channel: str, victim: str, name: str, seconds: float) -> None:
    """For so long; who is cut off, or too slow to answer a ping for all it does, comes again."""
    end = asyncio.get_running_loop().time() + seconds
    while (left_s := end - asyncio.get_running_loop().time()) > min(1.0, seconds / 2):
        with contextlib.suppress(ConnectionError, aiohttp.ClientError, RefusedError):
            await visit(url, channel, victim, name, left_s)
        await asyncio.sleep(0.5)


async def visit(url: str, channel: str, victim: str, name: str, seconds: float) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}/ws", max_msg_size=0) as ws:
        uid = f"{name}-{secrets.token_hex(3)}"
        await ws.send_json({"type": "join", "room": channel, "uid": uid, "session": uid})
        if (await ws.receive_json())["type"] != "welcome":
            raise RefusedError
        me = Hostile(ws, victim)
        listener = asyncio.create_task(me.listen())
        try:
            await ATTACKS[name](me, seconds)
        finally:
            listener.cancel()


async def attack_as_told(url: str, channel: str, victim: str, seconds: str) -> None:
    print("ready", flush=True)  # noqa: T201 (the test waits for it)
    while names := (await asyncio.to_thread(sys.stdin.readline)).strip():
        each = (attack(url, channel, victim, name, float(seconds)) for name in names.split(","))
        for ended in await asyncio.gather(*each, return_exceptions=True):
            if ended is not None:
                print(f"{ended!r}", file=sys.stderr)  # noqa: T201
        print("over", flush=True)  # noqa: T201


if __name__ == "__main__":
    os.nice(5)  # elsewhere, they would compete with nobody for a processor
    asyncio.run(attack_as_told(*sys.argv[1:]))
    os._exit(0)  # aiortc's threads may not have ended, and nobody here needs them to
