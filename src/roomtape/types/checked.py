"""The values of a configuration, checked at the door: each function gives ``given`` as the
contract's own type, or raises a ConfigurationError that says what it must be."""

from __future__ import annotations

import enum
import math
import operator
import os
from collections.abc import Sequence
from typing import TypeVar

from .errors import ConfigurationError

LEAST_SPLIT_BYTES = 1 << 16
_MOST_NAMES = 1000
_MOST_SPLIT_S = 366 * 24 * 3600
_MOST_BEEP_S = 3600

Word = TypeVar("Word", bound=enum.StrEnum)


def checked_path(given: object, name: str = "file_path") -> str:
    """``given`` as the name of a file that the system can have."""
    try:
        path = os.fsdecode(given)  # type: ignore[arg-type]  # whatever it is
        os.fsencode(path)
    except Exception as error:  # whatever somebody's own __fspath__ raises, too
        raise ConfigurationError(
            f"{name} is {given!r}; it must name a file ({type(error).__name__}: {error})"
        ) from None
    if "\0" in path:
        raise ConfigurationError(f"{name} contains a NUL character")
    return path


def checked_names(given: object) -> tuple[str, ...]:
    if isinstance(given, Sequence) and not isinstance(given, str):
        names = tuple(given)
        if len(names) <= _MOST_NAMES and all(isinstance(each, str) for each in names):
            return names
    raise ConfigurationError(
        f"exclude is {given!r:.60}; it must be a list of names, at most {_MOST_NAMES}"
    )


def checked_word(name: str, given: object, words: type[Word]) -> Word:
    """``given`` as one of these words."""
    try:
        return words(given)  # type: ignore[arg-type]  # whatever it is
    except ValueError:
        listed = ", ".join(words)
        raise ConfigurationError(f"{name} is {given!r:.40}; it must be one of {listed}") from None


def checked_beep(given: object) -> float:
    try:
        seconds = float(given)  # type: ignore[arg-type]  # whatever it is
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if isinstance(given, bool | str | bytes) or not 1 <= seconds <= _MOST_BEEP_S:
        raise ConfigurationError(
            f"beep_s is {given!r:.40}; it must be a number of seconds from 1 to {_MOST_BEEP_S}"
        )
    return seconds


def checked_split(split_s: object, split_bytes: object) -> tuple[float | None, int | None]:
    seconds: float | None = None
    if split_s is not None:
        try:
            seconds = float(split_s)  # type: ignore[arg-type]  # whatever it is
        except (TypeError, ValueError, OverflowError):
            seconds = math.nan
        if isinstance(split_s, bool | str | bytes) or not 1 <= seconds <= _MOST_SPLIT_S:
            raise ConfigurationError(
                f"split_s is {split_s!r}; it must be a number of seconds from 1 to {_MOST_SPLIT_S}"
            )
    count: int | None = None
    if split_bytes is not None:
        try:
            count = operator.index(split_bytes)  # type: ignore[arg-type]  # whatever it is
        except TypeError:
            count = 0
        if isinstance(split_bytes, bool) or count < LEAST_SPLIT_BYTES:
            raise ConfigurationError(
                f"split_bytes is {split_bytes!r}; it must be a number, {LEAST_SPLIT_BYTES} or more"
            )
    return seconds, count


def one_of(name: str, value: object, allowed: tuple[int, ...], note: str = "") -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # whatever it is
    except TypeError:
        number = None
    # bool is an int to Python, and True would silently mean quality 1.
    if number is None or isinstance(value, bool) or number not in allowed:
        listed = ", ".join(str(int(choice)) for choice in allowed)
        raise ConfigurationError(f"{name} is {value!r}; it must be one of {listed}{note}")
    return number
