"""Is a stream that comes too late catching up, or did its sender fall behind?

Behind a narrow link, what was held up comes faster than it was spoken, and each frame is less late
than the one before it. A sender that paused stays as late as it is. The slope of the lateness over
the timestamps tells: 0 for a pause, ``1 / pace - 1`` for a queue that empties at ``pace``. Jitter
of 60 ms bends the slope of 300 ms of frames by up to 0.2, that of 500 ms by up to 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .anchor import Stamped

_SURELY_NOT = -0.08
_SURELY = -0.2
_RATHER = -0.13
"""1.15 times as fast as it was spoken, half way between a pause and 1.3 times."""
_AT_ONCE = -0.95
"""20 times as fast: no queue, for that would have caught up by now, but a bot that speaks again,
and whose clock stood still meanwhile."""
LONGEST_S = 25
"""What will take longer to catch up is given up: 5 s at 1.3 times as fast take 17 s, in which all
is lost but nothing misplaced; beyond, a source in the wrong place is better than none."""
_FEWEST = 3


def is_catching_up(
    frames: Sequence[Stamped], late: float, rate_hz: int, *, decide: bool
) -> bool | None:
    """Judge ``frames``, in the order of their timestamps.

    Args:
        late: By how many samples the last one must get earlier to be in time.
        decide: Judge even where jitter may be the reason; else give None there.
    """
    if len(frames) < _FEWEST:
        return False
    pts = np.array([pts for pts, _ in frames], np.float64)
    lateness = np.array([arrival.at - pts for pts, arrival in frames], np.float64)
    pts -= pts.mean()
    spread = float(pts @ pts)
    slope = float(pts @ lateness) / spread if spread else 0.0
    if not decide and _SURELY < slope < _SURELY_NOT:
        return None
    if not _AT_ONCE <= slope <= _RATHER:
        return False
    per_second = -slope / (1 + slope)  # by our clock
    return late <= per_second * LONGEST_S * rate_hz
