"""Each of these attacks is made, on a real server process, beside two who do nothing wrong."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import aiohttp
import pytest

from support.room_attack import (
    Client,
    Pair,
    connect_silently,
    descriptors,
    join,
    resident_mib,
)
from support.serving import serving

pytestmark = pytest.mark.realtime

Server = tuple[subprocess.Popen[str], str]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as (process, url):
        yield process, url


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


def errors_of(process: subprocess.Popen[str]) -> str:
    """Ends a server that must still be there; what it printed to stderr."""
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    return process.communicate(timeout=30)[1]


async def burst(client: Client, messages: list[dict[str, Any]]) -> None:
    """Many messages in one write, as WebSocket frames that a server reads at once."""
    writer = client.ws._writer
    transport = writer.transport
    assert transport is not None
    written: list[bytes] = []
    write, transport.write = transport.write, written.append  # type: ignore[method-assign]
    try:
        for message in messages:
            await client.ws.send_str(json.dumps(message))
    finally:
        transport.write = write  # type: ignore[method-assign]
    transport.write(b"".join(written))


async def test_a_burst_of_states_in_one_write_disconnects_nobody(
    server: Server, http: aiohttp.ClientSession
) -> None:
    pair = await Pair.join(http, server[1])
    await pair.talk(2)
    mallory = await join(http, server[1], "mallory")
    states = [{"type": "state", "muted": number % 2 == 0} for number in range(2000)]
    await burst(mallory, states)
    await pair.talk(3)
    assert not pair.one.ws.closed
    assert not pair.other.ws.closed
    assert "cut off" not in errors_of(server[0])


@pytest.mark.parametrize("kind", ["offer", "answer", "candidate", "nonsense", "unknown addressee"])
async def test_a_flood_for_one_participant_reaches_it_as_a_trickle(
    server: Server, http: aiohttp.ClientSession, kind: str
) -> None:
    process, url = server
    pair = await Pair.join(http, url)
    mallory = await join(http, url, "mallory")
    message: dict[str, Any] = {"type": "offer", "to": "bob", "call": "c", "sdp": "x" * 1000}
    match kind:
        case "answer":
            message["type"] = "answer"
        case "candidate":
            message = {"type": "candidate", "to": "bob", "call": "c"}
            message["candidate"] = {"candidate": "candidate:1 1 udp 1 10.0.0.1 9 typ host"}
        case "nonsense":
            message["type"] = "dance"
        case "unknown addressee":
            message["to"] = "nobody"
    drain = asyncio.create_task(_drain(mallory))
    flood = asyncio.create_task(_flood(mallory, [message] * 5000))
    before_mib = resident_mib(process.pid)
    await pair.talk(4)
    flood.cancel()
    drain.cancel()
    await asyncio.wait((flood, drain))
    from_mallory = [each for each in pair.heard if each.get("from") == "mallory"]
    assert len(from_mallory) <= (24 if kind == "offer" else 250)
    assert not pair.one.ws.closed
    assert not pair.other.ws.closed
    assert resident_mib(process.pid) < before_mib + 16


async def test_a_call_has_no_more_candidates_than_it_can_need(
    server: Server, http: aiohttp.ClientSession
) -> None:
    pair = await Pair.join(http, server[1])
    mallory = await join(http, server[1], "mallory")
    line = "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n"
    for call, count in (("fits", 64), ("floods", 900)):
        await mallory.say(type="offer", to="bob", call=call, sdp="v=0\r\n" + line * count)
    complaint = await mallory.until("error")
    assert complaint["code"] == "too_much"
    assert "64 candidates" in complaint["message"]
    await mallory.say(
        type="offer", to="bob", call="wide", sdp="v=0\r\n" + "m=audio 9 RTP/AVP 0\r\n" * 48
    )
    assert "48 sections" in (await mallory.until("error"))["message"]
    assert (await pair.other.until("offer"))["call"] == "fits"
    await pair.talk(1)
    assert "floods" not in [each["call"] for each in pair.heard]


async def test_who_never_reads_costs_little_and_holds_up_nobody(
    server: Server, http: aiohttp.ClientSession
) -> None:
    process, url = server
    pair = await Pair.join(http, url)
    deaf = [await join(http, url, f"deaf {number}") for number in range(10)]
    before_mib, before = resident_mib(process.pid), descriptors(process.pid)
    floods = []
    for number in range(4):
        mallory = await join(http, url, f"mallory {number}")
        messages = [
            {"type": "answer", "to": f"deaf {to}", "call": f"c{each}", "sdp": "x" * 60_000}
            for each in range(100)
            for to in range(10)
        ]
        floods.append(asyncio.create_task(_flood(mallory, messages)))
        floods.append(asyncio.create_task(_drain(mallory)))
    most_mib = before_mib
    for _ in range(4):
        await pair.talk(1)
        most_mib = max(most_mib, resident_mib(process.pid))
    for flood in floods:
        flood.cancel()
    await asyncio.wait(floods)
    assert most_mib < before_mib + 20
    assert descriptors(process.pid) <= before + 8
    assert not pair.one.ws.closed
    assert len(deaf) == 10


@pytest.fixture
def small_server() -> Iterator[Server]:
    """One that may have 1,024 descriptors, as is usual; we may have more."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, most))
    with serving() as (process, url):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
        yield process, url
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))


