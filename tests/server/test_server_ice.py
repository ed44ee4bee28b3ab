"""server/ice.py: the STUN and TURN servers that clients are told of."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

import pytest

from roomtape.server.ice import IceServer, IceServers, parse_ice_server
from roomtape.types.errors import ConfigurationError
from support.program import Cli, assert_one_line_error, run_roomtape


def test_uris_are_understood() -> None:
    assert parse_ice_server("stun:a.example") == IceServer("stun:a.example")
    assert parse_ice_server("turns:a.example:443?transport=tcp") == IceServer(
        "turns:a.example:443?transport=tcp"
    )
    assert parse_ice_server("turn:al%40ice:p%3Aw@10.0.0.1:3478") == IceServer(
        "turn:10.0.0.1:3478", "al@ice", "p:w"
    )


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "http://a",
        "stun:",
        "stun:a:99999",
        "stun:a:0",
        "stun:u:p@a",
        "stun:a?transport=udp",
        "turn:a?transport=sctp",
        "turn:u@a",
        "turn:a b",
        "turn:a\n",
    ],
)
def test_what_is_none_is_told_so_without_its_password(uri: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_ice_server(uri)
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigurationError) as error:
        parse_ice_server("turn:alice:hush@a b")
    assert "hush" not in str(error.value)


def test_each_client_gets_a_user_that_expires() -> None:
    servers = IceServers(["stun:s.example", "turn:t.example", "turn:u:p@v.example"], "shared")
    stun, mine, fixed = servers.for_client("zoë:1")
    assert stun == {"urls": ["stun:s.example"]}
    assert fixed == {"urls": ["turn:v.example"], "username": "u", "credential": "p"}
    expiry, uid = mine["username"].split(":")
    assert uid == "zo%C3%AB%3A1"
    assert 23 * 3600 < int(expiry) - time.time() <= 24 * 3600
    digest = hmac.new(b"shared", mine["username"].encode(), hashlib.sha1).digest()
    assert mine["credential"] == base64.b64encode(digest).decode()


def test_impossible_servers_are_wrong_usage(run_here: Cli) -> None:
    for arguments, words in (
        (("--ice-server", "turn:t.example"), "needs a user and a password"),
        (("--ice-server", "stun"), "names no ICE server"),
        (("--ice-server", "turn:t.example", "--turn-secret", ""), "TURN secret is empty"),
        (("--ice-server", "stun:s.example") * 9, "at most 8"),
        (("--max-per-address", "0"), "allow 1 at least"),
    ):
        assert_one_line_error(run_here("serve", "--port", "0", *arguments), 2, words)
    done = run_here("serve", "--port", "0", env={"ROOMTAPE_ICE_SERVERS": "stun:a b:c"})
    assert_one_line_error(done, 2, "names no ICE server")
    record = ("record", "http://127.0.0.1:1/r", "-o", "/tmp/x.wav", "--ice-server", "turn:t")
    assert_one_line_error(run_here(*record), 2, "needs a user")


@pytest.mark.parametrize("variable", ["ROOMTAPE_SECRET", "ROOMTAPE_TURN_SECRET"])
@pytest.mark.parametrize("value", ["", " "])
def test_a_secret_that_is_empty_opens_no_server(variable: str, value: str) -> None:
    done = run_roomtape("serve", "--port", "0", env={variable: value})
    assert done.returncode == 2
    assert "is empty" in done.stderr
