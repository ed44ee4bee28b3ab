"""What a program asks to be saved, checked at the door."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from pathlib import Path

from ...storage.naming import one_place
from ...types import AudioRecordingConfiguration
from ...types.errors import ConfigurationError, SuffixError

MOST_THEN_S = 3600.0
"""So far into the future a save may reach: it keeps a thread and a file all that time."""


@dataclass(frozen=True, slots=True)
class SaveRequest:
    """See :meth:`roomtape.AudioRecorder.save`."""

    path: Path
    last_s: float
    then_s: float
    since_last_save: bool


def checked_request(
    config: AudioRecordingConfiguration,
    file_path: str | os.PathLike[str],
    *,
    last_s: float,
    then_s: float,
    since_last_save: bool,
) -> SaveRequest:
    """What is asked for of the recording that ``config`` describes.

    Raises:
        ConfigurationError: A number or the path cannot be (SuffixError: its suffix is not the
            recording's).
    """
    there = dataclasses.replace(config, file_path=file_path).checked()
    if there.format is not config.format:
        raise SuffixError(
            f"cannot save to {there.path.name!r}: the recording is .{config.format.value}, and so "
            "must be what is saved of it"
        )
    request = SaveRequest(
        there.path,
        seconds("last_s", last_s),
        seconds("then_s", then_s, MOST_THEN_S),
        bool(since_last_save),
    )
    if one_place(there.path, config.path):
        raise ConfigurationError(f"cannot save to {there.path}: the recording itself is there")
    return request


def seconds(name: str, value: object, most_s: float = math.inf) -> float:
    """``value`` as seconds.

    Raises:
        ConfigurationError: It is no number, or not within ``[0, most_s]``.
    """
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever it is
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool | str | bytes) or not (0 <= number <= most_s) or number == math.inf:
        most = "" if most_s == math.inf else f", at most {most_s:g}"
        raise ConfigurationError(f"{name} is {value!r}; it must be a number of seconds{most}")
    return number
