"""Publishing over HTTP (WHIP, RFC 9725), by a client that is aiortc's: recorded, and compared with
what was said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from roomtape.rooms.webrtc.whip import WhipCalls
from roomtape.server.app import RoomServer
from roomtape.server.token import make_token
from roomtape.server.whip import endpoint
from support.hostile import offer as hollow_offer
from support.processes import descriptors
from support.recorded_call import RecordingClient, assert_in_place, pieces, talk
from support.voice_track import VoiceTrack

pytestmark = pytest.mark.network

SECRET = "0123456789abcdef0123456789abcdef"
SDP = {"Content-Type": "application/sdp"}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@asynccontextmanager
async def server_for_callers(secret: str | None = None) -> AsyncIterator[RoomServer]:
    async with RoomServer("127.0.0.1", 0, secret=secret, whip=WhipCalls) as server:
        yield server


class WhipClient:
    """Publishes :func:`talk` as OBS would."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str | None = None) -> None:
        self.http = http
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.session = ""
        self.etag = ""
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTransceiver(VoiceTrack(talk()), direction="sendonly")

    async def offer(self) -> str:
        await self.connection.setLocalDescription()
        return str(self.connection.localDescription.sdp)

    async def call(self, room: str, name: str | None = "obs") -> None:
        query = f"?name={name}" if name else ""
        async with self.http.post(
            f"{self.url}/whip/{room}{query}",
            data=await self.offer(),
            headers={**SDP, **self.headers},
        ) as response:
            text = await response.text()
            assert response.status == 201, text
            assert response.content_type == "application/sdp"
            self.session = self.url + response.headers["Location"]
            self.etag = response.headers["ETag"]
        await self.connection.setRemoteDescription(RTCSessionDescription(text, "answer"))
        async with asyncio.timeout(60):
            while self.connection.connectionState != "connected":  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def hang_up(self) -> int:
        async with self.http.delete(self.session, headers=self.headers) as response:
            return response.status

    async def close(self) -> None:
        await self.connection.close()


async def test_what_a_caller_says_is_recorded_where_it_belongs(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with (
        server_for_callers() as server,
        RecordingClient(server.url, "studio") as recorder,
    ):
        client = WhipClient(http, server.url)
        await client.call("studio")
        await recorder.told.until("joined", "obs")
        await asyncio.sleep(1.0)
        await recorder.start(tmp_path / "a.wav")
        await asyncio.sleep(8.0)
        recorded = await recorder.stop()
        assert await client.hang_up() == 200
        await recorder.told.until("left", "obs")
        assert await client.hang_up() == 404
        await client.close()
    (stay,) = recorded.stays("obs")
    assert stay.lost_s + stay.late_s <= 0.1
    assert stay.received_s > 7.5
    found = pieces(recorded.pcm, talk())
    assert_in_place(found, at_least=max(8, len(found) - 2))


async def test_who_hangs_up_without_a_word_leaves_the_room_and_nothing_is_kept(
    http: aiohttp.ClientSession,
) -> None:
    async with server_for_callers() as server, RecordingClient(server.url, "studio") as member:
        for number in range(3):
            before = descriptors()
            client = WhipClient(http, server.url)
            await client.call("studio", f"obs-{number}")
            await member.told.until("joined", f"obs-{number}")
            await client.close()
            await member.told.until("left", f"obs-{number}")
            async with asyncio.timeout(30):
                while number and descriptors() > before:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)


