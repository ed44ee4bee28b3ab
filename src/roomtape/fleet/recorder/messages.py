"""What a worker and its recorder processes say to each other: JSON, one message a line."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

EVERYBODY_LEFT = "everybody had left"
"""What ends a recording as it should be."""
MOST_BYTES = 1 << 20
"""A line; no message comes near it."""


@dataclass(frozen=True, slots=True)
class Record:
    """To a recorder: record a room.

    Attributes:
        room, sid: Which one.
        lease: The fence of its lease.
        identity: As whom to join.
        previous: The recording that this one goes on from: its file, worker and lease.
    """

    room: str
    sid: str
    lease: int
    identity: str
    previous: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """To a recorder: finish a recording.

    Attributes:
        room, lease: Which one.
        why: For the report.
        next: The recording that goes on from this one, if any.
    """

    room: str
    lease: int
    why: str
    next: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Began:
    """From a recorder: the file is there, and being written."""

    room: str
    lease: int
    file: str


@dataclass(frozen=True, slots=True)
class Ended:
    """From a recorder: the room is left, and nothing is written any more.

    Attributes:
        room, lease: Which one.
        why: What ended it.
        file: The finished file; empty where none was begun.
        failed: Whether it did not go as it should: the room could not be joined, or the file
            not be written.
        duration_s, lost_s, late_s: Of the file, and of all in it.
        warnings: How often each was told.
    """

    room: str
    lease: int
    why: str
    file: str = ""
    failed: bool = False
    duration_s: float = 0.0
    lost_s: float = 0.0
    late_s: float = 0.0
    warnings: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Beat:
    """From a recorder, every second.

    Attributes:
        recorded_s: So far, in all files that it has finished or writes.
        lag_s: How late its event loop was at most since the last one.
        cpu_s: The processor time that it has used.
    """

    recorded_s: float
    lag_s: float
    cpu_s: float


Message = Record | Stop | Began | Ended | Beat
_KINDS: dict[str, type[Message]] = {
    kind.__name__.lower(): kind for kind in (Record, Stop, Began, Ended, Beat)
}


def to_line(message: Message) -> bytes:
    """One line, with its end."""
    facts = dataclasses.asdict(message)
    return json.dumps({"kind": type(message).__name__.lower(), **facts}).encode() + b"\n"


def from_line(line: bytes) -> Message | None:
    """The message; None for what is none."""
    try:
        facts = json.loads(line)
        return _KINDS[facts.pop("kind")](**facts)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
