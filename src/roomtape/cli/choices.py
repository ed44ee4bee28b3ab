"""The words of the command line for the numbers of the contract."""

from __future__ import annotations

import re
from enum import StrEnum

from ..types import AudioRecordingPosition, AudioRecordingQuality
from ..types.errors import ConfigurationError


class Quality(StrEnum):
    """The bit rate of an AAC file."""

    low = "low"
    medium = "medium"
    high = "high"

    def value_of(self) -> AudioRecordingQuality:
        return AudioRecordingQuality[self.name.upper()]


class Position(StrEnum):
    """Whose audio to record."""

    mixed = "mixed"
    local = "local"
    remote = "remote"

    def value_of(self) -> AudioRecordingPosition:
        return {
            Position.mixed: AudioRecordingPosition.MIXED_RECORDING_AND_PLAYBACK,
            Position.local: AudioRecordingPosition.RECORDING,
            Position.remote: AudioRecordingPosition.MIXED_PLAYBACK,
        }[self]


_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def seconds_of(option: str, text: str) -> float:
    """``90``, ``90s``, ``1.5m``, ``1h`` or ``1d`` in seconds.

    Raises:
        ConfigurationError: It is none of these.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|m|min|h|d|)", text.strip())
    if found is None:
        raise ConfigurationError(f"{option} is {text!r}; it must be a time such as 90s, 30m or 1h")
    return float(found[1]) * _SECONDS[found[2]]


def bytes_of(option: str, text: str) -> int:
    """``1000000``, ``100MB``, ``1.5G`` or ``64KiB`` in bytes.

    Raises:
        ConfigurationError: It is none of these.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kKMG]i?|)B?", text.strip())
    unit = found[2] if found is not None else ""
    unit = "k" if unit == "K" else "Ki" if unit == "ki" else unit
    if found is None:
        raise ConfigurationError(f"{option} is {text!r}; it must be a size such as 100MB or 1GiB")
    return int(float(found[1]) * _BYTES[unit])
