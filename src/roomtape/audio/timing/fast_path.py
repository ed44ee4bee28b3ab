"""The fast path: while nothing has to be decided (each frame continues the one before it and none
is late), the accelerator places and adds a source's samples, where it was built. That is nearly
always so, and the same few sums for hundreds of frames a second.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .. import arrays
from .placing.anchor import Arrival
from .placing.anchored_stream import AHEAD_S, LATE_S, REORDER_S, UNTIMED_LATE_S
from .playout import SPEECH_BLOCK_S

if TYPE_CHECKING:
    from ...types import Pcm
    from ..arrays import Samples
    from ._native import FastPath

_MOST_PUSHED_S = 10
"""More than this at once goes the long way, where it is bounded."""


class Left(enum.IntEnum):
    """What :meth:`FastPath.place` says of what was pushed."""

    NOTHING = 0
    MORE = 1
    """To be placed with another call."""
    ODD = 2
    """More has to be decided than the fast path can."""
    UNSURE = 3
    """Nothing; but it is not open, or what waits is far ahead of the clock."""


FAR_AHEAD_S = 1
"""Who has pushed more than this ahead of the clock goes the long way."""


def fast_path(rate_hz: int) -> FastPath | None:
    """For one source at one rate; None where there is no accelerator."""
    if arrays.NATIVE is None:
        return None
    made: FastPath = arrays.NATIVE.FastPath(
        rate_hz=rate_hz,
        block=round(SPEECH_BLOCK_S * rate_hz),
        late=round(LATE_S * rate_hz),
        untimed_late=round(UNTIMED_LATE_S * rate_hz),
        ahead=round(AHEAD_S * rate_hz),
        keep=round(REORDER_S * rate_hz),
        most_pushed=_MOST_PUSHED_S * rate_hz,
    )
    return made


def place_all(paths: list[FastPath | None], now_ns: int) -> Sequence[int]:
    """Place what was pushed to these, as far as nothing is to be told of it.

    Args:
        paths: None is nobody's.
        now_ns: From the start of the recording.

    Returns:
        The indexes of those at which nothing was done.
    """
    if arrays.NATIVE is None:
        return range(len(paths))
    left: list[int] = arrays.NATIVE.FastPath.place_all(paths, now_ns)
    return left


def add_all(
    paths: list[FastPath | None], total: Samples, stop: int, copies: list[Pcm] | None = None
) -> Sequence[int]:
    """Add what of these is heard before ``stop``, as far as nobody need look at it.

    Args:
        paths: None is nobody's.
        total: So many samples of each are added to it.
        stop: Behind the last of them.
        copies: For each path, where the samples are wanted as they are: int16, as many as
            ``total``. What is in those of the indexes that are returned is not said.

    Returns:
        The indexes of those at which nothing was done.
    """
    if arrays.NATIVE is None:
        return range(len(paths))
    given = (paths, total, stop) if copies is None else (paths, total, stop, copies)
    left: list[int] = arrays.NATIVE.FastPath.add_all(*given)
    return left


def arrivals_of(fast_path: FastPath) -> list[Arrival]:
    """Take out what was pushed and is not placed."""
    if not fast_path.pushed:
        return []
    return [
        Arrival(np.frombuffer(pcm, np.int16), at, pts, gap_is_silence)
        for pcm, at, pts, gap_is_silence in fast_path.take()
    ]
