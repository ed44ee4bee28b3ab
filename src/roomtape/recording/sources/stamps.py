"""Timestamps as they are pushed, turned into positions in samples; and whether they can be such."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from ...types import NS_PER_S

_SLACK_S = 0.02
_SLACK_UNITS = 2.5
"""A stamp that is rounded, in the sender as well as on its way here, is off by so much."""

_READ_LATE_S = 0.06
"""Three times the worst that was seen of PortAudio on PulseAudio."""
_READINGS = 64
"""So many make a mean."""

_LOOKED_AT = 12
"""Frames, and so a quarter of a second of what most senders send ..."""
_AGREEING = 10
"""... of which so many must tell the same."""
_LOOK_EVERY = 250
_ODD = 0.05
_KNOWN_RATES = (100, 1000, 8000, 16000, 24000, 32000, 44100, 48000, 90000, 10**6, 10**9)


class Stamps:
    """One source's, where they count something else than its samples. What differs by less than
    half a frame (at most 0.02 s) from where the frame before ended continues it: whole milliseconds
    are no positions of samples."""

    def __init__(self) -> None:
        self._kind = (0, 0)
        self._next: int | None = None

    def position(self, stamp: int, per_s: int, rate_hz: int, samples: int) -> tuple[int, bool]:
        """Where a frame begins, in samples.

        Args:
            stamp: In units of which there are ``per_s`` in a second.
            rate_hz: Of the positions.
            samples: How long the frame is.

        Returns:
            The position, and whether what it skips is too little to be a frame that was lost.
        """
        exact = (2 * stamp * rate_hz + per_s) // (2 * per_s)
        expected = self._next if self._kind == (per_s, rate_hz) else None
        self._kind = (per_s, rate_hz)
        position, small = exact, False
        if expected is not None:
            off, half = abs(exact - expected), samples // 2
            if off <= max(_SLACK_UNITS * rate_hz / per_s, min(half, _SLACK_S * rate_hz)):
                position = expected
            small = off <= half
        self._next = position + samples
        return position, small


class Captures:
    """One source's, where it says when each chunk was heard. Clocks are read late, by more than a
    short chunk is long, and that is no loss: what differs by less than 0.06 s from where the chunk
    before ended continues it. What the readings tell in the mean is kept, so that a device whose
    clock runs off is followed."""

    def __init__(self) -> None:
        self._rate_hz = 0
        self._next = 0  # the position behind the chunk before
        self._off = 0.0  # how much later than by these positions it is heard, in the mean

    def position(self, captured_ns: int, rate_hz: int, samples: int) -> tuple[int, int]:
        """Where a chunk begins.

        Args:
            captured_ns: When its first sample was heard, as that was read from a clock.
            rate_hz: Of the positions.
            samples: How long the chunk is.

        Returns:
            The position, in samples; and when the first sample was heard, without the jitter of
            the readings.
        """
        exact = (2 * captured_ns * rate_hz + NS_PER_S) // (2 * NS_PER_S)
        late = exact - self._next - self._off
        if self._rate_hz != rate_hz or abs(late) > _READ_LATE_S * rate_hz:
            if self._rate_hz != rate_hz:
                self._off = 0.0
            position = exact - round(self._off)
        else:
            position = self._next
            self._off += late / _READINGS
        self._rate_hz, self._next = rate_hz, position + samples
        return position, round((position + self._off) * NS_PER_S / rate_hz)


class _Seen(NamedTuple):
    pts: int
    samples: int
    rate_hz: int
    at_ns: int


class UnitCheck:
    """Whether one source's timestamps advance by one for each sample, as they must.

    More than one may be loss, so it counts only where the samples alone fill the time. While all is
    right, it is enough to look every now and then: at some frames in a row, when :attr:`unseen` has
    come to zero.
    """

    def __init__(self) -> None:
        self._seen: list[_Seen] = []
        self.unseen = 0
        """So many more frames need no look. Whoever does not look counts it down."""
        self.ratio: float | None = None
        """By how much they advance for each sample; None while that is one, or not known."""

    def look(self, pts: int, samples: int, rate_hz: int, at_ns: int) -> None:
        """At a frame that follows the one looked at before; it came at ``at_ns``."""
        if self._seen and self._seen[-1].rate_hz != rate_hz:
            self._seen.clear()
        self._seen.append(_Seen(pts, samples, rate_hz, at_ns))
        if len(self._seen) > _LOOKED_AT:
            self.ratio = self._judged(self._seen)
            self._seen.clear()
            self.unseen = _LOOK_EVERY if self.ratio is None else 0

    def _judged(self, seen: list[_Seen]) -> float | None:
        ratios = [(later.pts - each.pts) / each.samples for each, later in pairwise(seen)]
        middle = sorted(ratios)[len(ratios) // 2]
        # Stamps that are rounded to their units hop between two of them.
        slack = _ODD * abs(middle) + 1.5 / min(each.samples for each in seen)
        agreeing = sum(abs(ratio - middle) <= slack for ratio in ratios)
        if abs(middle - 1) <= _ODD or agreeing < _AGREEING or middle < 0:
            return None
        if middle > 1:
            spoken_ns = sum(each.samples for each in seen[:-1]) * NS_PER_S // seen[0].rate_hz
            passed_ns = seen[-1].at_ns - seen[0].at_ns
            if not 0.7 * passed_ns <= spoken_ns <= 1.4 * passed_ns:
                return None
        return middle


def in_words(ratio: float, rate_hz: int) -> str:
    """What is wrong with timestamps that advance so, and what to do."""
    per_s = ratio * rate_hz
    known = min(_KNOWN_RATES, key=lambda each: abs(each - per_s))
    advice = "leave pts out, or say what they count with pts_rate"
    if per_s and abs(known - per_s) <= 2 * _ODD * per_s:
        advice = f"if they count {known} a second, say so: pts_rate={known}"
    seen = f"timestamps advance by {ratio:.4g} for each sample instead of by 1"
    return f"{seen}, and are not used; {advice}"
