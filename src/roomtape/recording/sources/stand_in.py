"""What is recorded in place of a voice that is kept out."""

from __future__ import annotations

import enum

import numpy as np

from ...audio.discretion.tone import tone
from ...types import Pcm


class StandIn(enum.Enum):
    """What stands there, of the same length and at the same time."""

    SILENCE = "silence"
    TONE = "a quiet tone"

    def of(self, first: int, count: int, rate_hz: int) -> Pcm:
        """``count`` samples of it, ``first`` samples after it began: int16, shape ``(count,)``."""
        return tone(first, count, rate_hz) if self is StandIn.TONE else np.zeros(count, np.int16)
