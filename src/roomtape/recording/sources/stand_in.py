"""What is recorded in place of a voice that is kept out."""

from __future__ import annotations

import enum

import numpy as np

from ...audio.discretion.tone import tone
from ...types import NS_PER_S, Pcm

LIFT_NS = NS_PER_S
"""So long it still stands there when a voice may be heard again: what comes later than that after
it was heard is too late for the mix in any case."""


class StandIn(enum.Enum):
    """What stands there, of the same length and at the same time."""

    SILENCE = "silence"
    TONE = "tone"

    def of(self, first: int, count: int, rate_hz: int) -> Pcm:
        """``count`` samples of it, ``first`` samples after it began: int16, shape ``(count,)``."""
        return tone(first, count, rate_hz) if self is StandIn.TONE else np.zeros(count, np.int16)
