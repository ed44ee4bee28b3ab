"""Anchors that a stream has left behind because it came too late for them.

Where the network was the reason, the stream comes in time for one of them again some day, and
belongs there. A sender that paused never does: its timestamps stood still.
"""

from __future__ import annotations

from collections import deque

_MOST = 8
_EARLY_S = 0.05
"""The anchor was not exact: it may have been set by a frame that was delayed so much."""
_LATE_S = 0.15
_STAY_S = 1
"""A bot that pushes faster than it speaks comes by as well, but does not stay."""


class FormerAnchors:
    """Of one stream of timestamps, at one rate.

    An arrival's *origin* is the anchor by which it came without any delay: ``at - pts``.
    """

    def __init__(self, rate_hz: int) -> None:
        self._anchors: deque[int] = deque(maxlen=_MOST)
        self._early = round(_EARLY_S * rate_hz)
        self._late = round(_LATE_S * rate_hz)
        self._stay = _STAY_S * rate_hz
        self._fitting: int | None = None
        self._since = 0

    def __len__(self) -> int:
        return len(self._anchors)

    def add(self, anchor: int) -> None:
        """The stream has left ``anchor``, for a later one."""
        self._anchors.append(anchor)

    def clear(self) -> None:
        """The stream began anew."""
        self._anchors.clear()
        self._fitting = None

    def in_reach(self, origin: int) -> bool:
        """Whether an arrival is no earlier than the earliest anchor explains."""
        return bool(self._anchors) and origin >= min(self._anchors) - self._early

    def regained(self, origin: int, at: int) -> int | None:
        """The anchor to return to, if the stream has come in time for it for long enough. It is
        forgotten, and all that were left after it."""
        if not self._anchors:
            return None
        fit = (each for each in self._anchors if -self._early <= origin - each <= self._late)
        before, self._fitting = self._fitting, min(fit, default=None)
        if self._fitting is None or self._fitting != before:
            self._since = at
            return None
        if at - self._since < self._stay:
            return None
        anchor = self._fitting
        while self._anchors and self._anchors[-1] >= anchor:
            self._anchors.pop()
        self._fitting = None
        return anchor
