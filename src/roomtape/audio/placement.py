"""Where in time does a frame belong?

A frame comes with a timestamp on its sender's clock (or none), at a moment on ours. Both can
mislead: arrivals are delayed by the network, timestamps restart, jump, wrap, or are nonsense.
:class:`Placement` decides by these rules, in samples at the source's rate:

* The *anchor* maps timestamps to the room grid: ``position = pts + anchor``. It is set from the
  first 200 ms of frames: the one that was delayed least tells where the stream belongs.
* Frames without timestamps are counted, as if each followed the one before it.
* A frame *fits* the anchor if it continues the stream, or lies in a hole of the last two seconds,
  or jumps ahead to a place between then and now. It is placed there, however late it is.
* A frame that was seen already (same place, same samples) is a duplicate.
* Whatever does not fit is *doubtful* and waits up to 200 ms for what comes next:

  - the stream catches up (a stall, then a burst): the doubtful frames belong where their
    timestamps say;
  - the stream goes on as if nothing had been: a stray. It fills the hole that it left, if it
    left one;
  - neither: the sender began anew, or fell behind for good. A new anchor is set at arrival.

So a timestamp can never make more silence than the clock has seen pass, and no live source is
lost for longer than it takes to doubt it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..types import Pcm

HOLD_S = 0.2
"""How long a doubtful frame waits. It must be placed before the mix head, half a second behind
the clock, comes by."""

_REORDER_S = 2.0
_AHEAD_S = 0.5
_LATE_S = 0.4
"""A stream with timestamps may fall this far behind before it is doubted ..."""
_UNTIMED_LATE_S = 0.08
"""... and one without, for which a gap in the arrivals is the only sign of a pause."""
_JITTER_S = 0.08
"""A stream whose first frames come earlier than this against the first is not jitter but a bot
that pushes faster than it speaks: its first frame is said when it comes."""
_CONTINUOUS_S = 0.1
_WRAP = 1 << 32


@dataclass(frozen=True, slots=True)
class Arrival:
    """A run of mono samples that came in one piece.

    Attributes:
        pcm: int16, shape ``(frames,)``.
        at: When it came, as a position on the room grid.
        pts: The sender's timestamp, or None.
        gap_is_silence: A jump of ``pts`` before this run is silence that the sender left out.
    """

    pcm: Pcm
    at: int
    pts: int | None = None
    gap_is_silence: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a run belongs.

    Attributes:
        start: Position on the room grid; it may be in the past.
        pcm: The samples.
        gap_is_silence: What is missing right before ``start`` was never sent.
        at: When the least delayed part of it came ...
        delay: ... and how long after its place that was, in samples; None where the arrival says
            nothing about the sender's clock.
    """

    start: int
    pcm: Pcm
    gap_is_silence: bool
    at: int
    delay: int | None


