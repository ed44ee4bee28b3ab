"""The room server, over real WebSockets."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from roomtape.server import rooms as rooms_module
from roomtape.server.app import RoomServer
from roomtape.server.protocol import MAX_MESSAGE_BYTES, MAX_PARTICIPANTS
from roomtape.server.token import make_token
from roomtape.types.errors import ConfigurationError, RoomtapeError

SECRET = "correct horse battery staple, twice over"
_sessions = itertools.count(1)


class Client:
    """Speaks the protocol by hand."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.welcome: dict[str, Any] = {}

    async def say(self, **message: Any) -> None:
        await self.ws.send_json(message)

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(120):
            message: dict[str, Any] = await self.ws.receive_json()
            return message

    async def join(self, uid: str = "alice", **more: Any) -> dict[str, Any]:
        self.session = more.pop("session", None) or f"session {next(_sessions)}"
        join = {"type": "join", "room": "standup", "uid": uid, "session": self.session, **more}
        await self.say(**join)
        self.welcome = await self.hear()
        return self.welcome

    async def closed(self) -> int | None:
        async with asyncio.timeout(120):
            while not (await self.ws.receive()).type.name.startswith("CLOS"):
                pass
        return self.ws.close_code

    def break_off(self) -> None:
        self.ws.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class Setting:
    def __init__(self, server: RoomServer, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.http = http

    async def client(self, **headers: str) -> Client:
        return Client(await self.http.ws_connect(f"{self.server.url}/ws", headers=headers))

    async def joined(self, uid: str, **more: Any) -> Client:
        client = await self.client()
        assert (await client.join(uid, **more))["type"] == "welcome"
        return client


@asynccontextmanager
async def setting(**options: Any) -> AsyncIterator[Setting]:
    async with (
        RoomServer("127.0.0.1", 0, **options) as server,
        aiohttp.ClientSession() as http,
    ):
        yield Setting(server, http)


@pytest.fixture
async def here() -> AsyncIterator[Setting]:
    async with setting() as made:
        yield made


async def test_a_newcomer_is_told_who_is_there_and_they_of_it(here: Setting) -> None:
    alice = await here.joined("alice", muted=True, recording=True)
    assert alice.welcome["participants"] == []
    bob = await here.joined("bob")
    (present,) = bob.welcome["participants"]
    assert present == {
        "uid": "alice",
        "session": alice.session,
        "number": alice.welcome["number"],
        "muted": True,
        "recording": True,
        "asks": False,
        "agrees": None,
        "away": False,
    }
    assert bob.welcome["number"] > alice.welcome["number"]
    joined = await alice.hear()
    assert joined["type"] == "joined"
    assert joined["participant"]["uid"] == "bob"


async def test_offers_answers_and_candidates_reach_their_addressee_only(here: Setting) -> None:
    alice, bob, carol = [await here.joined(uid) for uid in ("alice", "bob", "carol")]
    await carol.say(type="offer", to="alice", call="c1", sdp="v=0 offer")
    await carol.say(type="candidate", to="alice", call="c1", candidate={"candidate": "x"})
    heard = [await alice.hear() for _ in range(4)][2:]
    assert heard == [
        {"type": "offer", "from": "carol", "call": "c1", "sdp": "v=0 offer"},
        {"type": "candidate", "from": "carol", "call": "c1", "candidate": {"candidate": "x"}},
    ]
    await alice.say(type="answer", to="carol", call="c1", sdp="v=0 answer")
    assert (await carol.hear())["sdp"] == "v=0 answer"
    await bob.say(type="leave")
    assert [(await bob.hear())["type"]] == ["joined"]
    assert await bob.closed() == 1000


async def test_everybody_hears_who_is_muted_and_who_records(here: Setting) -> None:
    alice, bob = [await here.joined(uid) for uid in ("alice", "bob")]
    await bob.say(type="state", recording=True)
    await bob.say(type="state", muted=True)
    await alice.hear()
    told = [(await alice.hear())["participant"] for _ in range(2)]
    assert [(state["muted"], state["recording"]) for state in told] == [(False, True), (True, True)]
    carol = await here.joined("carol")
    assert [state["recording"] for state in carol.welcome["participants"]] == [False, True]


async def test_everybody_hears_who_asks_and_who_agrees(here: Setting) -> None:
    alice, bob = await here.joined("alice", asks=True), await here.joined("bob")
    assert [each["asks"] for each in bob.welcome["participants"]] == [True]
    await alice.hear()
    for agrees in (True, True, False):  # what changes nothing is told to nobody
        await bob.say(type="state", agrees=agrees)
    told = [(await alice.hear())["participant"]["agrees"] for _ in range(2)]
    assert told == [True, False]
    await bob.say(type="state", agrees="yes")
    assert (await bob.hear())["code"] == "bad_message"
    carol = await here.joined("carol", agrees=True)
    assert [each["agrees"] for each in carol.welcome["participants"]] == [None, False]
    assert (await alice.hear())["participant"]["agrees"] is True


async def test_goodbyes_are_told_at_once_with_their_reason(here: Setting) -> None:
    alice, bob, carol = [await here.joined(uid) for uid in ("alice", "bob", "carol")]
    await bob.say(type="leave")
    await carol.ws.close()
    heard = [await alice.hear() for _ in range(4)][2:]
    assert sorted((left["type"], left["uid"], left["reason"]) for left in heard) == [
        ("left", "bob", "left"),
        ("left", "carol", "left"),
    ]


async def test_a_dropped_client_is_away_and_then_gone(
    here: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms_module, "GRACE_S", 0.3)
    alice, bob = [await here.joined(uid) for uid in ("alice", "bob")]
    bob.break_off()
    heard = [await alice.hear() for _ in range(3)][1:]
    assert heard[0]["participant"]["away"] is True
    assert heard[1] == {
        "type": "left",
        "uid": "bob",
        "session": bob.session,
        "reason": "connection lost",
    }


async def test_a_dropped_client_comes_back_to_its_seat_and_to_what_was_sent(here: Setting) -> None:
    alice, bob = [await here.joined(uid) for uid in ("alice", "bob")]
    bob.break_off()
    await alice.hear()
    assert (await alice.hear())["participant"]["away"] is True
    await alice.say(type="offer", to="bob", call="c9", sdp="while you were out")
    again = await here.client()
    await again.join("bob", session=bob.session, resume=bob.welcome["resume"], muted=True)
    assert again.welcome["resumed"] is True
    assert again.welcome["number"] == bob.welcome["number"]
    assert (await again.hear())["sdp"] == "while you were out"
    back = (await alice.hear())["participant"]
    assert (back["away"], back["muted"]) == (False, True)


async def test_a_client_may_come_back_before_the_server_misses_it(here: Setting) -> None:
    bob = await here.joined("bob")
    again = await here.client()
    await again.join("bob", session=bob.session, resume=bob.welcome["resume"])
    assert again.welcome["resumed"] is True
    assert await bob.closed() == 4001
    await again.say(type="state", muted=True)
    third = await here.joined("carol")
    assert [who["uid"] for who in third.welcome["participants"]] == ["bob"]


async def test_nobody_takes_a_seat_with_a_guessed_key(here: Setting) -> None:
    bob = await here.joined("bob")
    thief = await here.client()
    refused = await thief.join("bob", session=bob.session, resume="guess")
    assert (refused["type"], refused["code"]) == ("refused", "name_taken")
    assert await thief.closed() == 4000


async def test_an_away_seat_belongs_to_its_session(
    here: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = [await here.joined(uid) for uid in ("alice", "bob")]
    bob.break_off()
    await alice.hear()
    assert (await alice.hear())["participant"]["away"] is True
    refused = await (await here.client()).join("bob")
    assert (refused["type"], refused["code"]) == ("refused", "name_taken")
    assert "away" in refused["message"]
    again = await here.client()
    await again.join("bob", session=bob.session, resume=bob.welcome["resume"])
    assert again.welcome["resumed"] is True


async def test_the_name_of_who_is_gone_is_free(
    here: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms_module, "GRACE_S", 0.3)
    alice, bob = [await here.joined(uid) for uid in ("alice", "bob")]
    bob.break_off()
    heard = [await alice.hear() for _ in range(3)]
    assert heard[-1]["reason"] == "connection lost"
    new = await here.joined("bob")
    assert new.welcome["resumed"] is False
    assert (await alice.hear())["participant"]["session"] == new.session


async def test_a_full_room_refuses_and_says_so(here: Setting) -> None:
    for number in range(MAX_PARTICIPANTS):
        await here.joined(f"guest {number}")
    refused = await (await here.client()).join("one more")
    assert (refused["type"], refused["code"]) == ("refused", "room_full")


async def test_rooms_know_nothing_of_each_other_and_go_when_empty(here: Setting) -> None:
    alice = await here.joined("alice")
    bob = await here.joined("alice", room="other")
    assert bob.welcome["participants"] == []
    await alice.say(type="leave")
    assert await alice.closed() == 1000
    again = await here.joined("alice")
    assert again.welcome["participants"] == []


@pytest.mark.parametrize("text", ["", "nonsense", "[1]", '{"type":"fly"}', '{"type":"leave"}'])
async def test_a_bad_first_message_is_refused_with_a_reason(here: Setting, text: str) -> None:
    client = await here.client()
    await client.ws.send_str(text)
    refused = await client.hear()
    assert (refused["type"], refused["code"]) == ("refused", "bad_message")
    assert refused["message"]
    assert await client.closed() == 4000


async def test_bad_messages_get_an_error_and_harm_nobody(here: Setting) -> None:
    alice, bob = [await here.joined(uid) for uid in ("alice", "bob")]
    await bob.ws.send_str("nonsense")
    await bob.ws.send_bytes(b"\0")
    await bob.say(type="offer", to="nobody", call="c", sdp="v=0")
    await bob.join("bob")
    errors = [bob.welcome, *[await bob.hear() for _ in range(3)]]
    assert [error["type"] for error in errors] == ["error"] * 4
    assert [error["code"] for error in errors] == [
        "bad_message",
        "bad_message",
        "not_here",
        "bad_message",
    ]
    await alice.hear()
    await alice.say(type="answer", to="bob", call="c", sdp="fine")
    assert (await bob.hear())["sdp"] == "fine"


async def test_a_message_without_bounds_ends_its_own_client_only(here: Setting) -> None:
    alice, bob = [await here.joined(uid) for uid in ("alice", "bob")]
    await bob.ws.send_str("x" * (MAX_MESSAGE_BYTES + 1))
    assert await bob.closed() == 1009
    await alice.hear()
    assert (await alice.hear())["participant"]["away"] is True


async def test_pages_of_other_sites_are_turned_away(here: Setting) -> None:
    own = here.server.url
    assert (await (await here.client(Origin=own)).join())["type"] == "welcome"
    port = own.rsplit(":", 1)[1]
    strangers = [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"},
    ]
    for headers in strangers:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await here.client(**headers)


async def test_with_a_secret_a_join_needs_its_token() -> None:
    async with setting(secret=SECRET) as here:
        good = make_token(SECRET, room="standup", uid="alice")
        for token, uid in ((None, "alice"), ("x.y.z", "alice"), (good, "bob")):
            refused = await (await here.client()).join(uid, token=token)
            assert (refused["type"], refused["code"]) == ("refused", "bad_token")
            assert "token" in refused["message"]
        alice = await here.joined("alice", token=good)
        again = await here.client()
        await again.join("alice", session=alice.session, resume=alice.welcome["resume"])
        assert again.welcome["resumed"] is True


async def test_clients_hear_that_the_server_goes() -> None:
    async with setting() as here:
        alice = await here.joined("alice")
        closed = asyncio.create_task(alice.closed())
        await here.server.stop()
        assert await closed == 1001


def test_beyond_this_machine_it_needs_a_secret_or_a_clear_word() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.com", ""):
        with pytest.raises(ConfigurationError, match="secret"):
            RoomServer(host, 0)
        RoomServer(host, 0, secret=SECRET)
        RoomServer(host, 0, insecure=True)
    with pytest.raises(ConfigurationError, match="empty"):
        RoomServer("127.0.0.1", 0, secret="")


async def test_a_taken_port_is_one_clear_line() -> None:
    async with setting() as here:
        port = int(here.server.url.rsplit(":", 1)[1])
        with pytest.raises(RoomtapeError, match=f"port {port} on 127.0.0.1 is taken"):
            await RoomServer("127.0.0.1", port).start()
    with pytest.raises(RoomtapeError, match="cannot listen on"):
        await RoomServer("127.0.0.1.invalid", 0, insecure=True).start()


async def test_the_page_and_its_parts_are_served_and_load_nothing_else(here: Setting) -> None:
    for path in ("/", "/static/room.js", "/static/style.css"):
        async with here.http.get(here.server.url + path) as response:
            assert response.status == 200
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            assert re.search("https?://", await response.text()) is None
    for path in ("/static/%2e%2e/app.py", "/nothing", "/static/nothing.js", "/static"):
        async with here.http.get(here.server.url + path) as response:
            assert response.status in (403, 404)
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
    async with here.http.post(here.server.url) as response:
        assert response.status == 405
        assert response.headers["X-Content-Type-Options"] == "nosniff"
