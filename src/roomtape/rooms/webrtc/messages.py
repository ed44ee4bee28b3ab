"""What the room server says, checked once, when it comes in (docs/signalling.md).

The server is trusted to run the room, and not to be free of faults; and what it passes on comes
from anybody.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import aiohttp
from aiortc import RTCIceServer

from ...server.ice import MAX_ICE_SERVERS, parse_ice_server
from ...types.errors import ConfigurationError

Message = dict[str, Any]

_PARTICIPANT = {"uid": str, "session": str, "number": int, "muted": bool, "recording": bool}
_FIELDS: dict[str, dict[str, type]] = {
    "welcome": {
        "server": str,
        "resume": str,
        "resumed": bool,
        "number": int,
        "participants": list,
    },
    "refused": {"code": str, "message": str},
    "joined": {"participant": dict},
    "state": {"participant": dict},
    "left": {"uid": str, "session": str, "reason": str},
    "offer": {"from": str, "call": str, "sdp": str},
    "answer": {"from": str, "call": str, "sdp": str},
    "candidate": {"from": str, "call": str},
    "error": {"code": str, "message": str},
}


def parse(received: aiohttp.WSMessage) -> Message | None:
    """One message of the server; None if it is none that we know."""
    if received.type is not aiohttp.WSMsgType.TEXT:
        return None
    try:
        message = json.loads(received.data)
    except (ValueError, RecursionError):  # it nests deeper than the stack of this program
        return None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return None
    fields = _FIELDS.get(message["type"])
    if fields is None or not _has(message, fields) or not _is_whole(message):
        return None
    return message


def ice_servers_of(welcome: Message) -> list[RTCIceServer]:
    """The ICE servers that a welcome names, as far as they can be used."""
    given = welcome.get("ice_servers")
    return list(_usable(given)) if isinstance(given, list) else []


def agreement_of(participant: Message) -> bool | None:
    """Whether it says that it agrees to be recorded; None where it has not said."""
    agrees = participant.get("agrees")
    return agrees if isinstance(agrees, bool) else None


def _usable(given: list[Any]) -> Iterator[RTCIceServer]:
    for each in given[:MAX_ICE_SERVERS]:
        if not isinstance(each, dict):
            continue
        urls, username, credential = (each.get(key) for key in ("urls", "username", "credential"))
        for url in urls if isinstance(urls, list) else [urls]:
            try:
                server = parse_ice_server(url if isinstance(url, str) else "")
            except ConfigurationError:
                continue
            if not server.is_turn:
                yield RTCIceServer(server.url)
            elif isinstance(username, str) and isinstance(credential, str):
                yield RTCIceServer(server.url, username, credential)


def _is_whole(message: Message) -> bool:
    match message["type"]:
        case "welcome":
            return all(_has(each, _PARTICIPANT) for each in message["participants"])
        case "joined" | "state":
            return _has(message["participant"], _PARTICIPANT)
        case "candidate":
            return _is_candidate(message.get("candidate"))
        case _:
            return True


def _is_candidate(candidate: object) -> bool:
    if candidate is None:
        return True
    if not isinstance(candidate, dict) or not isinstance(candidate.get("candidate"), str):
        return False
    mid, line = candidate.get("sdpMid"), candidate.get("sdpMLineIndex")
    return isinstance(mid, str | None) and (line is None or type(line) is int)


def _has(message: object, fields: dict[str, type]) -> bool:
    # type() and not isinstance(): to Python, True is a number.
    return isinstance(message, dict) and all(
        type(message.get(key)) is kind for key, kind in fields.items()
    )
