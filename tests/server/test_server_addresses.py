"""server/addresses.py: what can only mean this machine."""

from __future__ import annotations

import pytest

from roomtape.server.addresses import host_of, household, is_loopback, same_site
from roomtape.server.app import RoomServer
from roomtape.types.errors import RoomtapeError


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost",
        "a.localhost",
        "localhost.",
        "127.0.0.1",
        "127.9.8.7",
        "::1",
        "::ffff:127.0.0.1",
    ],
)
def test_these_mean_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "127.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1x",
        "127.",
        "127.0.0",
        "localhost.evil.example",
        "notlocalhost",
        "::1.evil.example",
        "::2",
        "::ffff:10.0.0.1",
        "0.0.0.0",
        "::",
        "10.0.0.1",
        "",
        "[bad",
    ],
)
def test_these_do_not(host: str) -> None:
    assert not is_loopback(host)


def test_broken_headers_name_nobody() -> None:
    assert host_of("127.0.0.1:80") == "127.0.0.1"
    assert host_of("[::1]:80") == "::1"
    assert host_of("[bad") is None
    assert same_site("http://a:1", "A:1")
    assert not same_site("http://[bad", "a:1")
    assert not same_site("null", "a:1")


def test_a_household_has_many_addresses_of_ipv6() -> None:
    assert household("10.0.0.1") == household("::ffff:10.0.0.1") != household("10.0.0.2")
    assert household("2001:db8::1") == household("2001:db8::2:3:4:5%eth0")
    assert household("2001:db8::1") != household("2001:db8:0:1::1")


async def test_what_is_called_local_must_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    async def elsewhere(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", elsewhere)
    with pytest.raises(RoomtapeError, match="not this machine alone"):
        await RoomServer("localhost", 0).start()