async def test_who_never_connects_is_put_out(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roomtape.rooms.webrtc.whip.CONNECT_WITHIN_S", 0.5)
    async with server_for_callers() as server, RecordingClient(server.url, "studio") as member:
        url = f"{server.url}/whip/studio?name=ghost"
        async with http.post(url, data=hollow_offer(), headers=SDP) as response:
            assert response.status == 201
        await member.told.until("left", "ghost")


async def test_a_token_decides_who_may_and_as_whom(http: aiohttp.ClientSession) -> None:
    async with server_for_callers(SECRET) as server:
        url = f"{server.url}/whip/studio"
        good = make_token(SECRET, room="studio", uid="camera 1")
        for headers, says in (
            ({}, "token is needed"),
            ({"Authorization": "Bearer x.y.z"}, "not a JWT"),
            ({"Authorization": "Basic abc"}, "token is needed"),
            (bearer(make_token(SECRET, room="elsewhere", uid="camera 1")), "'elsewhere'"),
            (bearer(make_token("y" * 32, room="studio", uid="camera 1")), "not signed"),
        ):
            async with http.post(url, data="v=0", headers={**SDP, **headers}) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"] == "Bearer"
                text = await response.text()
                assert says in text
                assert text.count("\n") == 1
        async with http.post(f"{url}?name=boss", data="v=0", headers={**SDP, **bearer(good)}) as no:
            assert no.status == 401  # a token is for one name
        client = WhipClient(http, server.url, good)
        await client.call("studio", None)
        async with http.delete(client.session) as response:
            assert response.status == 401
        assert await client.hang_up() == 200
        await client.close()


async def test_candidates_may_come_later(http: aiohttp.ClientSession) -> None:
    async with server_for_callers() as server:
        client = WhipClient(http, server.url)
        whole = await client.offer()
        lines = whole.splitlines()
        bare = [line for line in lines if not line.startswith(("a=candidate", "a=end-of"))]
        url = f"{server.url}/whip/studio"
        sdp = "".join(f"{line}\r\n" for line in bare)
        async with http.post(url, data=sdp, headers=SDP) as response:
            assert response.status == 201
            answer, etag = await response.text(), response.headers["ETag"]
            session = server.url + response.headers["Location"]
        later = "".join(f"{line}\r\n" for line in lines if line.startswith("a=candidate"))
        kind = {"Content-Type": "application/trickle-ice-sdpfrag"}
        for headers, status in (
            ({**kind, "If-Match": '"another"'}, 412),
            ({**kind, "If-Match": "*"}, 422),
            ({"Content-Type": "text/plain"}, 415),
            ({**kind, "If-Match": etag}, 204),
        ):
            async with http.patch(
                session, data=later + "a=end-of-candidates\r\n", headers=headers
            ) as response:
                assert response.status == status
        await client.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(60):
            while client.connection.connectionState != "connected":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await client.close()


async def test_what_cannot_be_answered_is_one_line(http: aiohttp.ClientSession) -> None:
    async with server_for_callers() as server:
        url = f"{server.url}/whip/studio"
        for data, headers, status, says in (
            (b"v=0\r\n", SDP, 400, "Opus"),
            (hollow_offer(codecs="0").encode(), SDP, 400, "Opus"),
            (b"\xff\xfe", SDP, 400, "UTF-8"),
            (b"x" * 70_000, SDP, 413, "65536"),
            (b"{}", {"Content-Type": "application/json"}, 415, "application/sdp"),
        ):
            async with http.post(url, data=data, headers=headers) as response:
                text = await response.text()
                assert (response.status, says in text, text.count("\n")) == (status, True, 1), text
        for room, name in (("studio", "x" * 65), ("studio", "%E2%80%8D"), ("%20", "obs")):
            async with http.post(
                f"{server.url}/whip/{room}?name={name}", data="v=0", headers=SDP
            ) as response:
                assert response.status in (400, 429)
        async with http.get(url) as response:
            assert response.status == 405
        async with http.delete(f"{server.url}/whip-session/none") as response:
            assert response.status == 404


async def test_a_name_that_is_taken_is_a_conflict(http: aiohttp.ClientSession) -> None:
    async with server_for_callers() as server, RecordingClient(server.url, "studio"):
        before = descriptors()
        url = f"{server.url}/whip/studio?name=studio-recorder"
        async with http.post(url, data=hollow_offer(), headers=SDP) as response:
            assert response.status == 409
            assert "studio-recorder" in await response.text()
        async with asyncio.timeout(30):
            while descriptors() > before + 1:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def test_each_caller_is_bounded(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "MAX_CALLERS_OF_ADDRESS", 2)
    monkeypatch.setattr(endpoint, "OFFERS_BURST", 4.0)
    async with server_for_callers() as server:
        statuses = []
        for number in range(6):
            url = f"{server.url}/whip/studio?name=caller-{number}"
            async with http.post(url, data=hollow_offer(), headers=SDP) as response:
                statuses.append(response.status)
                if response.status == 429:
                    assert response.headers["Retry-After"]
        assert statuses == [201, 201, 429, 429, 429, 429]
        burst = []
        for _ in range(5):
            async with http.post(f"{server.url}/whip/studio", data="", headers=SDP) as response:
                burst.append(response.status)
        assert set(burst) == {429}


async def test_pages_of_other_sites_are_let_in_by_a_token_only(
    http: aiohttp.ClientSession,
) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    async with server_for_callers() as server:
        for ask in (http.options, http.post):
            async with ask(f"{server.url}/whip/studio", headers=asked) as response:
                assert response.status == 403
                assert "Access-Control-Allow-Origin" not in response.headers
        own = {"Origin": server.url}
        async with http.options(f"{server.url}/whip/studio", headers=own) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == server.url
    async with (
        server_for_callers(SECRET) as server,
        http.options(f"{server.url}/whip/studio", headers=asked) as response,
    ):
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Accept-Post"] == "application/sdp"
        assert "POST" in response.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]


async def test_a_server_that_stops_hangs_up(http: aiohttp.ClientSession) -> None:
    async with server_for_callers() as server:
        client = WhipClient(http, server.url)
        await client.call("studio")
    async with asyncio.timeout(60):
        while client.connection.connectionState == "connected":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await client.close()


async def test_without_whip_there_is_no_such_page(http: aiohttp.ClientSession) -> None:
    async with (
        RoomServer("127.0.0.1", 0) as server,
        http.post(f"{server.url}/whip/studio", data="v=0", headers=SDP) as response,
    ):
        assert response.status == 404


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
