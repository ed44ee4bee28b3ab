"""What may be said on the signalling WebSocket; docs/signalling.md tells it whole.

Everything a client sends passes :func:`parse`, which either returns one of the messages below
or says what is wrong with it. It does no I/O.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from . import names

MAX_MESSAGE_BYTES = 64 * 1024
"""An offer with one audio section is 2 to 6 kB; browsers with many interfaces reach 12 kB."""
MAX_NAME_CHARS = 64
"""Of a room and of a uid."""
MAX_ID_CHARS = 64
"""Of a session, a call and a resume key."""
MAX_PARTICIPANTS = 32
"""A mesh sends everything to everybody: beyond this it is the wrong shape."""
MAX_ROOMS = 1000
MAX_CANDIDATES = 64
"""Of one side of one call, in its description and after it. A host with many interfaces has 20."""
MAX_SECTIONS = 8
"""Of a description. A call of ours has one; a page with video and data three."""
MAX_CANDIDATE_CHARS = 1024
"""A candidate line has 100 to 200."""

JoinRefusal: TypeAlias = Literal[
    "bad_message", "bad_token", "name_taken", "room_full", "room_busy", "server_full"
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
    asks: bool = False
    agrees: bool | None = None


@dataclass(frozen=True, slots=True)
class Relay:
    """An offer, an answer or a candidate for another participant.

    Of a description, only what is counted is read.

    Attributes:
        size: The characters of the content.
        candidates: How many addresses there are in it.
    """

    kind: Literal["offer", "answer", "candidate"]
    to: str
    call: str
    content: dict[str, Any]
    size: int
    candidates: int


@dataclass(frozen=True, slots=True)
class State:
    """What changed; None is: as before."""

    muted: bool | None
    recording: bool | None
    asks: bool | None = None
    agrees: bool | None = None


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
                asks=_flag(message, "asks") or False,
                agrees=_flag(message, "agrees"),
            )
        case "offer" | "answer" as kind:
            return _description(message, kind)
        case "candidate":
            return _candidate(message)
        case "state":
            return State(*(_flag(message, key) for key in ("muted", "recording", "asks", "agrees")))
        case "leave":
            return Leave()
        case unknown:
            raise ProtocolError(
                f'"type" is {_shown(unknown)}; it must be join, offer, answer, candidate, '
                "state or leave"
            )


def _description(message: dict[str, Any], kind: Literal["offer", "answer"]) -> Relay:
    sdp = _text(message, "sdp", MAX_MESSAGE_BYTES)
    sections = sum(line.startswith("m=") for line in sdp.splitlines())
    if sections > MAX_SECTIONS:
        raise ProtocolError(f'"sdp" has {sections} sections; at most {MAX_SECTIONS} are allowed')
    candidates = sdp.count("a=candidate:")
    return _relay(message, kind, {"sdp": sdp}, len(sdp), candidates)


def _candidate(message: dict[str, Any]) -> Relay:
    """Of the candidate, what an ``RTCIceCandidate`` has; whatever else there is ends here."""
    given = message.get("candidate")
    if given is None:
        return _relay(message, "candidate", {"candidate": None}, 0, 0)
    if not isinstance(given, dict):
        raise ProtocolError('"candidate" must be an object, or null at the end')
    candidate = given.get("candidate")
    if candidate != "":
        candidate = _text(given, "candidate", MAX_CANDIDATE_CHARS)
    line = given.get("sdpMLineIndex")
    if line is not None and (type(line) is not int or not 0 <= line < MAX_SECTIONS):
        raise ProtocolError(
            f'"sdpMLineIndex" is {_shown(line)}; it must be from 0 to {MAX_SECTIONS - 1}'
        )
    content = {
        "candidate": candidate,
        "sdpMid": None if given.get("sdpMid") == "" else _optional_text(given, "sdpMid", 64),
        "sdpMLineIndex": line,
        "usernameFragment": _optional_text(given, "usernameFragment", 256),
    }
    content = {key: value for key, value in content.items() if key in given}
    return _relay(message, "candidate", {"candidate": content}, len(candidate), 1)


def _relay(
    message: dict[str, Any],
    kind: Literal["offer", "answer", "candidate"],
    content: dict[str, Any],
    size: int,
    candidates: int,
) -> Relay:
    call = _text(message, "call", MAX_ID_CHARS)
    return Relay(kind, _name(message, "to"), call, content, size, candidates)


def _text(message: dict[str, Any], key: str, longest: int) -> str:
    text = message.get(key)
    if not isinstance(text, str) or not text:
        raise ProtocolError(f'"{key}" is {_shown(text)}; it must be a string that is not empty')
    if len(text) > longest:
        raise ProtocolError(f'"{key}" has {len(text)} characters; at most {longest} are allowed')
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ProtocolError(f'"{key}" has half a character in it (a lone surrogate)')
    return text


def _optional_text(message: dict[str, Any], key: str, longest: int) -> str | None:
    return None if message.get(key) is None else _text(message, key, longest)


def _name(message: dict[str, Any], key: str) -> str:
    name = names.normal(_text(message, key, MAX_NAME_CHARS))
    if len(name) > MAX_NAME_CHARS:
        raise ProtocolError(f'"{key}" has more than {MAX_NAME_CHARS} characters')
    flaw = names.flaw(name)
    if flaw is not None:
        raise ProtocolError(f'"{key}" {flaw}')
    return name


def _flag(message: dict[str, Any], key: str) -> bool | None:
    flag = message.get(key)
    if flag is not None and not isinstance(flag, bool):
        raise ProtocolError(f'"{key}" is {_shown(flag)}; it must be true or false')
    return flag


def _shown(value: object) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case _:
            shown = json.dumps(value)
            return shown if len(shown) <= 40 else shown[:40] + "…"