async def test_silent_connections_lock_nobody_out(
    small_server: Server, http: aiohttp.ClientSession
) -> None:
    process, url = small_server
    pair = await Pair.join(http, url)
    before = descriptors(process.pid)
    with ExitStack() as silent:
        for host in range(2, 8):
            await asyncio.to_thread(connect_silently, silent, url, 250, f"127.0.0.{host}")
        assert descriptors(process.pid) < 800
        async with http.get(url) as page:
            assert page.status == 200
        await pair.talk(2)
        await (await join(http, url, "late")).say(type="leave")
        # From the same address as the silent ones, too.
        await asyncio.to_thread(connect_silently, silent, url, 500, "127.0.0.1")
        assert descriptors(process.pid) < 800
        await join(http, url, "later")
        assert not pair.one.ws.closed
    await pair.talk(1)
    assert descriptors(process.pid) <= before + 8
    printed = errors_of(process)
    assert len(printed.splitlines()) <= 4, printed


async def test_who_says_nothing_or_half_of_it_is_put_out() -> None:
    from roomtape.server import door
    from roomtape.server.app import RoomServer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door, "ENTER_WITHIN_S", 0.5)
        async with RoomServer("127.0.0.1", 0) as server:
            port = int(server.url.rsplit(":", 1)[1])
            half = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
            waiting = []
            for said in (b"", half, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(said)
                waiting.append((reader, writer))
            async with asyncio.timeout(20):
                for reader, writer in waiting:
                    try:
                        while await reader.read(1000):
                            pass
                    except ConnectionResetError:
                        pass
                    writer.close()
            async with aiohttp.ClientSession() as http:
                member = await join(http, server.url, "alice")
                await asyncio.sleep(1.5)
                await member.say(type="state", muted=True)
                await join(http, server.url, "bob")
                assert (await member.until("joined"))["participant"]["uid"] == "bob"


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /ws HTTP/1.1\r\nHost: [bad\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://[bad\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:x]\r\nOrigin: http://[\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: 127.evil.example\r\nOrigin: http://127.evil.example\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: 0x7f.1.evil.example\r\n\r\n",
    ],
)
async def test_odd_hosts_and_origins_are_turned_away(server: Server, request_text: str) -> None:
    process, url = server
    port = int(url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    upgrade += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    writer.write((request_text.removesuffix("\r\n") + upgrade).encode())
    status = (await reader.readline()).split()[1]
    writer.close()
    assert status == b"403"
    assert errors_of(process) == ""


@pytest.mark.parametrize("key", ["resume", "token", "session", "uid", "room"])
@pytest.mark.parametrize("secret", [(), ("--secret", "0123456789abcdef0123456789abcdef")])
async def test_half_a_character_is_refused(
    http: aiohttp.ClientSession, key: str, secret: tuple[str, ...]
) -> None:
    with serving(*secret) as (process, url):
        async with http.ws_connect(f"{url}/ws") as ws:
            message = {"type": "join", "room": "r", "uid": "u", "session": "s", key: "x\ud800"}
            await ws.send_str(json.dumps(message))
            refused = await ws.receive_json()
            assert (refused["type"], refused["code"]) == ("refused", "bad_message")
            assert f'"{key}"' in refused["message"]
        assert errors_of(process) == ""


async def _flood(client: Client, messages: list[dict[str, Any]]) -> None:
    for message in messages:
        await client.say(**message)


async def _drain(client: Client) -> None:
    async for _ in client.ws:
        pass
