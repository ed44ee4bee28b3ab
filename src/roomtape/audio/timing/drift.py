"""How far a sender's clock has run away from ours.

Network jitter only ever *adds* delay, so the earliest arrivals show the clocks and the later
ones show the network. The tracker keeps the minimum of ``arrival - position`` over windows of
five seconds and lays a line through the last two minutes of minima: its slope is the drift, its
value now is how far off the placement is. The line is a Theil-Sen fit (Sen, JASA 63, 1968), so
that single windows full of congestion do not bend it.

A minimum that leaves the line by more than a clock could is the network:

* later: congestion, or a longer path. The sender's timestamps stay the truth, and the excess is
  taken out of this window and the later ones, until it goes away again;
* earlier: all that came before was late, by this much. The line goes down at once.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

WINDOW_S = 5
_KEEP = 24
_NEEDED_FOR_SLOPE = 4
_JITTER_S = 0.01
"""The minimum of 250 frames with 60 ms of jitter moves by less than 2 ms; bad Wi-Fi needs room."""
_MOST_SLOPE = 1e-3
"""Sound cards are up to some hundred ppm off; what runs away faster is a queue that fills."""

_FOREVER = 1 << 60
"""A position that no recording reaches."""


class DriftTracker:
    """Follows one source. All numbers are samples at ``rate_hz`` on the room grid.

    Args:
        rate_hz: The source's sample rate.
    """

    def __init__(self, rate_hz: int) -> None:
        self._jitter = _JITTER_S * rate_hz
        self._window = WINDOW_S * rate_hz
        self._times: list[int] = []
        self._floors: list[float] = []
        self._window_end: int | None = None
        self._lows: list[tuple[float, int]] = []  # the two least delays, and when
        self._excess = 0.0
        self._odd_windows = 0
        self._line: tuple[float, float] | None = None  # time, value there
        self._slope = 0.0

    @property
    def drift_ppm(self) -> float:
        """How much faster the sender's clock runs than ours; 0 until it is known."""
        # A fast sender's samples arrive earlier and earlier against their timestamps.
        return -self._slope * 1e6

    def add(self, at: int, delay: float) -> None:
        """Take in that a frame arrived at ``at``, ``delay`` behind its place."""
        if self._window_end is None:
            self._window_end = at + self._window
        if at >= self._window_end:
            self._close_window()
            self._window_end = at + self._window
        if len(self._lows) < 2 or (delay, at) < self._lows[1]:
            self._lows = sorted([*self._lows, (delay, at)])[:2]

    def delay(self, at: int) -> float | None:
        """The least delay to be expected at ``at``; None until enough is known."""
        if self._line is None:
            return None
        time, value = self._line
        return value + self._slope * (at - time)

    @property
    def window_end(self) -> int | None:
        """What comes before this position only counts if it was delayed less than all but one of
        what has come since the last window; None at first."""
        return self._window_end

    def calm_until(self, at: int, error: float) -> int:
        """If no window ends, ``abs(delay(...))`` is less than ``error`` from ``at`` to here."""
        if self._line is None:
            return _FOREVER
        time, value = self._line
        if abs(value + self._slope * (at - time)) >= error:
            return at
        if not self._slope:
            return _FOREVER
        edge = time + (math.copysign(error, self._slope) - value) / self._slope
        return math.floor(min(edge, _FOREVER) - self._jitter)  # far from where rounding matters

    def moved(self, samples: float) -> None:
        """Everything placed from now on stands ``samples`` later than the timestamps say."""
        self._floors = [floor - samples for floor in self._floors]
        self._lows = [(low - samples, at) for low, at in self._lows]
        if self._line is not None:
            self._line = (self._line[0], self._line[1] - samples)

    def restart(self) -> None:
        """The source was anchored anew: its delays do not compare, but its clock is the same."""
        self._times.clear()
        self._floors.clear()
        self._lows.clear()
        self._window_end, self._line = None, None
        self._excess, self._odd_windows = 0.0, 0

    def _close_window(self) -> None:
        if not self._lows:
            return
        floor, at = self._lows[0]
        if self._lows[-1][0] - floor > self._jitter:
            floor, at = self._lows[-1]  # a single one so early has a wrong timestamp
        self._lows.clear()
        expected = self.delay(at)
        if expected is not None and not self._is_clock(floor, expected):
            return
        self._times.append(at)
        self._floors.append(floor - self._excess)
        del self._times[:-_KEEP], self._floors[:-_KEEP]
        times, floors = np.array(self._times, np.float64), np.array(self._floors)
        if len(times) >= _NEEDED_FOR_SLOPE:
            self._slope = min(max(_median_slope(times, floors), -_MOST_SLOPE), _MOST_SLOPE)
        middle = float(times.mean())
        self._line = (middle, _median(floors - self._slope * (times - middle)))

    def _is_clock(self, floor: float, expected: float) -> bool:
        """Whether this minimum can be on the line; if not, what it says of the network."""
        off = floor - self._excess - expected
        if off < -self._jitter:  # congestion that goes away leaves by the way it came
            relief = min(self._excess, -off)
            self._excess -= relief
            off += relief
        if abs(off) <= self._jitter:
            self._odd_windows = 0
            return True
        # One odd window is a mishap; a second one in a row is the network.
        self._odd_windows += 1
        if self._odd_windows >= 2:
            if off > 0:
                self._excess += off
            else:
                self._floors = [each + off for each in self._floors]
                assert self._line is not None
                self._line = (self._line[0], self._line[1] + off)
        return False


def _median_slope(times: np.ndarray, values: np.ndarray) -> float:
    first, second = _pairs(len(times))
    return _median((values[second] - values[first]) / (times[second] - times[first]))


def _median(values: np.ndarray) -> float:
    """A tenth of what ``np.median`` takes for so few, none of which is a NaN."""
    ordered, count = np.sort(values), len(values)
    return float(ordered[(count - 1) // 2] + ordered[count // 2]) / 2


@lru_cache(maxsize=_KEEP)
def _pairs(count: int) -> tuple[np.ndarray, ...]:
    return np.triu_indices(count, 1)
