"""Where in time does a frame belong?

A frame comes with a timestamp on its sender's clock (or none), at a moment on ours. Both can
mislead: arrivals are delayed by the network, timestamps restart, jump, wrap, or are nonsense.
:class:`Placement` decides by these rules, in samples at the source's rate:

* The *anchor* maps timestamps to the room grid: ``position = pts + anchor``. It is set from the
  first 300 ms of frames: the one that was delayed least tells where the stream belongs.
* Frames without timestamps are counted, as if each followed the one before it.
* A frame *fits* the anchor if it continues the stream, or lies in a hole of the last two seconds,
  or jumps ahead to a place between then and now. It is placed there, however late it is.
* A frame that was seen already (same place, same samples) is a duplicate.
* Whatever does not fit is *doubtful* and waits 300 ms for what comes next:

  - the stream catches up (a stall, then a burst): the doubtful frames belong where their
    timestamps say;
  - it comes faster than it was spoken, and gets less late all the time (a narrow link after a
    hold-up, :mod:`.catching_up`): likewise, even where that is too late to be heard, and what
    comes next is doubted anew, for 25 s at most;
  - the stream goes on as if nothing had been: a stray. It fills the hole that it left, if it
    left one;
  - neither: the sender began anew, or fell behind for good. A new anchor is set at arrival.

* A stream that fell behind, and then comes in time for a former anchor again and stays so
  (:mod:`.former_anchors`), goes back to it: the network was the reason.
* A sender whose timestamps keep making no sense is counted for ever longer, as if it had none.

So a timestamp can never make more silence than the clock has seen pass, and no live source is
lost for longer than it takes to doubt it, or to catch up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from ...types import Pcm
from .anchor import JUMP_S, Arrival, Stamped, least_delayed, spoken_order, unwrapped
from .catching_up import LONGEST_S, is_catching_up
from .duplicates import DuplicateDetector
from .former_anchors import FormerAnchors
from .placed import Placed
from .trust import Trust

HOLD_S = 0.3
"""How long a doubtful frame waits. It must be placed before the mix head, half a second behind
the clock, comes by, which a resampler's filter brings up to 0.18 s nearer; and of 15 frames with
60 ms of jitter, one is nearly always early."""

_UNDECIDED_S = 0.5
"""It waits so long where jitter may be the reason that the stream seems to catch up."""
REORDER_S = 2.0
AHEAD_S = 0.5
LATE_S = 0.4
"""A stream with timestamps may fall this far behind before it is doubted ..."""
UNTIMED_LATE_S = 0.08
"""... and one without, for which a gap in the arrivals is the only sign of a pause."""
_CONTINUOUS_S = 0.08


class Placement:
    """Decides for one source at one rate. Feed arrivals in their order.

    Args:
        rate_hz: The source's sample rate.
        not_before: Nothing is anchored before this position: what the same participant said
            at another rate ends there. None for a source without a past.
    """

    def __init__(self, rate_hz: int, *, not_before: int | None = None) -> None:
        self._rate_hz = rate_hz
        self._hold = round(HOLD_S * rate_hz)
        self._reorder = round(REORDER_S * rate_hz)
        self._ahead = round(AHEAD_S * rate_hz)
        self._late = round(LATE_S * rate_hz)
        self._untimed_late = round(UNTIMED_LATE_S * rate_hz)
        self._anchor: int | None = None
        self._first_pts = 0  # of this anchor
        self._next_pts = 0  # behind the latest sample that was placed
        self._follows = 0  # behind the sample that was placed last
        self._end = not_before  # position behind the last sample that was placed in order
        self._shift = 0
        self._doubtful: list[Stamped] = []
        self._overdue: list[Stamped] | None = None  # while it catches up: the doubtful before these
        self._overdue_since = 0
        self._recent = DuplicateDetector(self._reorder)
        self._former = FormerAnchors(rate_hz)
        self._ignored_until = 0  # what is from before this anchor: its place is taken
        self._trust = Trust(rate_hz)
        self._last_at: int | None = None
        self.reanchored = 0
        """How often timestamps made no sense and a new anchor was set."""
        self.duplicate_samples = 0
        self.stray_samples = 0
        """Samples whose place nobody could tell; they are not in the recording."""
        self.epoch = 0
        """Counts anchors: delays of different epochs do not compare."""

    def shifted(self, shift: int) -> None:
        """What is placed at ``p`` is heard at ``p + shift`` (drift was made up for)."""
        self._shift = shift

    @property
    def steady(self) -> tuple[int, int, int | None] | None:
        """The timestamp expected next, its anchor, and when something came last; None where more
        than these decides what comes next."""
        if self._anchor is None or self._doubtful or self._former or self._trust.lost:
            return None
        return self._next_pts, self._anchor, self._last_at

    def resume(self, next_pts: int, last_at: int | None, pcm: Pcm) -> None:
        """What was steady went on to ``next_pts``, and ``pcm`` is the end of it."""
        assert self._anchor is not None
        start = max(self._next_pts, next_pts - len(pcm))
        self._next_pts = self._follows = next_pts
        self._end = next_pts + self._anchor
        self._last_at = last_at
        self._recent.extend(start, pcm[len(pcm) - (next_pts - start) :])

    def feed(self, arrivals: Sequence[Arrival]) -> Iterator[Placed]:
        """Take in ``arrivals``; give what can be placed now, in order of decision."""
        if arrivals and not self._trust.holds(arrivals[0].at):
            arrivals = [arrival._replace(pts=None) for arrival in arrivals]
        index = 0
        while index < len(arrivals):
            run = self._run_length(arrivals, index)
            if run:
                first_pts = self._next_pts
                yield self._place_run(arrivals[index : index + run])
                self._return_to_former(first_pts, arrivals[index])
                index += run
            else:
                yield from self._feed_one(arrivals[index])
                index += 1

    def settle(self, now: int, *, force: bool = False) -> Iterator[Placed]:
        """Place what has been doubtful for too long.

        Args:
            now: The position of the clock on the room grid.
            force: Do not wait: the source has ended.
        """
        if not self._doubtful:
            return
        waited = now - self._doubtful[0][1].at
        if force or waited >= self._hold:
            decide = force or waited >= _UNDECIDED_S * self._rate_hz
            yield from self._settle_lateness(decide=decide)

    # -- the stream as it should be -----------------------------------------------------------

    def _run_length(self, arrivals: Sequence[Arrival], index: int) -> int:
        """How many from ``index`` on simply continue the stream: nearly always, all of them."""
        if self._anchor is None or self._doubtful:
            return 0
        expected = self._next_pts
        heard_at = expected + self._anchor + self._shift
        length = 0
        for pcm, at, pts, _ in islice(arrivals, index, None):
            late = self._untimed_late if pts is None else self._late
            if (pts is not None and pts != expected) or at - heard_at > late:
                break
            length += 1
            expected += len(pcm)
            heard_at += len(pcm)
        return length

    def _place_run(self, arrivals: Sequence[Arrival]) -> Placed:
        assert self._anchor is not None
        pts, start = self._next_pts, self._next_pts + self._anchor
        at, delay = self._least_delay(arrivals, start)
        pcm = arrivals[0].pcm if len(arrivals) == 1 else np.concatenate([a.pcm for a in arrivals])
        self._next_pts = self._follows = pts + len(pcm)
        self._end = start + len(pcm)
        self._recent.add(pts, pcm)
        return Placed(start, pcm, arrivals[0].gap_is_silence, at, delay)

    def _place(self, pts: int, arrival: Arrival, *, gap_is_silence: bool = False) -> Placed:
        assert self._anchor is not None
        start = pts + self._anchor
        self._follows = pts + len(arrival.pcm)
        if self._follows > self._next_pts:
            self._next_pts = self._follows
            self._end = start + len(arrival.pcm)
        self._recent.add(pts, arrival.pcm)
        silence = gap_is_silence or arrival.gap_is_silence
        return Placed(start, arrival.pcm, silence, *self._least_delay([arrival], start))

    def _least_delay(self, run: Sequence[Arrival], place: int) -> tuple[int, int | None]:
        """When that one of ``run``, which stands at ``place``, came that was delayed least, and how
        long after its place; None if no arrival says when it was spoken. A frame right behind
        another one was queued: it says nothing without a timestamp, nor if it comes before its
        time (a bot pushes all at once)."""
        before, shift = self._last_at, self._shift
        least_at, least = run[0].at, None
        for pcm, at, pts, _ in run:
            delay = at - place
            place += len(pcm)
            queued = before is not None and at - before < len(pcm) // 2
            before = at
            if queued and (pts is None or delay < shift):
                continue
            if -self._ahead <= delay - shift <= self._late and (least is None or delay < least):
                least_at, least = at, delay
        self._last_at = before
        return least_at, least

    def _return_to_former(self, pts: int, arrival: Arrival) -> None:
        """Go back to an anchor that the stream is in time for again. What waits is out of place,
        but it is heard; what would be in its place is not."""
        if self._anchor is None or arrival.pts is None:
            return
        anchor = self._former.regained(arrival.at - pts - self._shift, arrival.at)
        if anchor is None or anchor >= self._anchor:
            return
        taken = self._anchor - anchor
        self._anchor = anchor
        self._next_pts += taken
        self._first_pts = self._follows = self._next_pts
        self._ignored_until = arrival.at + taken + self._reorder
        self._recent.clear()
        self.epoch += 1

    # -- doubts -------------------------------------------------------------------------------

    def _feed_one(self, arrival: Arrival) -> Iterator[Placed]:
        # Here and not only in settle(): how often that is called must make no difference.
        yield from self.settle(arrival.at)
        pts = unwrapped(arrival.pts, self._expected_pts(), self._rate_hz)
        if pts < self._first_pts and arrival.at < self._ignored_until:
            self.stray_samples += len(arrival.pcm)
            return
        continues = bool(self._doubtful) and pts == self._expected_pts()
        began_anew = continues and self._doubtful[0][0] < self._next_pts
        # Without timestamps, only what comes later tells a stall from a pause: wait for it.
        untimed = arrival.pts is None and bool(self._doubtful)
        if self._anchor is None or began_anew or untimed:
            self._doubtful.append((pts, arrival))
            if untimed and self._caught_up():
                yield from self._settle_doubts(pts + len(arrival.pcm))
        elif pts < self._next_pts:
            yield from self._feed_backward(pts, arrival)
        elif self._fits(pts, arrival):
            yield from self._settle_doubts(pts)
            yield self._place(pts, arrival)
            self._return_to_former(pts, arrival)
        else:
            self._doubtful.append((pts, arrival))

    def _expected_pts(self) -> int:
        if self._doubtful:
            pts, arrival = self._doubtful[-1]
            return pts + len(arrival.pcm)
        return self._next_pts

    def _fits(self, pts: int, arrival: Arrival) -> bool:
        late = self._lateness(pts, arrival)
        if late > (self._untimed_late if arrival.pts is None else self._late):
            return False
        # Ahead of the clock is fine where it only continues: a bot that pushes all at once.
        if pts == self._next_pts:
            return True
        small = pts - self._next_pts <= self._ahead
        if small and self._former.in_reach(arrival.at - pts - self._shift):
            return True  # loss, on the way back to a former anchor
        if late < -self._ahead:
            return False
        if 2 * late < -self._ahead:
            self._offend(arrival.at)  # or the path got shorter; but not again and again
        return True

    def _feed_backward(self, pts: int, arrival: Arrival) -> Iterator[Placed]:
        """A frame from the past: reordered, doubled, or the first of a stream that began anew."""
        match self._recent.seen(pts, arrival.pcm):
            case True:
                self.duplicate_samples += len(arrival.pcm)
            case None if self._in_a_hole(pts, arrival) and (
                self._overdue is not None or self._fits(pts, arrival)
            ):
                yield self._place(pts, arrival)
            case False if pts == self._follows:
                yield self._place(pts, arrival)  # a stray stands ahead of the stream
            case _:
                self._doubtful.append((pts, arrival))

    def _in_a_hole(self, pts: int, arrival: Arrival) -> bool:
        """Whether it can have been lost on the way until now."""
        earliest = max(self._next_pts - self._reorder, self._first_pts)
        return earliest <= pts < self._next_pts and self._recent.seen(pts, arrival.pcm) is None

    def _settle_doubts(self, next_pts: int) -> Iterator[Placed]:
        """A frame fits again, at ``next_pts``: what were the doubtful ones before it?"""
        self._overdue = None
        if not self._doubtful:
            return
        doubtful, self._doubtful = self._doubtful, []
        ordered = sorted(doubtful, key=lambda frame: frame[0])
        if self._next_pts <= ordered[0][0] and ordered[-1][0] < next_pts:
            for pts, arrival in ordered:
                yield self._place(pts, arrival)
            return
        room = next_pts - self._next_pts
        for pts, arrival in doubtful:
            if self._in_a_hole(pts, arrival):
                yield self._place(pts, arrival)
            elif len(arrival.pcm) <= room:
                room -= len(arrival.pcm)
                yield self._place(self._next_pts, arrival)
            else:
                self.stray_samples += len(arrival.pcm)
                self._offend(arrival.at)

    def _settle_lateness(self, *, decide: bool) -> Iterator[Placed]:
        """No frame fits any more: does the stream catch up with its anchor, or is it a new one?"""
        known, self._overdue = self._overdue, None
        frames = sorted(self._doubtful, key=lambda frame: frame[0])
        late = [self._lateness(pts, arrival) for pts, arrival in frames]
        verdict: bool | None = False
        if known is None:
            self._overdue_since = frames[0][1].at
        elapsed = frames[-1][1].at - self._overdue_since
        in_time = elapsed <= LONGEST_S * self._rate_hz
        continues = in_time and min(late) > 0 and self._continues(frames)
        if continues:
            excess = late[-1] - self._late
            seen = [*(known or ()), *frames]
            verdict = is_catching_up(seen, excess, self._rate_hz, decide=decide)
        if verdict is None:
            self._overdue = known
        elif verdict or (continues and known):
            # If not: held up once more, perhaps. What comes next is judged for itself.
            self._doubtful, self._overdue = [], frames if verdict else []
            for pts, arrival in frames:
                yield self._place(pts, arrival)
        else:
            yield from self._anchor_anew()

    def _continues(self, frames: Sequence[Stamped]) -> bool:
        """Whether these, in order, can be what the anchored stream goes on with."""
        ahead = frames[0][0] - self._next_pts
        return (
            self._anchor is not None
            and 0 <= ahead <= JUMP_S * self._rate_hz
            and all(arrival.pts is not None for _, arrival in frames)
        )

    def _lateness(self, pts: int, arrival: Arrival) -> int:
        """By how much it came after its place, by the anchor, is heard."""
        return arrival.at - (pts + (self._anchor or 0) + self._shift)

    def _anchor_anew(self) -> Iterator[Placed]:
        doubtful, self._doubtful = self._doubtful, []
        untimed = doubtful[0][1].pts is None
        had_anchor = self._anchor is not None
        first_pts, frames = spoken_order(doubtful, self._rate_hz)
        former = self._anchor if self._continues(doubtful) else None
        start = least_delayed(frames, self._rate_hz)
        if self._end is not None:
            # The end is where it stands in the buffer; arrivals are on the clock.
            start -= self._shift
            if start - self._end <= _CONTINUOUS_S * self._rate_hz:
                start = self._end
        self._anchor = start - first_pts
        fell_behind = former is not None and former < self._anchor
        if former is None:
            self._former.clear()
        elif fell_behind:
            self._former.add(former)
        if had_anchor:
            self.epoch += 1
            if not untimed:
                self.reanchored += 1
                if not fell_behind:
                    self._offend(frames[0][1].at)
        self._first_pts = self._next_pts = first_pts
        self._ignored_until = 0
        self._recent.clear()
        for index, (place, arrival) in enumerate(frames):
            yield self._place(
                first_pts + place,
                arrival,
                gap_is_silence=index == 0 and (untimed or not had_anchor),
            )

    def _caught_up(self) -> bool:
        """Whether frames without timestamps come in time again after a burst, so that the burst
        makes up for a stall. If they do not, there was a pause, and now somebody speaks again."""
        if self._anchor is None:
            return False
        (_, before), (pts, arrival) = self._doubtful[-2:]
        kept_pace = arrival.at - before.at >= len(arrival.pcm) // 2
        return kept_pace and abs(self._lateness(pts, arrival)) <= self._untimed_late

    def _offend(self, at: int) -> None:
        self.reanchored += self._trust.offend(at)
