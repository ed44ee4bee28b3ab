"""Reading samples at a slightly other speed, to follow a sender's clock without a click.

A correction of some samples is spread over so many samples that the pitch changes by
less than 0.1 %, and the signal is interpolated in between by a windowed sinc. At both ends of a
correction the interpolation falls on whole samples, where the sinc is the identity, so reading
goes over into plain copying and back without a step.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ...types import Pcm
from .. import arrays

TAPS = 32
BEFORE = TAPS // 2 - 1
"""Samples that the interpolation needs before a position ..."""
AFTER = TAPS // 2
"""... and behind it."""
_PHASES = 4096
_ONE = 1 << 24
"""The weights are whole numbers of it, so that their sums are exact in any order."""
_KAISER_BETA = 9.0

Weights = npt.NDArray[np.int32]
N = TypeVar("N", int, npt.NDArray[np.int64])


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

    def input_of(self, output: int) -> int:
        """The input sample that an output is read at, or just behind."""
        return self._position(output) // _PHASES

    def _position(self, output: N) -> N:
        # Exact: offset = before + change * (n - start) / length.
        moved = (self.after - self.before) * (output - self.start) * _PHASES // self.length
        return (output - self.before) * _PHASES - moved

    def positions(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Where the outputs ``[start, stop)`` are read, in 1/_PHASES samples."""
        return self._position(np.arange(start, stop, dtype=np.int64))


def warped(samples: Pcm, first: int, slew: Slew, start: int, stop: int) -> Pcm:
    """The outputs ``[start, stop)`` of ``slew``.

    Args:
        samples: The input, its first sample at position ``first``; it reaches from
            ``slew.input_of(start) - BEFORE`` to ``slew.input_of(stop - 1) + AFTER``.
        first: See ``samples``.
        slew: The correction.
        start, stop: Within it.
    """
    if arrays.NATIVE is not None:
        pcm = np.empty(stop - start, np.int16)
        begin, change = start - slew.before - first, slew.after - slew.before
        samples = np.ascontiguousarray(samples)
        arrays.NATIVE.warp(pcm, samples, _weights(), begin, start - slew.start, slew.length, change)
        return pcm
    positions = slew.positions(start, stop)
    windows = np.lib.stride_tricks.sliding_window_view(samples, TAPS)
    rows = windows[positions // _PHASES - BEFORE - first]
    # In float64, all of these sums are exact.
    sums = np.einsum("ij,ij->i", rows.astype(np.float64), _weights()[positions % _PHASES])
    values: Pcm = np.clip(np.rint(sums / _ONE), -32768, 32767).astype(np.int16)
    return values


@lru_cache(maxsize=1)
def _weights() -> Weights:
    """``[phase, tap]``: a Kaiser-windowed sinc, each row summing to 1 (no ripple at DC)."""
    fractions = np.arange(_PHASES)[:, None] / _PHASES
    distance = np.arange(-BEFORE, AFTER + 1)[None, :] - fractions
    window = np.i0(
        _KAISER_BETA * np.sqrt(np.clip(1 - (distance / (TAPS / 2)) ** 2, 0, None))
    ) / np.i0(_KAISER_BETA)
    table = np.sinc(distance) * window
    whole: Weights = np.rint(table / table.sum(axis=1, keepdims=True) * _ONE).astype(np.int32)
    # What rounding leaves goes to the largest.
    largest = whole.argmax(axis=1)
    whole[np.arange(_PHASES), largest] += (_ONE - whole.sum(axis=1)).astype(np.int32)
    return whole
