"""What a placement is doing, and what may follow what."""

from __future__ import annotations

import enum


class PlacementState(enum.Enum):
    """Whether there is an anchor, and whether frames are on *probation* (RFC 3550, A.1): they do
    not fit, and wait for what comes next."""

    UNANCHORED = "unanchored"
    """Nothing has come."""
    ACQUIRING = "acquiring"
    """The first frames wait until they tell where the stream belongs."""
    ANCHORED = "anchored"
    """Each frame is placed as it comes."""
    PROBATION = "probation"
    """Some frames do not fit the anchor, and wait."""
    CATCHING_UP = "catching up"
    """The stream was late and gets less so: it keeps its anchor, however late it is."""
    STILL_LATE = "still late"
    """It was catching up, and what comes next is late as well, and waits."""


_S = PlacementState

FOLLOWS: dict[PlacementState, frozenset[PlacementState]] = {
    _S.UNANCHORED: frozenset({_S.ACQUIRING}),
    _S.ACQUIRING: frozenset({_S.ANCHORED}),
    _S.ANCHORED: frozenset({_S.PROBATION}),
    _S.PROBATION: frozenset({_S.ANCHORED, _S.CATCHING_UP}),
    _S.CATCHING_UP: frozenset({_S.ANCHORED, _S.STILL_LATE}),
    _S.STILL_LATE: frozenset({_S.ANCHORED, _S.CATCHING_UP}),
}
"""The states that each one may go over into."""

WAITS_IN = {
    _S.UNANCHORED: _S.ACQUIRING,
    _S.ANCHORED: _S.PROBATION,
    _S.CATCHING_UP: _S.STILL_LATE,
}
"""Where a frame that must wait leads; in any other state, others wait already."""

PLACING = frozenset({_S.ANCHORED, _S.CATCHING_UP})
"""Nothing waits, and what continues the stream is placed at once."""

OVERDUE = frozenset({_S.CATCHING_UP, _S.STILL_LATE})
"""What is late is placed all the same."""
