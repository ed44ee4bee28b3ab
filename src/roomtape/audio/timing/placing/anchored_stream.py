"""A source's timestamps on the room grid, and what was placed by them so far."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from ....types import Pcm
from .anchor import JUMP_S, Arrival, Stamped
from .duplicates import DuplicateDetector
from .placed import Placed

REORDER_S = 2.0
AHEAD_S = 0.5
LATE_S = 0.4
"""A stream with timestamps may fall this far behind before it is put on probation ..."""
UNTIMED_LATE_S = 0.08
"""... and one without, for which a gap in the arrivals is the only sign of a pause."""
_CONTINUOUS_S = 0.08


class NextFrame(NamedTuple):
    """What a stream goes on with, if nothing has to be decided.

    Attributes:
        pts: The timestamp expected next.
        anchor: Its position is ``pts + anchor``.
        last_at: When something came last; None before the first.
    """

    pts: int
    anchor: int
    last_at: int | None


class AnchoredStream:
    """Maps timestamps to positions by one anchor: ``position = pts + anchor``. It places what it
    is told to, and knows what was placed; what fits is for :class:`Placement` to judge. All
    numbers are samples at ``rate_hz``.

    Args:
        rate_hz: The source's sample rate.
        not_before: What the same participant said at another rate ends at this position.
    """

    def __init__(self, rate_hz: int, *, not_before: int | None) -> None:
        self._rate_hz = rate_hz
        self._reorder = round(REORDER_S * rate_hz)
        self._ahead = round(AHEAD_S * rate_hz)
        self._late = round(LATE_S * rate_hz)
        self._untimed_late = round(UNTIMED_LATE_S * rate_hz)
        self._recent = DuplicateDetector(self._reorder)
        self._end = not_before  # behind the last sample that was placed in order
        self._follows = 0  # behind the sample that was placed last
        self._last_at: int | None = None
        self.anchor: int | None = None
        self.first_pts = 0
        """Of this anchor."""
        self.next_pts = 0
        """Behind the latest sample that was placed."""
        self.playout_offset = 0
        """What is placed at ``p`` is heard at ``p + playout_offset`` (drift was made up for)."""
        self.epoch = 0
        """Counts anchors after the first."""

    # -- questions ----------------------------------------------------------------------------

    def lateness(self, pts: int, arrival: Arrival) -> int:
        """By how much it came after its place, by the anchor, is heard."""
        return arrival.at - (pts + (self.anchor or 0) + self.playout_offset)

    def too_late(self, pts: int, arrival: Arrival) -> bool:
        """Whether it is later than a frame may be that needs no probation."""
        late = self._untimed_late if arrival.pts is None else self._late
        return self.lateness(pts, arrival) > late

    def in_time(self, pts: int, arrival: Arrival) -> bool:
        """Whether it came when it is heard, as frames without timestamps must."""
        return abs(self.lateness(pts, arrival)) <= self._untimed_late

    @property
    def latest(self) -> int:
        """A stream with timestamps is not put on probation until it is later than this."""
        return self._late

    def seen(self, pts: int, arrival: Arrival) -> bool | None:
        """True: the same was placed there. False: something else was. None: there is a hole."""
        return self._recent.seen(pts, arrival.pcm)

    def in_a_hole(self, pts: int, arrival: Arrival) -> bool:
        """Whether it can have been lost on the way until now."""
        earliest = max(self.next_pts - self._reorder, self.first_pts)
        return earliest <= pts < self.next_pts and self.seen(pts, arrival) is None

    def follows_the_last(self, pts: int) -> bool:
        """Whether it continues what was placed last, be that a stray or not."""
        return pts == self._follows

    def may_go_on_with(self, frames: Sequence[Stamped]) -> bool:
        """Whether these, in order, can be what the stream goes on with."""
        ahead = frames[0][0] - self.next_pts
        return (
            self.anchor is not None
            and 0 <= ahead <= JUMP_S * self._rate_hz
            and all(arrival.pts is not None for _, arrival in frames)
        )

    def run_length(self, arrivals: Sequence[Arrival], index: int) -> int:
        """How many from ``index`` on simply continue the stream: nearly always, all of them."""
        assert self.anchor is not None
        expected = self.next_pts
        heard_at = expected + self.anchor + self.playout_offset
        length = 0
        for pcm, at, pts, _ in islice(arrivals, index, None):
            late = self._untimed_late if pts is None else self._late
            if (pts is not None and pts != expected) or at - heard_at > late:
                break
            length += 1
            expected += len(pcm)
            heard_at += len(pcm)
        return length

    # -- placing ------------------------------------------------------------------------------

    def place_run(self, arrivals: Sequence[Arrival]) -> Placed:
        """Place what continues the stream, frame by frame."""
        assert self.anchor is not None
        pts, start = self.next_pts, self.next_pts + self.anchor
        at, delay = self._least_delay(arrivals, start)
        pcm = arrivals[0].pcm if len(arrivals) == 1 else np.concatenate([a.pcm for a in arrivals])
        self.next_pts = self._follows = pts + len(pcm)
        self._end = start + len(pcm)
        self._recent.add(pts, pcm)
        return Placed(start, pcm, arrivals[0].gap_is_silence, at, delay, self.epoch)

    def place(self, pts: int, arrival: Arrival, *, gap_is_silence: bool = False) -> Placed:
        """Place a frame at its timestamp, wherever that is."""
        assert self.anchor is not None
        start = pts + self.anchor
        self._follows = pts + len(arrival.pcm)
        if self._follows > self.next_pts:
            self.next_pts = self._follows
            self._end = start + len(arrival.pcm)
        self._recent.add(pts, arrival.pcm)
        at, delay = self._least_delay([arrival], start)
        silence = gap_is_silence or arrival.gap_is_silence
        return Placed(start, arrival.pcm, silence, at, delay, self.epoch)

    def resume(self, next_pts: int, last_at: int | None, placed: Sequence[tuple[int, Pcm]]) -> None:
        """The stream went on to ``next_pts`` elsewhere, and the end of it is at these positions."""
        assert self.anchor is not None
        for position, pcm in placed:
            pts = position - self.anchor
            known = max(0, self.next_pts - pts)
            self._recent.extend(pts + known, pcm[known:])
        self.next_pts = self._follows = next_pts
        self._end = next_pts + self.anchor
        self._last_at = last_at

    def next_frame(self) -> NextFrame | None:
        """What it goes on with; None without an anchor."""
        if self.anchor is None:
            return None
        return NextFrame(self.next_pts, self.anchor, self._last_at)

    # -- the anchor ---------------------------------------------------------------------------

    def anchor_at(self, start: int, first_pts: int) -> None:
        """Set an anchor: ``first_pts`` belongs to position ``start`` on the clock, or right behind
        what was placed before."""
        if self._end is not None:
            # The end is where it stands in the buffer; arrivals are on the clock.
            start -= self.playout_offset
            if start - self._end <= _CONTINUOUS_S * self._rate_hz:
                start = self._end
        if self.anchor is not None:
            self.epoch += 1
        self.anchor = start - first_pts
        self.first_pts = self.next_pts = first_pts
        self._recent.clear()

    def go_back_to(self, anchor: int) -> int:
        """Take an earlier anchor. Gives by how much its positions are earlier: so much of what
        comes has its place taken."""
        assert self.anchor is not None
        taken = self.anchor - anchor
        self.anchor = anchor
        self.next_pts += taken
        self.first_pts = self._follows = self.next_pts
        self._recent.clear()
        self.epoch += 1
        return taken

    def _least_delay(self, run: Sequence[Arrival], place: int) -> tuple[int, int | None]:
        """When that one of ``run``, which stands at ``place``, came that was delayed least, and how
        long after its place; None if no arrival says when it was spoken. A frame right behind
        another one was queued: it says nothing without a timestamp, nor if it comes before its
        time (a bot pushes all at once)."""
        before, offset = self._last_at, self.playout_offset
        least_at, least = run[0].at, None
        for pcm, at, pts, _ in run:
            delay = at - place
            place += len(pcm)
            queued = before is not None and at - before < len(pcm) // 2
            before = at
            if queued and (pts is None or delay < offset):
                continue
            if -self._ahead <= delay - offset <= self._late and (least is None or delay < least):
                least_at, least = at, delay
        self._last_at = before
        return least_at, least
