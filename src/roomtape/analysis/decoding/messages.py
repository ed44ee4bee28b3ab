"""What the decoding process says, in the order in which it says it.

Each message is a kind (one byte), the length of what follows (u32), and that: first one HEADER,
then any number of INTERLEAVED, PLANAR and SILENCE, then one END; or at any time a FAILURE, and
nothing more.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import IO, Any, BinaryIO

HEADER = b"H"
"""JSON: ``format``, ``rate_hz``, ``channels``, ``speakers``, ``declared_s``, ``sample_bytes`` (2
for int16, 4 for float32 with a full scale of 1.0)."""
INTERLEAVED = b"I"
"""Audio, the channels of a sample side by side."""
PLANAR = b"P"
"""Audio, one channel behind the other."""
SILENCE = b"S"
"""How many samples of it (u64)."""
END = b"D"
"""JSON: ``damage`` and ``notes``, lists of words."""
FAILURE = b"E"
"""JSON: ``why``, in words, and ``audio``, whether the file looked like audio at all."""

MOST_BYTES = 1 << 24
_HEAD = struct.Struct("<cI")
_FRAMES = struct.Struct("<Q")


def send(pipe: BinaryIO, kind: bytes, payload: bytes) -> None:
    """Write one message."""
    pipe.write(_HEAD.pack(kind, len(payload)) + payload)


def send_said(pipe: BinaryIO, kind: bytes, **said: Any) -> None:
    """Write one message of JSON."""
    send(pipe, kind, json.dumps(said).encode())


def send_silence(pipe: BinaryIO, frames: int) -> None:
    """Write how many samples of silence there are."""
    send(pipe, SILENCE, _FRAMES.pack(frames))


def receive(pipe: IO[bytes]) -> tuple[bytes, bytes] | None:
    """Read one message; None where there is none that is whole."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    kind, length = _HEAD.unpack(head)
    if length > MOST_BYTES:
        return None
    payload = pipe.read(length)
    return (kind, payload) if len(payload) == length else None


def frames_of_silence(payload: bytes) -> int:
    """What :func:`send_silence` said."""
    return int(_FRAMES.unpack(payload)[0])


def listed(words: Sequence[str], most: int, more: str) -> list[str]:
    """At most so many, and how many more there are."""
    rest = len(words) - most
    return [*words[:most], *([f"and {rest} more {more}"] if rest > 0 else [])]
