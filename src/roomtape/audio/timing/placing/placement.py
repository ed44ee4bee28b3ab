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
* Whatever does not fit is put on *probation* and waits 300 ms for what comes next:

  - the stream catches up (a stall, then a burst): the waiting frames belong where their
    timestamps say;
  - it comes faster than it was spoken, and gets less late all the time (a narrow link after a
    hold-up, :mod:`.catching_up`): likewise, even where that is too late to be heard, and what
    comes next is on probation anew, for 25 s at most;
  - the stream goes on as if nothing had been: a stray. It fills the hole that it left, if it
    left one;
  - neither: the sender began anew, or fell behind for good. A new anchor is set at arrival.

* A stream that fell behind, and then comes in time for a former anchor again and stays so
  (:mod:`.former_anchors`), goes back to it: the network was the reason.
* A sender whose timestamps keep making no sense is counted for ever longer, as if it had none.

So a timestamp can never make more silence than the clock has seen pass, and no live source is
lost for longer than its probation, or than it takes to catch up.

:class:`AnchoredStream` knows the anchor and what was placed; :class:`Placement` judges what does
not fit. What it is doing is one of :class:`PlacementState`; each change of it is logged at DEBUG,
and so is every decision that changes what is heard.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ....types import Pcm
from .anchor import Arrival, Stamped, least_delayed, spoken_order, unwrapped
from .anchored_stream import AHEAD_S, REORDER_S, AnchoredStream, NextFrame
from .catching_up import LONGEST_S, is_catching_up
from .former_anchors import FormerAnchors
from .placed import Placed
from .states import FOLLOWS, OVERDUE, PLACING, WAITS_IN, PlacementState
from .trust import Trust

logger = logging.getLogger(__name__)

HOLD_S = 0.3
"""How long a frame is on probation. It must be placed before the mix head, half a second behind
the clock, comes by, which a resampler's filter brings up to 0.18 s nearer; and of 15 frames with
60 ms of jitter, one is nearly always early."""

_UNDECIDED_S = 0.5
"""It waits so long where jitter may be the reason that the stream seems to catch up."""


class Counts(NamedTuple):
    """What a placement did not place, in samples, and how often it set a new anchor because
    timestamps made no sense."""

    duplicates: int
    strays: int
    reanchored: int


