"""Servers, keys, tokens and rooms that cannot do: one clear line each, and never a token."""

from __future__ import annotations

import asyncio
import datetime
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from livekit import api
from livekit.protocol import models, rtc

from roomtape.rooms import LiveKitRoom
from roomtape.rooms.livekit import signalling
from roomtape.types import AudioRecordingCode
from roomtape.types.errors import RoomRefusedError, RoomtapeError, RoomUnreachableError, StateError
from support.livekit_call import livekit_room, recording_client, talkers
from support.livekit_server import KEY, SECRET, LiveKitServer, free_port, make_token, until
from support.program import Cli, assert_one_line_error, run_python, run_roomtape
from support.room_listener import RoomEar

pytestmark = pytest.mark.network


async def join_alone(room: LiveKitRoom, channel: str, token: str | None = None) -> None:
    await room.join(token=token, channel=channel, uid="me", listener=RoomEar(), local_audio=None)
    await room.leave()


async def refused(
    room: LiveKitRoom,
    words: str,
    caplog: pytest.LogCaptureFixture,
    *,
    channel: str = "bad",
    token: str | None = None,
    error: type[RoomtapeError] = RoomRefusedError,
) -> str:
    """Joining fails with these words, and nothing that is said or logged holds a token."""
    with caplog.at_level(logging.DEBUG), pytest.raises(error, match=words) as raised:
        await join_alone(room, channel, token)
    said = f"{raised.value}\n{raised.value!r}\n{caplog.text}"
    assert "\n" not in str(raised.value)
    assert "eyJ" not in said  # as every JWT begins
    assert SECRET not in said
    # Nothing is left behind: another try may go well.
    await room.leave()
    return str(raised.value)


async def test_a_wrong_secret(server: LiveKitServer, caplog: pytest.LogCaptureFixture) -> None:
    room = LiveKitRoom(server.url, api_key=KEY, api_secret="wrong" * 8)
    await refused(room, "LIVEKIT_API_SECRET", caplog)


async def test_a_wrong_key(server: LiveKitServer, caplog: pytest.LogCaptureFixture) -> None:
    await refused(
        LiveKitRoom(server.url, api_key="other", api_secret=SECRET), "LIVEKIT_API_KEY", caplog
    )


async def test_no_key_at_all(server: LiveKitServer, caplog: pytest.LogCaptureFixture) -> None:
    await refused(LiveKitRoom(server.url), "set LIVEKIT_API_KEY", caplog, error=RoomtapeError)


def expired_token() -> str:
    made = api.AccessToken(KEY, SECRET).with_identity("me").with_ttl(datetime.timedelta(hours=-1))
    return made.with_grants(api.VideoGrants(room_join=True, room="bad")).to_jwt()


async def test_an_expired_token(server: LiveKitServer, caplog: pytest.LogCaptureFixture) -> None:
    await refused(LiveKitRoom(server.url), "has expired", caplog, token=expired_token())


