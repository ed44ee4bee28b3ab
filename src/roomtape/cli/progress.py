"""How far a command is with files of any length: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from ..analysis.timecode import timecode

_AFTER_S, _EVERY_S = 0.5, 0.2


class Progress:
    """Use it as a context; when that is left, the line is gone.

    Args:
        verb: What was done to so many seconds: "mixed", "read".
    """

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._terminal = sys.stderr.isatty()
        self._next_s = 0.0
        self._shown = False

    def __enter__(self) -> Callable[[float, float | None], None] | None:
        """What to call with the seconds so far and in all; None where nobody would see it."""
        self._next_s = time.monotonic() + _AFTER_S
        return self._show if self._terminal else None

    def __exit__(self, *error: object) -> None:
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _show(self, seconds: float, total_s: float | None) -> None:
        now = time.monotonic()
        if now < self._next_s:
            return
        self._next_s, self._shown = now + _EVERY_S, True
        total = "" if total_s is None else f" of {timecode(total_s, 0)}"
        words = f"{self._verb} {timecode(seconds, 0)}{total}"
        print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)
