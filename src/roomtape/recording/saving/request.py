"""What a program asks to be saved, checked at the door."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import NamedTuple

from ...storage.naming import one_place
from ...storage.stems.directory import stems_beside
from ...types import AudioRecordingConfiguration
from ...types.errors import ConfigurationError, SuffixError

MOST_THEN_S = 3600.0
"""So far into the future a save may reach: it keeps a thread and a file all that time."""


class SaveRequest(NamedTuple):
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
    at: Path,
) -> SaveRequest:
    """What is asked for of the recording that ``config`` describes, and that goes to ``at`` now.

    Raises:
        ConfigurationError: A number or the path cannot be (SuffixError: its suffix is not the
            recording's).
    """
    path = checked_path(config, file_path)
    request = SaveRequest(
        path,
        seconds("last_s", last_s),
        seconds("then_s", then_s, MOST_THEN_S),
        bool(since_last_save),
    )
    if any(one_place(path, taken) for taken in (config.path, at)):
        raise ConfigurationError(f"cannot save to {path}: the recording itself is there")
    if config.stems_path is not None and one_place(stems_beside(path), config.stems_path):
        raise ConfigurationError(
            f"cannot save to {path}: its stems would go to {config.stems_path}, where those of the "
            "recording are"
        )
    return request


def checked_path(config: AudioRecordingConfiguration, file_path: str | os.PathLike[str]) -> Path:
    """Where something of the recording is to go.

    Raises:
        ConfigurationError: There can be no such file (SuffixError: its suffix is not the
            recording's).
    """
    there = dataclasses.replace(config, file_path=file_path).checked()
    if there.format is not config.format:
        raise SuffixError(
            f"cannot record to {there.path.name!r}: the recording is .{config.format.value}, and "
            "so must be all that is made of it"
        )
    return there.path


def checked_cycle(config: AudioRecordingConfiguration, cycle_time: int | None) -> int:
    """How many seconds a live recording keeps from now on.

    Raises:
        ConfigurationError: It cannot be, or nobody has said.
    """
    chosen = config.cycle_time if cycle_time is None else cycle_time
    cycle_s = int(dataclasses.replace(config, cycle_time=chosen).checked().cycle_time)
    if not cycle_s:
        raise ConfigurationError("cycle_time must say how many seconds: 10, 60, 360 or 900")
    return cycle_s


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
