"""The names of stems: a participant's name, made safe for every file system and project file."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from ...types import AudioFormat

_MOST_BYTES = 120
"""Of 255 that a name can have: what moves an older file aside puts a number behind it."""
_NOT_IN_NAMES = frozenset("/\\:*?\"<>|'`")
"""What separates directories, or means something to Windows, to a shell or to a project file."""


def stem_name(number: int, participant: str, audio_format: AudioFormat) -> Path:
    """The file of the ``number``-th stay: ``003-bob.wav``.

    The number comes first. So no two are alike, whatever the participants are called and whether or
    not the file system tells upper from lower case, none is ``..`` or hidden, and they sort as they
    came. Marks that change the direction of what follows are left out, as is all that cannot be
    seen; letters of every script stay.
    """
    text = unicodedata.normalize("NFC", participant)
    kept = "".join(_safe(char) for char in text).strip(" .")
    while len(kept.encode()) > _MOST_BYTES:
        kept = kept[:-1]
    # What was cut off may have left half of what it belonged to.
    kept = kept.rstrip(" .\u200d")
    return Path(f"{number:03d}-{kept or 'unnamed'}.{audio_format.value}")


def _safe(char: str) -> str:
    category = unicodedata.category(char)
    if char in _NOT_IN_NAMES or category == "Cs":
        return "_"
    if category[0] == "Z":
        return " "
    return "" if category[0] == "C" else char