async def test_a_token_that_the_server_alone_finds_expired(
    server: LiveKitServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clocks differ, say."""
    monkeypatch.setattr("roomtape.rooms.livekit.access._check_token", lambda *_, **__: None)
    await refused(LiveKitRoom(server.url), "this machine's clock", caplog, token=expired_token())


async def test_no_permission_to_hear(
    server: LiveKitServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = make_token("bad", "me", can_subscribe=False)
    await refused(LiveKitRoom(server.url, token=token), "canSubscribe", caplog)
    monkeypatch.setattr("roomtape.rooms.livekit.access._check_token", lambda *_, **__: None)
    await refused(LiveKitRoom(server.url, token=token), "canSubscribe", caplog)


async def test_a_token_for_another_room(
    server: LiveKitServer, caplog: pytest.LogCaptureFixture
) -> None:
    room = LiveKitRoom(server.url, token=make_token("good", "me"))
    await refused(room, "for room 'good', not 'bad'", caplog)


async def test_no_server(caplog: pytest.LogCaptureFixture) -> None:
    room = LiveKitRoom(f"ws://127.0.0.1:{free_port()}", api_key=KEY, api_secret=SECRET)
    await refused(room, "no LiveKit server answers", caplog, error=RoomUnreachableError)


@asynccontextmanager
async def web_server(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    """Something that answers at ``/rtc``; its URL."""
    app = web.Application()
    app.router.add_get("/rtc", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def saying(*messages: str | bytes) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A WebSocket that says this and goes on to listen."""

    async def answer(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        for message in messages:
            if isinstance(message, str):
                await ws.send_str(message)
            else:
                await ws.send_bytes(message)
        async for _ in ws:
            pass
        return ws

    return answer


async def page(request: web.Request) -> web.StreamResponse:
    return web.Response(text="welcome")


async def teapot(request: web.Request) -> web.StreamResponse:
    return web.Response(status=418, text="short and stout")


async def busy(request: web.Request) -> web.StreamResponse:
    return web.Response(status=503)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (page, "is not a LiveKit server"),
        (teapot, r"it answered 418 to /rtc"),
        (busy, "takes nobody at the moment"),
        (saying('{"type": "welcome"}'), "did not say welcome"),
        (saying(b"\xff\xff\xff"), "did not say welcome"),
        (saying(rtc.SignalResponse(pong=1).SerializeToString()), "did not say welcome"),
    ],
)
async def test_a_server_that_is_none(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with web_server(answer) as url:
        room = LiveKitRoom(url, api_key=KEY, api_secret=SECRET)
        await refused(room, words, caplog, error=RoomUnreachableError)


async def test_a_server_that_sends_away(caplog: pytest.LogCaptureFixture) -> None:
    leave = rtc.LeaveRequest(reason=models.JOIN_FAILURE)
    async with web_server(saying(rtc.SignalResponse(leave=leave).SerializeToString())) as url:
        room = LiveKitRoom(url, api_key=KEY, api_secret=SECRET)
        await refused(room, "does not let us join", caplog)


def welcome(**more: object) -> bytes:
    permission = models.ParticipantPermission(can_subscribe=True)
    me = models.ParticipantInfo(sid="PA_me", identity="me", permission=permission)
    return rtc.SignalResponse(join=rtc.JoinResponse(participant=me, **more)).SerializeToString()


async def test_a_server_with_one_peer_connection() -> None:
    requirement = rtc.MediaSectionsRequirement(num_audios=3)
    message = rtc.SignalResponse(media_sections_requirement=requirement).SerializeToString()
    async with web_server(saying(welcome(), message)) as url:
        room, ear = LiveKitRoom(url, api_key=KEY, api_secret=SECRET), RoomEar()
        await room.join(token=None, channel="x", uid="me", listener=ear, local_audio=None)
        await ear.until_event("closed")
        assert "over one peer connection, which is not supported" in str(ear.events[-1][1])


async def test_a_server_that_says_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signalling, "JOIN_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        room = LiveKitRoom(url, api_key=KEY, api_secret=SECRET)
        await refused(room, "did not answer", caplog, error=RoomUnreachableError)


async def test_garbage_after_the_welcome_harms_nobody() -> None:
    """Nor do messages that nobody knows."""
    odd = [b"", b"\xff" * 10, rtc.SignalResponse(offer=rtc.SessionDescription()), "text"]
    messages = [each if isinstance(each, bytes | str) else each.SerializeToString() for each in odd]
    alice = models.ParticipantInfo(sid="PA_1", identity="alice")
    update = rtc.SignalResponse(update=rtc.ParticipantUpdate(participants=[alice]))
    order = [welcome(), *messages[:2], messages[3], update.SerializeToString()]
    async with web_server(saying(*order)) as url:
        room, ear = LiveKitRoom(url, api_key=KEY, api_secret=SECRET), RoomEar()
        await room.join(token=None, channel="x", uid="me", listener=ear, local_audio=None)
        await ear.until_event("joined", "alice")
        await room.leave()
        assert ear.events[-2:] == [("left", "alice", "left"), ("closed", "left")]


async def test_a_server_where_no_audio_finds_a_way_is_given_up_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """UDP is blocked, say."""
    monkeypatch.setattr("roomtape.rooms.livekit.link.CONNECT_WITHIN_S", 0.2)
    monkeypatch.setattr("roomtape.rooms.livekit.room.COME_BACK_WITHIN_S", 1.0)
    async with web_server(saying(welcome())) as url:
        room, ear = LiveKitRoom(url, api_key=KEY, api_secret=SECRET), RoomEar()
        await room.join(token=None, channel="x", uid="me", listener=ear, local_audio=None)
        await ear.until_event("closed")
        assert "no way was found for the audio" in str(ear.events[-1][1])


async def test_a_server_that_sends_away_again_and_again_is_not_stormed() -> None:
    joins = 0
    again = rtc.LeaveRequest(action=rtc.LeaveRequest.Action.RECONNECT)
    order = (welcome(), rtc.SignalResponse(leave=again).SerializeToString())

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal joins
        joins += 1
        return await saying(*order)(request)

    async with web_server(answer) as url:
        room = LiveKitRoom(url, api_key=KEY, api_secret=SECRET)
        await room.join(token=None, channel="x", uid="me", listener=RoomEar(), local_audio=None)
        await asyncio.sleep(2.5)
        await room.leave()
    assert 2 <= joins <= 6


async def test_leaving_can_be_cancelled_and_is_done_all_the_same(server: LiveKitServer) -> None:
    room, ear = livekit_room(server), RoomEar()
    await room.join(token=None, channel="cancelled", uid="me", listener=ear, local_audio=None)
    leaving = asyncio.create_task(room.leave())
    await asyncio.sleep(0)
    leaving.cancel()
    await ear.until_event("closed", "left")
    await room.leave()
    assert [event for event in ear.events if event[0] == "closed"] == [("closed", "left")]


async def test_an_encrypted_room_is_one_line(server: LiveKitServer, tmp_path: Path) -> None:
    """The server tells of who is there when we have joined, or a moment later."""
    token = make_token("secret", "me")
    async with talkers(server, "secret", "alice", encrypted=True):
        url, out = f"{server.url}/secret", tmp_path / "secret.wav"
        done = await asyncio.to_thread(run_roomtape, "record", url, "--token", token, "-o", out)
    assert_one_line_error(done, 1, "encrypted from end to end ('alice'")
    assert token not in done.stderr + done.stdout


async def test_a_room_that_turns_out_to_be_encrypted_is_lost_with_the_reason(
    server: LiveKitServer, tmp_path: Path
) -> None:
    async with recording_client(server, "later") as client:
        await client.start(tmp_path / "later.wav")
        async with talkers(server, "later", "alice", encrypted=True):
            await until(lambda: len(client.told.recording) == 2)
        assert client.told.recording[-1][0] is AudioRecordingCode.FINISH
        assert (tmp_path / "later.wav").stat().st_size > 44


async def test_joining_twice_is_an_error(server: LiveKitServer) -> None:
    room = livekit_room(server)
    await room.join(token=None, channel="x", uid="me", listener=RoomEar(), local_audio=None)
    with pytest.raises(StateError, match="leave"):
        await join_alone(room, "y")
    await room.leave()


async def test_a_server_that_is_gone_for_good_finishes_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roomtape.rooms.livekit.room.COME_BACK_WITHIN_S", 1.0)
    server = LiveKitServer()
    try:
        server.start()
        async with (
            talkers(server, "gone", "alice") as others,
            recording_client(server, "gone") as client,
        ):
            await client.start(tmp_path / "gone.wav")
            others.say("alice", "alice")
            await others.has_said("alice", "alice")
            await asyncio.sleep(1.0)
            server.kill()
            await until(lambda: len(client.told.recording) == 2)
            assert client.told.recording[-1][0] is AudioRecordingCode.FINISH
            report = client.engine.last_recording_report
            assert report is not None
            assert report.sources[0].received_s > 0.5
    finally:
        server.remove()


@pytest.mark.parametrize(
    ("arguments", "env", "code", "words"),
    [
        (["livekit://127.0.0.1:1/x"], {}, 1, "set LIVEKIT_API_KEY"),
        (
            ["livekit://127.0.0.1:1/x"],
            {"LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET},
            1,
            "no LiveKit server answers at ws://127.0.0.1:1",
        ),
        (["wss://127.0.0.1:1/x?access_token=eyJ"], {}, 2, "and nothing else"),
        (["wss://127.0.0.1:1/"], {}, 2, "names no room"),
        (["livekit://127.0.0.1:1/x", "--token", "eyJ"], {}, 1, "must be a JWT"),
        (
            ["livekit://127.0.0.1:1/x", "--ice-server", "stun:127.0.0.1"],
            {},
            2,
            "--ice-server is not for LiveKit",
        ),
    ],
)
def test_the_command_says_it_in_one_line(
    arguments: list[str], env: dict[str, str], code: int, words: str, tmp_path: Path, run_here: Cli
) -> None:
    done = run_here("record", *arguments, "-o", tmp_path / "x.wav", env=env)
    assert_one_line_error(done, code, words)
    assert "eyJ" not in done.stderr + done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_one_line_that_says_what_to_install() -> None:
    done = run_python(
        "import sys; sys.modules['livekit'] = None\n"
        "from roomtape.cli import main\n"
        "sys.exit(main(['record', 'livekit://127.0.0.1:1/x', '-o', 'x.wav']))"
    )
    assert_one_line_error(done, 1, "pip install 'roomtape[livekit]'")
