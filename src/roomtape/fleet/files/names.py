"""From the name of a room, which anybody may have chosen, to a folder; and names of recordings."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

JOURNAL = ".journal"
"""The folder of the journal; no room's folder begins with a dot."""
_MOST_BYTES = 200
"""A file system takes 255; something is to be left for whoever copies the folder elsewhere."""
_KEPT_BYTES = 160
_EMPTY = "%"
"""No other name becomes this: a percent sign of a room's own is always followed by two digits."""

_RECORDING = re.compile(r"\d{8}T\d{6}\.\d{3}Z(\.\d+)?\.(aac|wav)")
_REPORT = re.compile(r"\d{8}T\d{6}\.\d{3}Z(\.\d+)?\.(aac|wav)(\.\d+)?\.json")


def folder_of(room: str) -> str:
    """The name of a room's folder: no two rooms share one, and none leads anywhere else.

    Letters and digits of any script, ``-``, ``_`` and ``.`` stay; all else, and a ``.`` in front,
    becomes ``%XX`` for each byte of its UTF-8. A name that would be too long is cut, and ends in
    ``~`` and its SHA-256.
    """
    if not room:
        return _EMPTY
    folder = _escaped(room, letters=True)
    # Where a file system may put letters together into others, two names could meet.
    if not unicodedata.is_normalized("NFC", folder):
        folder = _escaped(room, letters=False)
    if len(folder.encode()) <= _MOST_BYTES:
        return folder
    digest = hashlib.sha256(room.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    kept = folder.encode()[:_KEPT_BYTES].decode(errors="ignore")
    return f"{kept}~{digest}"


def _escaped(room: str, *, letters: bool) -> str:
    return "".join(
        letter if _stays(letter, letters) and (letter != "." or at) else _percent(letter)
        for at, letter in enumerate(room)
    )


def _stays(letter: str, letters: bool) -> bool:
    if letter.isascii():
        return letter.isalnum() or letter in "-_."
    return letters and letter.isalnum()


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogatepass"))


def recording_path(directory: Path, room: str, started_at: datetime) -> Path:
    """Where a recording goes: ``DIR/ROOM/20261126T101530.123Z.aac``."""
    utc = started_at.astimezone(UTC)
    stamp = f"{utc:%Y%m%dT%H%M%S}.{utc.microsecond // 1000:03d}Z"
    return directory / folder_of(room) / f"{stamp}.aac"


def entry_name(recording: Path, worker: str, lease: int) -> str:
    """The name of a recording's entry in the journal: short, and no other's."""
    digest = hashlib.sha256(recording.parent.name.encode()).hexdigest()[:16]
    return f"{recording.stem}.{digest}.{worker}.{lease}"


def is_recording(name: str) -> bool:
    """Whether a file of this name is one that a worker made, or a recovered one that was kept."""
    return _RECORDING.fullmatch(name) is not None


def is_report(name: str) -> bool:
    """Whether a file of this name is a report of one."""
    return _REPORT.fullmatch(name) is not None
