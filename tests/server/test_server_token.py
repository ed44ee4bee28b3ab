"""server/token.py: who may join."""

from __future__ import annotations

import time
import warnings

import jwt
import pytest

from roomtape.server.token import RESUME_FOR_S, ResumeKeys, make_token, verify_token
from roomtape.types.errors import ConfigurationError, RoomRefusedError

SECRET = "correct horse battery staple, twice over"


def refusal(token: str | None, *, room: str = "standup", uid: str = "alice") -> str:
    with pytest.raises(RoomRefusedError) as error:
        verify_token(SECRET, token, room=room, uid=uid)
    return str(error.value)


def signed(**claims: object) -> str:
    return jwt.encode(claims, SECRET, "HS256")


def test_a_token_lets_its_owner_into_its_room() -> None:
    verify_token(
        SECRET, make_token(SECRET, room="standup", uid="alice"), room="standup", uid="alice"
    )


def test_a_token_of_another_jwt_library_does_as_well() -> None:
    token = signed(room="standup", uid="alice", exp=time.time() + 60)
    verify_token(SECRET, token, room="standup", uid="alice")


def test_a_token_for_another_room_or_name_is_refused() -> None:
    token = make_token(SECRET, room="standup", uid="alice")
    assert refusal(token, room="board") == "the token is for room 'standup', not 'board'"
    assert refusal(token, uid="bob") == "the token is for uid 'alice', not 'bob'"


def test_an_expired_token_is_refused() -> None:
    assert "expired" in refusal(signed(room="standup", uid="alice", exp=time.time() - 60))


def test_a_token_without_an_end_is_refused() -> None:
    assert "'exp'" in refusal(signed(room="standup", uid="alice"))


def test_a_token_of_another_secret_is_refused() -> None:
    assert "secret" in refusal(make_token(SECRET + "!", room="standup", uid="alice"))


@pytest.mark.parametrize("token", [None, "", "abc", "a.b.c", "é.é.é"])
def test_what_is_no_token_is_refused(token: str | None) -> None:
    assert "token" in refusal(token)


def test_an_unsigned_token_is_refused() -> None:
    claims = {"room": "standup", "uid": "alice", "exp": time.time() + 60}
    assert "HS256" in refusal(jwt.encode(claims, None, "none"))


def test_a_token_needs_a_secret_and_a_time_to_live() -> None:
    with pytest.raises(ConfigurationError, match="secret"):
        make_token("", room="standup", uid="alice")
    with pytest.raises(ConfigurationError, match="positive"):
        make_token(SECRET, room="standup", uid="alice", ttl_s=0)


def test_a_short_secret_works_without_a_warning_per_token() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verify_token("short", make_token("short", room="r", uid="u"), room="r", uid="u")


def test_a_name_is_the_same_in_either_form() -> None:
    decomposed, composed = "Zoe\u0308", "Zo\u00eb"
    verify_token(SECRET, make_token(SECRET, room="r", uid=decomposed), room="r", uid=composed)


def test_a_token_whose_name_is_no_text_is_refused() -> None:
    token = signed(room="standup", uid=["alice"], exp=time.time() + 60)
    assert "uid" in refusal(token)


def test_a_resume_key_is_good_for_its_owner_and_for_a_restarted_server() -> None:
    owner = {"room": "standup", "uid": "alice", "session": "s"}
    key = ResumeKeys(SECRET).make(**owner)
    assert len(key) <= 64
    assert ResumeKeys(SECRET).fits(key, **owner)
    assert not ResumeKeys(SECRET + "!").fits(key, **owner)
    for other in ({"room": "board"}, {"uid": "bob"}, {"session": "t"}):
        assert not ResumeKeys(SECRET).fits(key, **{**owner, **other})
    for forged in (None, "", ".", key[:-1], "0" + key, key.partition(".")[0], "é"):
        assert not ResumeKeys(SECRET).fits(forged, **owner)
    assert not ResumeKeys(None).fits(ResumeKeys(None).make(**owner), **owner)


def test_a_resume_key_takes_the_place_of_a_token_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = {"room": "standup", "uid": "alice", "session": "s"}
    keys = ResumeKeys(SECRET)
    key = keys.make(**owner)
    assert keys.is_fresh(key)
    later = time.time() + RESUME_FOR_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert keys.fits(key, **owner)
    assert not keys.is_fresh(key)
