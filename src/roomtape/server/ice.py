"""ICE servers: how participants reach each other who cannot do so directly.

A STUN server tells a client its address as others see it; a TURN server passes packets on. They are
named by the URIs of RFC 7064 and RFC 7065, with the user and the password of a TURN server in front
of its host, as in ``turn:alice:secret@turn.example.org:3478?transport=tcp``.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from ..types.errors import ConfigurationError

MAX_ICE_SERVERS = 8
"""Clients probe each of them, whenever they connect."""
TURN_CREDENTIALS_S = 24 * 3600
"""They are needed when a call begins; a client gets new ones with each welcome."""
_MAX_USER_CHARS = 128
_URI = re.compile(
    r"(?P<scheme>stuns?|turns?):"
    r"(?:(?P<user>[^:@\s]+):(?P<password>[^@\s]+)@)?"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<transport>\?transport=(?:udp|tcp))?"
)
_EXAMPLES = "stun:stun.example.org:3478, or turn:USER:PASSWORD@turn.example.org:3478?transport=udp"


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server.

    Attributes:
        url: Its URI, without user and password.
        username, credential: For TURN; None where they are made for each client.
    """

    url: str
    username: str | None = None
    credential: str | None = None

    @property
    def is_turn(self) -> bool:
        return self.url.startswith("turn")

    def as_dict(self) -> dict[str, Any]:
        """An ``RTCIceServer`` of W3C's WebRTC, as JSON."""
        if self.username is None:
            return {"urls": [self.url]}
        return {"urls": [self.url], "username": self.username, "credential": self.credential}


def parse_ice_server(text: str) -> IceServer:
    """Understand one URI.

    Raises:
        ConfigurationError: It is not one.
    """
    match = _URI.fullmatch(text)
    if match is None or int(match["port"] or 1) not in range(1, 65536):
        raise ConfigurationError(f"{_without_password(text)!r} names no ICE server: {_EXAMPLES}")
    turn = match["scheme"].startswith("turn")
    if not turn and (match["user"] or match["transport"]):
        raise ConfigurationError(
            f"{_without_password(text)!r}: a STUN server takes no user and no transport: give "
            "stun:HOST:PORT"
        )
    port = f":{match['port']}" if match["port"] else ""
    url = f"{match['scheme']}:{match['host']}{port}{match['transport'] or ''}"
    if match["user"] is None:
        return IceServer(url)
    return IceServer(url, unquote(match["user"]), unquote(match["password"]))


def parse_ice_servers(texts: Iterable[str], *, turn_secret: bool) -> list[IceServer]:
    """Understand a list of URIs.

    Args:
        turn_secret: There is a secret to make users and passwords with.

    Raises:
        ConfigurationError: One is wrong, there are too many, or a TURN server lacks its user.
    """
    servers = [parse_ice_server(text) for text in texts]
    if len(servers) > MAX_ICE_SERVERS:
        raise ConfigurationError(
            f"there are {len(servers)} ICE servers; at most {MAX_ICE_SERVERS} can be given"
        )
    for server in servers:
        if server.is_turn and server.username is None and not turn_secret:
            raise ConfigurationError(
                f"{server.url} needs a user and a password: give {_EXAMPLES.rpartition(' ')[2]}, "
                "or (to `roomtape serve`) the TURN server's secret"
            )
    return servers


class IceServers:
    """The ICE servers that a room server tells its clients of.

    Args:
        servers: URIs, as :func:`parse_ice_server` takes them.
        turn_secret: The secret that the TURN servers share with us; of those without a user, each
            client gets its own, which expires (coturn: ``use-auth-secret``).

    Raises:
        ConfigurationError: As for :func:`parse_ice_servers`.
    """

    def __init__(self, servers: Iterable[str] = (), turn_secret: str | None = None) -> None:
        if turn_secret is not None and not turn_secret.strip():
            raise ConfigurationError("the TURN secret is empty: give the TURN server's, or none")
        self._turn_secret = turn_secret
        self._servers = parse_ice_servers(servers, turn_secret=turn_secret is not None)

    def for_client(self, uid: str) -> list[dict[str, Any]]:
        """What to tell ``uid``: a list of ``RTCIceServer`` as JSON."""
        told = []
        for server in self._servers:
            if server.is_turn and server.username is None:
                assert self._turn_secret is not None
                expiry = int(time.time()) + TURN_CREDENTIALS_S
                told.append(
                    IceServer(server.url, *turn_credentials(self._turn_secret, uid, expiry))
                )
            else:
                told.append(server)
        return [server.as_dict() for server in told]


def turn_credentials(secret: str, uid: str, expiry: int) -> tuple[str, str]:
    """A user and a password that are good until ``expiry`` (seconds since 1970).

    It is the scheme that TURN servers call their REST API (draft-uberti-behave-turn-rest). Of
    ``uid``, what is not ASCII is percent-encoded, so that all sides hash the same bytes.
    """
    username = f"{expiry}:{quote(uid, safe='')[:_MAX_USER_CHARS]}"
    digest = hmac.digest(secret.encode(), username.encode(), "sha1")
    return username, base64.b64encode(digest).decode()


def _without_password(text: str) -> str:
    """Errors are logged; passwords are not."""
    scheme, at, host = text.rpartition("@")
    return f"{scheme.partition(':')[0]}:...@{host}" if at else text
