"""A quiet tone that stands where a voice was left out, so that a listener knows."""

from __future__ import annotations

import numpy as np

from ...types import Pcm

TONE_HZ = 440
TONE_PEAK = 656  # -34 dBFS: heard beside speech, and not over it


def tone(first: int, count: int, rate_hz: int) -> Pcm:
    """Samples ``[first, first + count)`` of the tone: int16, shape ``(count,)``. However it is cut,
    it goes on without a click."""
    # Whole cycles are taken out as integers: after hours, too, the phase is exact.
    cycles = (np.arange(first, first + count, dtype=np.int64) * TONE_HZ) % rate_hz
    samples: Pcm = np.rint(np.sin(cycles * (2 * np.pi / rate_hz)) * TONE_PEAK).astype(np.int16)
    return samples
