"""Whether a sender's timestamps are believed."""

from __future__ import annotations

from collections import deque

_MOST_OFFENCES = 4
_WITHIN_S = 5
_DISTRUST_S = 10


class Trust:
    """In one sender's timestamps. Several wrong ones in a short time, and none is believed for a
    while; the next time, for twice as long. Times are samples at ``rate_hz``."""

    def __init__(self, rate_hz: int) -> None:
        self._within = _WITHIN_S * rate_hz
        self._offences: deque[int] = deque(maxlen=_MOST_OFFENCES)
        self._lost_until: int | None = None
        self._distrust = _DISTRUST_S * rate_hz

    def holds(self, at: int) -> bool:
        """Whether what comes at ``at`` is believed."""
        if self._lost_until is not None and at >= self._lost_until:
            self._lost_until = None
        return self._lost_until is None

    @property
    def lost(self) -> bool:
        """Whether there is any distrust, even one that ends with what comes next."""
        return self._lost_until is not None

    def offend(self, at: int) -> bool:
        """A timestamp was wrong. Returns whether that was one too many."""
        self._offences.append(at)
        if len(self._offences) < _MOST_OFFENCES or at - self._offences[0] > self._within:
            return False
        self._lost_until = at + self._distrust
        # One offence is due when it is believed again, at a count gone wrong; not two.
        self._offences.clear()
        self._offences.extend([self._lost_until] * (_MOST_OFFENCES - 2))
        self._distrust *= 2
        return True