class Placement:
    """Decides for one source at one rate. Feed arrivals in their order.

    Args:
        rate_hz: The source's sample rate.
        not_before: Nothing is anchored before this position: what the same participant said
            at another rate ends there. None for a source without a past.
    """

    def __init__(self, rate_hz: int, *, not_before: int | None = None) -> None:
        self._rate_hz = rate_hz
        self._anchor: int | None = None
        self._next_pts = 0
        self._end = not_before  # position behind the last sample that was placed in order
        self._shift = 0
        self._doubtful: list[tuple[int, Arrival]] = []  # (pts, arrival)
        self._recent: deque[tuple[int, Pcm]] = deque()
        self._recent_samples = 0
        self.reanchored = 0
        """How often timestamps made no sense and a new anchor was set."""
        self.duplicate_samples = 0
        self.stray_samples = 0
        """Samples whose place nobody could tell; they are not in the recording."""
        self._last_at: int | None = None
        self.epoch = 0
        """Counts anchors: delays of different epochs do not compare."""

    def shifted(self, shift: int) -> None:
        """What is placed at ``p`` is heard at ``p + shift`` (drift was made up for)."""
        self._shift = shift

    def feed(self, arrivals: Sequence[Arrival]) -> Iterator[Placed]:
        """Take in ``arrivals``; give what can be placed now, in order of decision."""
        index = 0
        while index < len(arrivals):
            run = self._run_length(arrivals, index)
            if run:
                yield self._place_run(arrivals[index : index + run])
                index += run
            else:
                yield from self._feed_one(arrivals[index])
                index += 1

    def _run_length(self, arrivals: Sequence[Arrival], index: int) -> int:
        """How many from ``index`` on simply continue the stream: nearly always, all of them."""
        if self._anchor is None or self._doubtful:
            return 0
        pts = self._next_pts
        heard_at = pts + self._anchor + self._shift
        length = 0
        for arrival in arrivals[index:]:
            untimed = arrival.pts is None
            late_s = _UNTIMED_LATE_S if untimed else _LATE_S
            if (
                not (untimed or arrival.pts == pts)
                or arrival.at - heard_at > late_s * self._rate_hz
            ):
                break
            length += 1
            pts += len(arrival.pcm)
            heard_at += len(arrival.pcm)
        return length

    def _place_run(self, arrivals: Sequence[Arrival]) -> Placed:
        assert self._anchor is not None
        pts, place = self._next_pts, self._next_pts + self._anchor
        at, delay = arrivals[0].at, None
        for arrival in arrivals:
            if self._tells_time(arrival) and (delay is None or arrival.at - place < delay):
                at, delay = arrival.at, arrival.at - place
            place += len(arrival.pcm)
        pcm = arrivals[0].pcm if len(arrivals) == 1 else np.concatenate([a.pcm for a in arrivals])
        self._next_pts, self._end = pts + len(pcm), place
        self._remember(pts, pcm)
        return Placed(place - len(pcm), pcm, arrivals[0].gap_is_silence, at, delay)

    def _tells_time(self, arrival: Arrival) -> bool:
        """Whether its arrival says when it was spoken. Without timestamps, a frame that comes
        right behind another one was queued before."""
        before, self._last_at = self._last_at, arrival.at
        return (
            arrival.pts is not None
            or before is None
            or arrival.at - before >= len(arrival.pcm) // 2
        )

    def _feed_one(self, arrival: Arrival) -> Iterator[Placed]:
        pts = self._unwrapped(arrival.pts)
        continues = bool(self._doubtful) and pts == self._expected_pts()
        began_anew = continues and self._doubtful[0][0] < self._next_pts
        # Without timestamps, only what comes later tells a stall from a pause: wait for it.
        untimed = arrival.pts is None and bool(self._doubtful)
        if self._anchor is None or began_anew or untimed:
            self._doubtful.append((pts, arrival))
        elif pts < self._next_pts:
            yield from self._feed_backward(pts, arrival)
        elif self._fits(pts, arrival):
            yield from self._settle_doubts(pts)
            yield self._place(pts, arrival)
        else:
            self._doubtful.append((pts, arrival))

    def settle(self, now: int, *, force: bool = False) -> Iterator[Placed]:
        """Place what has been doubtful for too long.

        Args:
            now: The position of the clock on the room grid.
            force: Do not wait: the source has ended.
        """
        hold = round(HOLD_S * self._rate_hz)
        if self._doubtful and (force or now - self._doubtful[0][1].at >= hold):
            yield from self._anchor_anew()

    def _unwrapped(self, pts: int | None) -> int:
        expected = self._expected_pts()
        if pts is None:
            return expected
        turns = round((expected - pts) / _WRAP)
        unwrapped = pts + turns * _WRAP
        # Only a small step across the border is a wrap; anything else is a jump, and doubtful.
        if turns and abs(unwrapped - expected) <= 5 * self._rate_hz:
            return unwrapped
        return pts

    def _expected_pts(self) -> int:
        if self._doubtful:
            pts, arrival = self._doubtful[-1]
            return pts + len(arrival.pcm)
        return self._next_pts

    def _fits(self, pts: int, arrival: Arrival) -> bool:
        assert self._anchor is not None
        late = arrival.at - (pts + self._anchor + self._shift)
        late_s = _UNTIMED_LATE_S if arrival.pts is None else _LATE_S
        if late > late_s * self._rate_hz:
            return False
        # Ahead of the clock is fine where it only continues: a bot that pushes all at once.
        return pts == self._next_pts or late >= -_AHEAD_S * self._rate_hz

    def _place(self, pts: int, arrival: Arrival, *, gap_is_silence: bool = False) -> Placed:
        assert self._anchor is not None
        start = pts + self._anchor
        if pts + len(arrival.pcm) > self._next_pts:
            self._next_pts = pts + len(arrival.pcm)
            self._end = start + len(arrival.pcm)
        self._remember(pts, arrival.pcm)
        delay = arrival.at - start if self._tells_time(arrival) else None
        return Placed(
            start, arrival.pcm, gap_is_silence or arrival.gap_is_silence, arrival.at, delay
        )

    def _feed_backward(self, pts: int, arrival: Arrival) -> Iterator[Placed]:
        """A frame from the past: reordered, doubled, or the first of a stream that began anew."""
        match self._seen(pts, arrival.pcm):
            case True:
                self.duplicate_samples += len(arrival.pcm)
            case None if pts >= self._next_pts - _REORDER_S * self._rate_hz:
                yield self._place(pts, arrival)
            case _:
                self._doubtful.append((pts, arrival))

    def _seen(self, pts: int, pcm: Pcm) -> bool | None:
        """True: the same was placed there. False: something else was. None: a hole."""
        found: bool | None = None
        end = pts + len(pcm)
        for start, earlier in self._recent:
            low, high = max(pts, start), min(end, start + len(earlier))
            if low < high:
                if not np.array_equal(
                    pcm[low - pts : high - pts], earlier[low - start : high - start]
                ):
                    return False
                found = True
        return found

    def _remember(self, pts: int, pcm: Pcm) -> None:
        self._recent.append((pts, pcm))
        self._recent_samples += len(pcm)
        while self._recent_samples > _REORDER_S * self._rate_hz and len(self._recent) > 1:
            self._recent_samples -= len(self._recent.popleft()[1])

    def _settle_doubts(self, next_pts: int) -> Iterator[Placed]:
        """A frame fits again, at ``next_pts``: what were the doubtful ones before it?"""
        if not self._doubtful:
            return
        doubtful, self._doubtful = self._doubtful, []
        assert self._anchor is not None
        if self._next_pts <= doubtful[0][0] and doubtful[-1][0] < next_pts:
            for pts, arrival in doubtful:
                yield self._place(pts, arrival)
            return
        room = next_pts - self._next_pts
        for _, arrival in doubtful:
            if len(arrival.pcm) <= room:
                room -= len(arrival.pcm)
                yield self._place(self._next_pts, arrival)
            else:
                self.stray_samples += len(arrival.pcm)

    def _anchor_anew(self) -> Iterator[Placed]:
        doubtful, self._doubtful = self._doubtful, []
        arrivals = [arrival for _, arrival in doubtful]
        places = _relative_places([pts for pts, _ in doubtful], arrivals, self._rate_hz)
        untimed = arrivals[0].pts is None
        had_anchor = self._anchor is not None
        if untimed and had_anchor and self._caught_up(arrivals):
            for arrival in arrivals:
                yield self._place(self._next_pts, arrival)
            return
        anchor = _least_delayed(places, arrivals, self._rate_hz)
        if self._end is not None:
            # The end is where it stands in the buffer; arrivals are on the clock.
            start = anchor - self._shift
            continuous = abs(start - self._end) <= _CONTINUOUS_S * self._rate_hz
            anchor = self._end if continuous or start < self._end else start
        if had_anchor:
            self.epoch += 1
            if not untimed:
                self.reanchored += 1
        first_pts = doubtful[0][0]
        self._anchor = anchor - first_pts
        self._next_pts = first_pts
        self._recent.clear()
        self._recent_samples = 0
        for index, (place, arrival) in enumerate(zip(places, arrivals, strict=True)):
            yield self._place(
                first_pts + place,
                arrival,
                gap_is_silence=index == 0 and (untimed or not had_anchor),
            )

    def _caught_up(self, arrivals: Sequence[Arrival]) -> bool:
        """Whether frames without timestamps come in time again after a burst, so that the burst
        makes up for a stall. If they do not, there was a pause, and now somebody speaks again."""
        assert self._anchor is not None
        place = self._next_pts + self._anchor + self._shift
        slack = _UNTIMED_LATE_S * self._rate_hz
        for before, arrival in pairwise(arrivals):
            place += len(before.pcm)
            kept_pace = arrival.at - before.at >= len(arrival.pcm) // 2
            if kept_pace and abs(arrival.at - place) <= slack:
                return True
        return False


