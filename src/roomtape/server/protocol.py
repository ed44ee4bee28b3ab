"""What may be said on the signalling WebSocket; docs/signalling.md tells it whole.

Everything a client sends passes :func:`parse`, which either returns one of the messages below
or says what is wrong with it. It does no I/O.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

MAX_MESSAGE_BYTES = 64 * 1024
"""An offer with one audio section is 2 to 6 kB; browsers with many interfaces reach 12 kB."""
MAX_NAME_CHARS = 64
"""Of a room and of a uid."""
MAX_ID_CHARS = 64
"""Of a session, a call and a resume key."""
MAX_PARTICIPANTS = 32
"""A mesh sends everything to everybody: beyond this it is the wrong shape."""
MAX_ROOMS = 1000

JoinRefusal: TypeAlias = Literal[
    "bad_message", "bad_token", "name_taken", "room_full", "server_full"
]


class ProtocolError(Exception):
    """A message that breaks the protocol. Its text is told to the client."""


@dataclass(frozen=True, slots=True)
class Join:
    room: str
    uid: str
    session: str
    token: str | None
    resume: str | None
    muted: bool
    recording: bool


@dataclass(frozen=True, slots=True)
class Relay:
    """An offer, an answer or a candidate for another participant; ``content`` goes unread."""

    kind: Literal["offer", "answer", "candidate"]
    to: str
    call: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class State:
    """What changed; None is: as before."""

    muted: bool | None
    recording: bool | None


@dataclass(frozen=True, slots=True)
class Leave:
    pass


Message: TypeAlias = Join | Relay | State | Leave


def parse(text: str) -> Message:
    """Understand one message of a client.

    Raises:
        ProtocolError: It is not JSON, of an unknown type, or lacks or mistypes a field.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("the message is not JSON") from None
    if not isinstance(message, dict):
        raise ProtocolError("the message is not a JSON object")
    match message.get("type"):
        case "join":
            return Join(
                room=_name(message, "room"),
                uid=_name(message, "uid"),
                session=_text(message, "session", MAX_ID_CHARS),
                token=_optional_text(message, "token", MAX_MESSAGE_BYTES),
                resume=_optional_text(message, "resume", MAX_ID_CHARS),
                muted=_flag(message, "muted") or False,
                recording=_flag(message, "recording") or False,
            )
        case "offer" | "answer" as kind:
            sdp = _text(message, "sdp", MAX_MESSAGE_BYTES)
            return _relay(message, kind, {"sdp": sdp})
        case "candidate":
            candidate = message.get("candidate")
            if candidate is not None and not isinstance(candidate, dict):
                raise ProtocolError('"candidate" must be an object, or null at the end')
            return _relay(message, "candidate", {"candidate": candidate})
        case "state":
            return State(_flag(message, "muted"), _flag(message, "recording"))
        case "leave":
            return Leave()
        case unknown:
            raise ProtocolError(
                f'"type" is {_shown(unknown)}; it must be join, offer, answer, candidate, '
                "state or leave"
            )


def _relay(
    message: dict[str, Any],
    kind: Literal["offer", "answer", "candidate"],
    content: dict[str, Any],
) -> Relay:
    return Relay(kind, _name(message, "to"), _text(message, "call", MAX_ID_CHARS), content)


def _text(message: dict[str, Any], key: str, longest: int) -> str:
    text = message.get(key)
    if not isinstance(text, str) or not text:
        raise ProtocolError(f'"{key}" is {_shown(text)}; it must be a string that is not empty')
    if len(text) > longest:
        raise ProtocolError(f'"{key}" has {len(text)} characters; at most {longest} are allowed')
    return text


def _optional_text(message: dict[str, Any], key: str, longest: int) -> str | None:
    return None if message.get(key) is None else _text(message, key, longest)


def _name(message: dict[str, Any], key: str) -> str:
    name = _text(message, key, MAX_NAME_CHARS)
    # Names are shown to people. Zero-width joiners hold words of some scripts, and emoji,
    # together; every other invisible character could only deceive.
    if not name.replace("\u200c", "").replace("\u200d", "").isprintable():
        raise ProtocolError(f'"{key}" has control or invisible characters in it')
    if name != name.strip():
        raise ProtocolError(f'"{key}" begins or ends with a space')
    return name


def _flag(message: dict[str, Any], key: str) -> bool | None:
    flag = message.get(key)
    if flag is not None and not isinstance(flag, bool):
        raise ProtocolError(f'"{key}" is {_shown(flag)}; it must be true or false')
    return flag


def _shown(value: object) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= 40 else shown[:40] + "…"