class Placement:
    """Decides for one source at one rate. Feed arrivals in their order.

    Args:
        rate_hz: The source's sample rate.
        not_before: Nothing is anchored before this position: what the same participant said
            at another rate ends there. None for a source without a past.
        name: The source, for the log.
    """

    def __init__(self, rate_hz: int, *, not_before: int | None = None, name: str = "") -> None:
        self._rate_hz = rate_hz
        self._name = name
        self._hold = round(HOLD_S * rate_hz)
        self._reorder = round(REORDER_S * rate_hz)
        self._ahead = round(AHEAD_S * rate_hz)
        self._stream = AnchoredStream(rate_hz, not_before=not_before)
        self._state = PlacementState.UNANCHORED
        self._waiting: list[Stamped] = []  # on probation, in order of arrival
        self._overdue: list[Stamped] = []  # while it catches up: those that waited before these
        self._overdue_since = 0
        self._former = FormerAnchors(rate_hz)
        self._ignored_until = 0  # what is from before this anchor: its place is taken
        self._trust = Trust(rate_hz)
        self.reanchored = 0
        """How often timestamps made no sense and a new anchor was set."""
        self.duplicate_samples = 0
        self.stray_samples = 0
        """Samples whose place nobody could tell; they are not in the recording."""

    @property
    def state(self) -> PlacementState:
        """What it is doing."""
        return self._state

    @property
    def epoch(self) -> int:
        """Counts anchors: delays of different epochs do not compare."""
        return self._stream.epoch

    @property
    def waiting(self) -> int:
        """How many samples are on probation."""
        return sum(len(arrival.pcm) for _, arrival in self._waiting)

    def set_playout_offset(self, offset: int) -> None:
        """What is placed at ``p`` is heard at ``p + offset`` (drift was made up for)."""
        self._stream.playout_offset = offset

    def take_counts(self) -> Counts | None:
        """What was counted since the last call; None for nothing, which is nearly always so."""
        if not (self.duplicate_samples or self.stray_samples or self.reanchored):
            return None
        counts = Counts(self.duplicate_samples, self.stray_samples, self.reanchored)
        self.duplicate_samples = self.stray_samples = self.reanchored = 0
        return counts

    def undisputed(self) -> NextFrame | None:
        """What comes next, if it is certain; None where more than that decides."""
        if self._state not in PLACING or self._former or self._trust.lost:
            return None
        return self._stream.next_frame()

    def resume(self, next_pts: int, last_at: int | None, placed: Sequence[tuple[int, Pcm]]) -> None:
        """What was undisputed went on to ``next_pts``, and the end of it was placed at these
        positions."""
        self._stream.resume(next_pts, last_at, placed)

    def feed(self, arrivals: Sequence[Arrival]) -> Iterator[Placed]:
        """Take in ``arrivals``; give what can be placed now, in order of decision."""
        if arrivals and not self._believes(arrivals[0].at):
            arrivals = [arrival._replace(pts=None) for arrival in arrivals]
        index = 0
        while index < len(arrivals):
            run = self._stream.run_length(arrivals, index) if self._state in PLACING else 0
            if run:
                first_pts = self._stream.next_pts
                yield self._stream.place_run(arrivals[index : index + run])
                self._return_to_former(first_pts, arrivals[index])
                index += run
            else:
                yield from self._feed_one(arrivals[index])
                index += 1

    def settle(self, now: int, *, force: bool = False) -> Iterator[Placed]:
        """Place what has been on probation for too long.

        Args:
            now: The position of the clock on the room grid.
            force: Do not wait: the source has ended.
        """
        if not self._waiting:
            return
        waited = now - self._waiting[0][1].at
        if force or waited >= self._hold:
            decide = force or waited >= _UNDECIDED_S * self._rate_hz
            yield from self._settle_lateness(decide=decide)

    # -- a frame that does not simply continue ------------------------------------------------

    def _feed_one(self, arrival: Arrival) -> Iterator[Placed]:
        # Here and not only in settle(): how often that is called must make no difference.
        yield from self.settle(arrival.at)
        stream = self._stream
        pts = unwrapped(arrival.pts, self._expected_pts(), self._rate_hz)
        if pts < stream.first_pts and arrival.at < self._ignored_until:
            self.stray_samples += len(arrival.pcm)
            return
        continues = bool(self._waiting) and pts == self._expected_pts()
        began_anew = continues and self._waiting[0][0] < stream.next_pts
        # Without timestamps, only what comes later tells a stall from a pause: wait for it.
        untimed = arrival.pts is None and bool(self._waiting)
        if stream.anchor is None or began_anew or untimed:
            self._wait(pts, arrival)
            if untimed and self._caught_up():
                yield from self._settle_probation(pts + len(arrival.pcm), arrival.at)
        elif pts < stream.next_pts:
            yield from self._feed_backward(pts, arrival)
        elif self._fits(pts, arrival):
            yield from self._settle_probation(pts, arrival.at)
            yield stream.place(pts, arrival)
            self._return_to_former(pts, arrival)
        else:
            self._wait(pts, arrival)

    def _feed_backward(self, pts: int, arrival: Arrival) -> Iterator[Placed]:
        """A frame from the past: reordered, doubled, or the first of a stream that began anew."""
        match self._stream.seen(pts, arrival):
            case True:
                self.duplicate_samples += len(arrival.pcm)
            case None if self._stream.in_a_hole(pts, arrival) and (
                self._state in OVERDUE or self._fits(pts, arrival)
            ):
                yield self._stream.place(pts, arrival)
            case False if self._stream.follows_the_last(pts):
                yield self._stream.place(pts, arrival)  # a stray stands ahead of the stream
            case _:
                self._wait(pts, arrival)

    def _expected_pts(self) -> int:
        if self._waiting:
            pts, arrival = self._waiting[-1]
            return pts + len(arrival.pcm)
        return self._stream.next_pts

    def _fits(self, pts: int, arrival: Arrival) -> bool:
        stream = self._stream
        if stream.too_late(pts, arrival):
            return False
        # Ahead of the clock is fine where it only continues: a bot that pushes all at once.
        if pts == stream.next_pts:
            return True
        small = pts - stream.next_pts <= self._ahead
        if small and self._former.in_reach(arrival.at - pts - stream.playout_offset):
            return True  # loss, on the way back to a former anchor
        late = stream.lateness(pts, arrival)
        if late < -self._ahead:
            return False
        if 2 * late < -self._ahead:
            self._offend(arrival.at)  # or the path got shorter; but not again and again
        return True

    # -- probation ----------------------------------------------------------------------------

    def _wait(self, pts: int, arrival: Arrival) -> None:
        self._waiting.append((pts, arrival))
        state = WAITS_IN.get(self._state)
        if state is PlacementState.ACQUIRING:
            self._enter(state, arrival.at, "the first timestamp is %d", pts)
        elif state is not None:
            late_s = self._stream.lateness(pts, arrival) / self._rate_hz
            self._enter(state, arrival.at, "timestamp %d comes %+.3f s late", pts, late_s)

    def _caught_up(self) -> bool:
        """Whether frames without timestamps come in time again after a burst, so that the burst
        makes up for a stall. If they do not, there was a pause, and now somebody speaks again."""
        if self._stream.anchor is None:
            return False
        (_, before), (pts, arrival) = self._waiting[-2:]
        kept_pace = arrival.at - before.at >= len(arrival.pcm) // 2
        return kept_pace and self._stream.in_time(pts, arrival)

    def _settle_probation(self, next_pts: int, at: int) -> Iterator[Placed]:
        """A frame fits again, at ``next_pts``: what were those that wait before it?"""
        waiting, self._waiting, self._overdue = self._waiting, [], []
        if self._state is not PlacementState.ANCHORED:
            self._enter(PlacementState.ANCHORED, at, "timestamp %d fits", next_pts)
        if not waiting:
            return
        stream = self._stream
        ordered = sorted(waiting, key=lambda frame: frame[0])
        if stream.next_pts <= ordered[0][0] and ordered[-1][0] < next_pts:
            for pts, arrival in ordered:
                yield stream.place(pts, arrival)
            return
        room = next_pts - stream.next_pts
        for pts, arrival in waiting:
            if stream.in_a_hole(pts, arrival):
                yield stream.place(pts, arrival)
            elif len(arrival.pcm) <= room:
                room -= len(arrival.pcm)
                yield stream.place(stream.next_pts, arrival)
            else:
                self.stray_samples += len(arrival.pcm)
                self._log(arrival.at, "a stray of %d samples is left out", len(arrival.pcm))
                self._offend(arrival.at)

    def _settle_lateness(self, *, decide: bool) -> Iterator[Placed]:
        """No frame fits any more: does the stream catch up with its anchor, or is it a new one?"""
        stream, late_before = self._stream, self._state is PlacementState.STILL_LATE
        frames = sorted(self._waiting, key=lambda frame: frame[0])
        late = [stream.lateness(pts, arrival) for pts, arrival in frames]
        at = frames[-1][1].at
        verdict: bool | None = False
        if not late_before:
            self._overdue_since = frames[0][1].at
        in_time = at - self._overdue_since <= LONGEST_S * self._rate_hz
        continues = in_time and min(late) > 0 and stream.may_go_on_with(frames)
        if continues:
            excess = late[-1] - stream.latest
            seen = [*self._overdue, *frames]
            verdict = is_catching_up(seen, excess, self._rate_hz, decide=decide)
        if verdict is None:
            return
        if verdict or (continues and self._overdue):
            # If not: held up once more, perhaps. What comes next is judged for itself.
            self._waiting, self._overdue = [], frames if verdict else []
            self._enter(PlacementState.CATCHING_UP, at, "%.3f s late", late[-1] / self._rate_hz)
            for pts, arrival in frames:
                yield stream.place(pts, arrival)
        else:
            self._overdue = []
            yield from self._anchor_anew()

    # -- anchors ------------------------------------------------------------------------------

    def _anchor_anew(self) -> Iterator[Placed]:
        stream = self._stream
        waiting, self._waiting = self._waiting, []
        untimed = waiting[0][1].pts is None
        before = stream.anchor
        first_pts, frames = spoken_order(waiting, self._rate_hz)
        may_return = stream.may_go_on_with(waiting)
        stream.anchor_at(least_delayed(frames, self._rate_hz), first_pts)
        assert stream.anchor is not None
        fell_behind = may_return and before is not None and before < stream.anchor
        if not may_return:
            self._former.clear()
        elif fell_behind and before is not None:
            self._former.add(before)
        at = frames[0][1].at
        self._enter(
            PlacementState.ANCHORED,
            at,
            "timestamp %d is at %.3f s from now on; anchor %s -> %d%s",
            *(first_pts, (first_pts + stream.anchor) / self._rate_hz, before, stream.anchor),
            " (it fell behind)" if fell_behind else "",
        )
        if before is not None and not untimed:
            self.reanchored += 1
            if not fell_behind:
                self._offend(at)
        self._ignored_until = 0
        for index, (place, arrival) in enumerate(frames):
            yield stream.place(
                first_pts + place,
                arrival,
                gap_is_silence=index == 0 and (untimed or before is None),
            )

    def _return_to_former(self, pts: int, arrival: Arrival) -> None:
        """Go back to an anchor that the stream is in time for again. What waits is out of place,
        but it is heard; what would be in its place is not."""
        stream = self._stream
        if stream.anchor is None or arrival.pts is None or not self._former:
            return
        origin = arrival.at - pts - stream.playout_offset
        anchor = self._former.regained(origin, arrival.at)
        if anchor is None or anchor >= stream.anchor:
            return
        taken = stream.go_back_to(anchor)
        self._ignored_until = arrival.at + taken + self._reorder
        self._log(
            arrival.at,
            "back to the former anchor %d: %.3f s of what comes have their place taken",
            *(anchor, taken / self._rate_hz),
        )

    # -- trust --------------------------------------------------------------------------------

    def _believes(self, at: int) -> bool:
        if not self._trust.lost:
            return True
        if self._trust.holds(at):
            self._log(at, "timestamps are believed again")
            return True
        return False

    def _offend(self, at: int) -> None:
        if self._trust.offend(at):
            self.reanchored += 1
            self._log(at, "timestamps made no sense too often: counted instead, for a while")

    # -- the log ------------------------------------------------------------------------------

    def _enter(self, state: PlacementState, at: int, why: str, *numbers: object) -> None:
        """Go over into ``state``; the only place where that is done."""
        if state is self._state:
            return
        assert state in FOLLOWS[self._state], f"{self._state} cannot become {state}"
        self._log(at, "%s -> %s: " + why, self._state.value, state.value, *numbers)
        self._state = state

    def _log(self, at: int, text: str, *numbers: object) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s, %.3f s: " + text, self._name, at / self._rate_hz, *numbers)
