"""Where frames belong against each other, and where their first one belongs on our clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ....types import Pcm

_JITTER_S = 0.08
"""A stream whose frames come earlier than this against its first is not jitter but a bot that
pushes faster than it speaks: its first frame is said when it comes."""
JUMP_S = 5
"""A jump of timestamps by more is a new stream, for all that anybody knows."""
_WRAP = 1 << 32
_SLACK_S = 0.3
"""Timestamps that part from the arrivals by more are wrong."""


class Arrival(NamedTuple):
    """A run of mono samples that came in one piece. (A tuple, because hundreds a second are made
    and a frozen dataclass takes five times as long.)

    Attributes:
        pcm: int16, shape ``(frames,)`` (or ``(frames, channels)``, before it is placed).
        at: When it came, as a position on the room grid.
        pts: The sender's timestamp, or None.
        gap_is_silence: A jump of ``pts`` before this run is silence that the sender left out.
    """

    pcm: Pcm
    at: int
    pts: int | None = None
    gap_is_silence: bool = False


Stamped = tuple[int, Arrival]
"""An arrival, and its timestamp without wraps; counted, if it has none."""


def unwrapped(pts: int | None, expected: int, rate_hz: int) -> int:
    """A timestamp without wraps; ``expected``, if there is none.

    Only a small step across the border is a wrap; anything else is a jump, and stays one.
    """
    if pts is None:
        return expected
    turns = round((expected - pts) / _WRAP)
    without = pts + turns * _WRAP
    return without if turns and abs(without - expected) <= JUMP_S * rate_hz else pts


def spoken_order(frames: Sequence[Stamped], rate_hz: int) -> tuple[int, list[Stamped]]:
    """``frames`` as they were spoken, with places that count from the first: by their timestamps,
    if these agree with each other and with the arrivals; else one after the other as they came.

    Returns:
        The timestamp of place 0, as most of the frames have it, and the frames with their places.
    """
    ordered = sorted(frames, key=lambda frame: frame[0])
    if _plausible(frames, ordered, rate_hz):
        first_pts = ordered[0][0]
        return first_pts, [(pts - first_pts, arrival) for pts, arrival in ordered]
    counted, origins, place = [], Counter[int](), 0
    for pts, arrival in frames:
        counted.append((place, arrival))
        origins[pts - place] += 1
        place += len(arrival.pcm)
    return origins.most_common(1)[0][0], counted


def least_delayed(frames: Sequence[Stamped], rate_hz: int) -> int:
    """Where the first of ``frames``, in the order of :func:`spoken_order`, belongs on the room
    grid: the one that was delayed least tells.

    Frames that come ever earlier against the first were either held up together (by a busy
    machine, say) and come in time from then on, or pushed faster than they are spoken.
    """
    delays = [arrival.at - place for place, arrival in frames]
    jitter = _JITTER_S * rate_hz
    best, *others = sorted(delays)
    if others and others[0] - best > jitter:
        best = others[0]  # a single one so much earlier than all others has a wrong timestamp
    in_time = delays[0] - best <= jitter or any(
        delay - best <= jitter and arrival.at - before.at >= 0.75 * len(arrival.pcm)
        for delay, ((_, before), (_, arrival)) in zip(delays[1:], pairwise(frames), strict=True)
    )
    return best if in_time else delays[0]


def _plausible(frames: Sequence[Stamped], ordered: Sequence[Stamped], rate_hz: int) -> bool:
    if all(later[0] == pts + len(arrival.pcm) for (pts, arrival), later in pairwise(frames)):
        return True  # however fast they came: a bot that pushes all at once
    for (pts, arrival), (later_pts, later) in pairwise(ordered):
        twice = later_pts == pts and np.array_equal(later.pcm, arrival.pcm)
        if later_pts < pts + len(arrival.pcm) and not twice:
            return False
    first_pts, first = ordered[0]
    return all(
        abs((pts - first_pts) - (arrival.at - first.at)) <= _SLACK_S * rate_hz
        for pts, arrival in ordered
    )
