"""How far a sender's clock has run away from ours.

Network jitter only ever *adds* delay, so the earliest arrivals show the clocks and the later
ones show the network. The tracker keeps the minimum of ``arrival - position`` over windows of
five seconds and lays a line through the last two minutes of minima: its slope is the drift, its
value now is how far off the placement is. The line is a Theil-Sen fit (Sen, JASA 63, 1968), so
that single windows full of congestion do not bend it.

A minimum that jumps by more than any clock could is a change of the network path. The sender's
timestamps stay the truth then, and the jump is taken out of the later windows.
"""

from __future__ import annotations

import numpy as np

WINDOW_S = 5
_KEEP = 24
_NEEDED = 4
_PATH_CHANGE_S = 0.1


class DriftTracker:
    """Follows one source. All numbers are samples at ``rate_hz`` on the room grid.

    Args:
        rate_hz: The source's sample rate.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._window = WINDOW_S * rate_hz
        self._times: list[int] = []
        self._floors: list[float] = []
        self._window_end: int | None = None
        self._low: tuple[int, float] | None = None
        self._path_delay = 0.0
        self._line: tuple[float, float, float] | None = None  # time, value there, slope
        self._jumps = 0

    @property
    def drift_ppm(self) -> float:
        """How much faster the sender's clock runs than ours; 0 until it is known."""
        # A fast sender's samples arrive earlier and earlier against their timestamps.
        return -self._line[2] * 1e6 if self._line else 0.0

    def add(self, at: int, delay: float) -> None:
        """Take in that a frame arrived at ``at``, ``delay`` behind its place."""
        if self._window_end is None:
            self._window_end = at + self._window
        if at >= self._window_end:
            self._close_window()
            self._window_end = at + self._window
        if self._low is None or delay < self._low[1]:
            self._low = (at, delay)

    def delay(self, at: int) -> float | None:
        """The least delay to be expected at ``at``; None until enough is known."""
        if self._line is None:
            return None
        time, value, slope = self._line
        return value + slope * (at - time)

    def moved(self, samples: float) -> None:
        """Everything placed from now on stands ``samples`` later than the timestamps say."""
        self._floors = [floor - samples for floor in self._floors]
        if self._low is not None:
            self._low = (self._low[0], self._low[1] - samples)
        if self._line is not None:
            time, value, slope = self._line
            self._line = (time, value - samples, slope)

    def restart(self) -> None:
        """Forget everything: the source was anchored anew."""
        self._times.clear()
        self._floors.clear()
        self._window_end, self._low, self._line = None, None, None
        self._path_delay, self._jumps = 0.0, 0

    def _close_window(self) -> None:
        if self._low is None:
            return
        at, floor = self._low
        self._low = None
        floor -= self._path_delay
        expected = self.delay(at)
        if expected is not None and floor - expected > _PATH_CHANGE_S * self._rate_hz:
            # One bad window is congestion; a second one in a row is another path.
            self._jumps += 1
            if self._jumps < 2:
                return
            self._path_delay += floor - expected
            floor = expected
        self._jumps = 0
        self._times.append(at)
        self._floors.append(floor)
        del self._times[:-_KEEP], self._floors[:-_KEEP]
        if len(self._times) >= _NEEDED:
            self._line = _fit(np.array(self._times, np.float64), np.array(self._floors))


def _fit(times: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    first, second = np.triu_indices(len(times), 1)
    slope = float(np.median((values[second] - values[first]) / (times[second] - times[first])))
    middle = float(times.mean())
    return middle, float(np.median(values - slope * (times - middle))), slope
