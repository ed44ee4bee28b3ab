"""A participant who does harm, in a process of its own: ``python mallory.py URL TARGET``.

It joins the room ``standup``, and prints ``joined``. For each line of its standard input, which is
one of these, it does its worst for a while, and prints ``done``:

- ``candidates``: a proper offer, and 5,000 candidates;
- ``offers``: ten offers a second with 900 candidates each;
- ``states``: everything about itself changes, as fast as it goes;
- ``visits``: it comes and goes.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from typing import Any

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection

from support.room_attack import Client, join

SECONDS = {"candidates": 6.0, "offers": 3.0, "states": 3.0, "visits": 3.0}
LINE = "candidate:{0} 1 udp 2130706431 10.{1}.{2}.{3} {4} typ host"


def candidate(number: int) -> str:
    high, low = divmod(number, 250)
    return LINE.format(number, 9, high % 250, low + 1, 2000 + number % 60_000)


async def proper_offer() -> str:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("audio")
    await connection.setLocalDescription(await connection.createOffer())
    sdp = str(connection.localDescription.sdp)
    await connection.close()
    return sdp


async def candidates(client: Client, target: str) -> None:
    await client.say(type="offer", to=target, call="c", sdp=await proper_offer())
    await asyncio.sleep(0.5)
    for number in range(5000):
        line = {"candidate": candidate(number), "sdpMid": "0", "sdpMLineIndex": 0}
        await client.say(type="candidate", to=target, call="c", candidate=line)
        if number % 10 == 0:
            await asyncio.sleep(0.01)


async def offers(client: Client, target: str) -> None:
    sdp = await proper_offer()
    for call in itertools.count():
        lines = "".join(f"a={candidate(call * 900 + each)}\r\n" for each in range(900))
        await client.say(type="offer", to=target, call=f"c{call}", sdp=sdp + lines)
        await asyncio.sleep(0.1)


async def states(client: Client, target: str) -> None:
    for number in itertools.count():
        await client.say(type="state", muted=number % 2 == 0, recording=number % 3 == 0)
        if number % 100 == 0:
            await asyncio.sleep(0)


async def visits(client: Client, target: str) -> None:
    for number in itertools.count(1):
        try:
            again = await join(client.http, client.url, f"visitor {number}")
        except AssertionError:  # refused
            continue
        await again.say(type="leave")
        await again.ws.close()


async def main(url: str, target: str) -> None:
    works: dict[str, Any] = {
        "candidates": candidates,
        "offers": offers,
        "states": states,
        "visits": visits,
    }
    async with aiohttp.ClientSession() as http:
        client = await join(http, url, "mallory")
        client.keep_reading()
        print("joined", flush=True)  # noqa: T201 (the test waits for it)
        while kind := (await asyncio.to_thread(sys.stdin.readline)).strip():
            try:
                async with asyncio.timeout(SECONDS[kind]):
                    await works[kind](client, target)
            except (TimeoutError, ConnectionError):
                pass
            print("done", flush=True)  # noqa: T201


asyncio.run(main(*sys.argv[1:]))
