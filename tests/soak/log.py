"""What the soak says as it goes, and what it found wrong."""

# ruff: noqa: T201 (it prints what it does)

from __future__ import annotations

import time


class Log:
    def __init__(self) -> None:
        self._begin_s = time.monotonic()
        self.violations: list[str] = []

    def say(self, words: str) -> None:
        print(f"{time.monotonic() - self._begin_s:7.1f} s  {words}", flush=True)

    def violate(self, words: str) -> None:
        self.violations.append(words)
        self.say(f"VIOLATION: {words}")
