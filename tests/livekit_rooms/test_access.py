"""Where a LiveKit server is, and what lets us in; nothing of it is ever shown."""

from __future__ import annotations

import datetime

import jwt
import pytest
from livekit import api

from roomtape.rooms.livekit.access import Access, identity_of
from roomtape.types.errors import ConfigurationError, RoomRefusedError
from support.livekit_server import KEY, SECRET, make_token

URL = "ws://127.0.0.1:7880"


def access(
    url: str | None = URL,
    *,
    token: str | None = None,
    api_key: str | None = KEY,
    api_secret: str | None = SECRET,
    hidden: bool = False,
) -> Access:
    return Access(url, token=token, api_key=api_key, api_secret=api_secret, hidden=hidden)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("ws://127.0.0.1:7880", "ws://127.0.0.1:7880"),
        ("livekit://127.0.0.1:7880", "ws://127.0.0.1:7880"),
        ("http://127.0.0.1:7880/", "ws://127.0.0.1:7880"),
        ("livekits://rooms.example.org", "wss://rooms.example.org"),
        ("https://rooms.example.org/behind/a/proxy/", "wss://rooms.example.org/behind/a/proxy"),
        ("ws://[::1]:7880", "ws://[::1]:7880"),
    ],
)
def test_a_server_may_be_named_in_several_ways(given: str, meant: str) -> None:
    assert access(given).place == meant


@pytest.mark.parametrize(
    "given",
    [
        "127.0.0.1:7880",
        "ftp://127.0.0.1",
        "ws://",
        "ws://a:99999",
        "ws://127.0.0.1:7880?access_token=a.secret.token",
        "ws://user:secret@127.0.0.1:7880",
    ],
)
def test_what_is_no_server_is_one_line_that_shows_nothing_of_it(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"it looks like ws://") as error:
        access(given)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_without_any_address_the_variable_is_named() -> None:
    with pytest.raises(ConfigurationError, match="LIVEKIT_URL"):
        access(None)


def test_the_environment_names_server_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEKIT_URL", URL)
    monkeypatch.setenv("LIVEKIT_API_KEY", KEY)
    monkeypatch.setenv("LIVEKIT_API_SECRET", SECRET)
    found = access(None, api_key=None, api_secret=None)
    assert found.place == URL
    assert identity_of(found.token_for(None, room="r", identity="me")) == "me"


def claims_of(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, SECRET, algorithms=["HS256"])
    return claims


def test_a_token_is_made_for_one_participant_and_one_room() -> None:
    claims = claims_of(access().token_for(None, room="standup", identity="me"))
    assert claims["sub"] == "me"
    video = claims["video"]
    assert isinstance(video, dict)
    assert (video["roomJoin"], video["room"], video["canSubscribe"]) == (True, "standup", True)
    assert not video.get("hidden")


def test_a_hidden_recorder_is_known_to_record_and_cannot_speak() -> None:
    video = claims_of(access(hidden=True).token_for(None, room="r", identity="x"))["video"]
    assert isinstance(video, dict)
    assert (video["hidden"], video["recorder"], video.get("canPublish")) == (True, True, False)


def test_the_tokens_come_before_the_key_and_that_of_the_call_first() -> None:
    ours, theirs = make_token("r", "me"), make_token("r", "me", can_publish=False)
    assert access(token=ours).token_for(theirs, room="r", identity="me") == theirs
    assert access(token=ours).token_for(None, room="r", identity="me") == ours


def test_neither_token_nor_key_is_told() -> None:
    with pytest.raises(ConfigurationError, match="LIVEKIT_API_KEY"):
        access(api_key=None).token_for(None, room="r", identity="me")


def expired() -> str:
    made = api.AccessToken(KEY, SECRET).with_identity("me").with_ttl(datetime.timedelta(hours=-1))
    return made.with_grants(api.VideoGrants(room_join=True, room="r")).to_jwt()


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("not.a.token", "must be a JWT"),
        ("nonsense", "must be a JWT"),
        (expired(), "has expired"),
        (make_token("other", "me"), "for room 'other', not 'r'"),
        (make_token("r", "you"), "for 'you', not 'me'"),
        (make_token("r", "me", can_subscribe=False), "canSubscribe"),
        (
            api.AccessToken(KEY, SECRET).with_identity("me").to_jwt(),
            "roomJoin",
        ),
    ],
)
def test_a_token_that_cannot_do_is_told_before_the_server_is_asked(token: str, words: str) -> None:
    with pytest.raises(RoomRefusedError, match=words) as error:
        access().token_for(token, room="r", identity="me")
    assert token not in str(error.value)
    assert "\n" not in str(error.value)


def test_nothing_shows_what_is_secret() -> None:
    token = make_token("r", "me")
    assert token not in repr(access(token=token))
    assert SECRET not in repr(access())
