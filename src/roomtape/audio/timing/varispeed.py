"""Reading samples at a slightly other speed, to follow a sender's clock without a click.

A correction of some samples is spread over so many samples that the pitch changes by
less than 0.1 %, and the signal is interpolated in between by a windowed sinc. At both ends of a
correction the interpolation falls on whole samples, where the sinc is the identity, so reading
goes over into plain copying and back without a step.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

TAPS = 32
BEFORE = TAPS // 2 - 1
"""Samples that the interpolation needs before a position ..."""
AFTER = TAPS // 2
"""... and behind it."""
_PHASES = 4096
_KAISER_BETA = 9.0


class Slew(NamedTuple):
    """A correction: over ``length`` output samples from ``start`` on, the distance between
    output and input position goes from ``before`` to ``after`` samples."""

    start: int
    length: int
    before: int
    after: int

    @property
    def end(self) -> int:
        return self.start + self.length

    def input_positions(
        self, start: int, stop: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """For the outputs ``[start, stop)``: the input sample, and the phase behind it."""
        outputs = np.arange(start, stop, dtype=np.int64)
        # Exact integers: offset = before + change * (n - start) / length, in 1/_PHASES samples.
        moved = (self.after - self.before) * (outputs - self.start) * _PHASES // self.length
        positions = (outputs - self.before) * _PHASES - moved
        return positions // _PHASES, positions % _PHASES


def interpolate(
    samples: npt.NDArray[np.int16],
    first: int,
    whole: npt.NDArray[np.int64],
    phase: npt.NDArray[np.int64],
) -> npt.NDArray[np.int16]:
    """The signal at ``whole + phase / 4096``.

    Args:
        samples: The input, its first sample at position ``first``; it reaches from
            ``whole[0] - BEFORE`` to ``whole[-1] + AFTER``.
        first: See ``samples``.
        whole, phase: The positions, as :meth:`Slew.input_positions` gives them.
    """
    windows = np.lib.stride_tricks.sliding_window_view(samples, TAPS)
    rows = windows[whole - BEFORE - first]
    values = np.einsum("ij,ij->i", rows.astype(np.float32), _sinc_table()[phase])
    pcm: npt.NDArray[np.int16] = np.clip(np.rint(values), -32768, 32767).astype(np.int16)
    return pcm


@lru_cache(maxsize=1)
def _sinc_table() -> npt.NDArray[np.float32]:
    """``[phase, tap]``: a Kaiser-windowed sinc, each row summing to 1 (no ripple at DC)."""
    fractions = np.arange(_PHASES)[:, None] / _PHASES
    distance = np.arange(-BEFORE, AFTER + 1)[None, :] - fractions
    window = np.i0(
        _KAISER_BETA * np.sqrt(np.clip(1 - (distance / (TAPS / 2)) ** 2, 0, None))
    ) / np.i0(_KAISER_BETA)
    table = np.sinc(distance) * window
    rows: npt.NDArray[np.float32] = (table / table.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows
