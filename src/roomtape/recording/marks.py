"""Moments of a recording that somebody gave a name."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..types import NS_PER_S, Mark
from ..types.errors import StateError

MOST_MARKS = 1000
MOST_LABEL_CHARACTERS = 200


class Marks:
    """The marks of one recording, on its own clock: sample 0 is the moment of START.

    Args:
        rate_hz: Of the recording.
        file_ns: Where in it a time since START is: some of that may be cut out.
    """

    def __init__(self, rate_hz: int, file_ns: Callable[[int], int]) -> None:
        self._rate_hz = rate_hz
        self._file_ns = file_ns
        self._marks: list[Mark] = []

    def add(self, label: str, at: float | None, now_ns: int) -> Mark:
        """Mark a moment; from one thread at a time.

        Args:
            label: In at most 200 characters; what is no text in it becomes a space.
            at: Seconds from START, up to now; None is now.
            now_ns: The time since START.

        Raises:
            ValueError: The label or the moment is none.
            StateError: There are a thousand already.
        """
        if not isinstance(label, str):
            raise ValueError(f"the label is {type(label).__name__}; it must be a text")
        if len(label) > MOST_LABEL_CHARACTERS:
            raise ValueError(
                f"the label has {len(label)} characters; it may have {MOST_LABEL_CHARACTERS}"
            )
        at_ns = now_ns if at is None else self._checked_ns(at, now_ns)
        sample = round(self._file_ns(at_ns) * self._rate_hz / NS_PER_S)
        if len(self._marks) >= MOST_MARKS:
            raise StateError(f"there are {MOST_MARKS} marks; a recording takes no more")
        words = "".join(each if each.isprintable() else " " for each in label)
        mark = Mark(sample / self._rate_hz, sample, words)
        self._marks.append(mark)
        return mark

    def all(self) -> tuple[Mark, ...]:
        """All of them so far, on the clock of the recording."""
        return tuple(self._marks)

    def _checked_ns(self, at: float, now_ns: int) -> int:
        try:
            at_s = float(at)
        except (TypeError, ValueError, OverflowError):
            at_s = math.nan
        now_s = now_ns / NS_PER_S
        if not 0 <= at_s <= now_s:
            raise ValueError(
                f"at is {at!r}; it must be seconds from the start, up to now ({now_s:.3f})"
            )
        return round(at_s * NS_PER_S)
