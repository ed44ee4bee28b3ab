"""Keeps from the mix what a source said before it was forgotten."""

from __future__ import annotations

import math

from ...types import NS_PER_S

_OPEN = -math.inf


class Curtain:
    """One source's, for all of its voices. :meth:`drop` and :meth:`lift` while nothing is mixed, or
    where it does not matter with which mix it begins."""

    def __init__(self) -> None:
        self._until_ns: float = _OPEN
        self.used = False
        """Whether it was ever dropped."""

    def drop(self) -> None:
        """Nothing of the source is mixed from now on, whatever waits, until :meth:`lift`."""
        self._until_ns, self.used = math.inf, True

    def lift(self, at_ns: int) -> None:
        """What is heard from then on is mixed again; if it was dropped."""
        if self._until_ns == math.inf:
            self._until_ns = at_ns

    def hidden(self, rate_hz: int, start: int, stop: int) -> int:
        """How many of the samples ``[start, stop)`` are behind it."""
        if self._until_ns == _OPEN:
            return 0  # nearly always
        if self._until_ns == math.inf:
            return stop - start
        until = -(-int(self._until_ns) * rate_hz // NS_PER_S)
        return min(max(0, until - start), stop - start)