def _relative_places(pts: Sequence[int], arrivals: Sequence[Arrival], rate_hz: int) -> list[int]:
    """Where each stands behind the first: by its timestamp, if the timestamps agree with the
    arrivals; else one after the other."""
    by_pts = [each - pts[0] for each in pts]
    by_arrival = [arrival.at - arrivals[0].at for arrival in arrivals]
    slack = (HOLD_S + _AHEAD_S) * rate_hz
    contiguous = all(
        later == earlier + len(arrival.pcm)
        for earlier, later, arrival in zip(by_pts, by_pts[1:], arrivals, strict=False)
    )
    if contiguous or all(
        place >= 0 and abs(place - at) <= slack
        for place, at in zip(by_pts, by_arrival, strict=True)
    ):
        return by_pts
    counted = [0]
    for arrival in arrivals[:-1]:
        counted.append(counted[-1] + len(arrival.pcm))
    return counted


def _least_delayed(places: Sequence[int], arrivals: Sequence[Arrival], rate_hz: int) -> int:
    """The position of the first frame, by the frame that was delayed least.

    Frames that come ever earlier against the first were either held up together (by a busy
    machine, say) and come in time from then on, or pushed faster than they are spoken.
    """
    delays = [arrival.at - place for place, arrival in zip(places, arrivals, strict=True)]
    jitter = _JITTER_S * rate_hz
    best = min(delays)
    in_time = delays[0] - best <= jitter or any(
        delay - best <= jitter and arrival.at - before.at >= 0.75 * len(arrival.pcm)
        for delay, (before, arrival) in zip(delays[1:], pairwise(arrivals), strict=True)
    )
    return best if in_time else delays[0]
