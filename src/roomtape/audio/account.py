"""Where each sample that came has gone: one account a rate, and each comes out even."""

from __future__ import annotations

from collections import Counter

from ..types import LeftOut, SampleCounts

CUT_S = 90
"""A file ends at most so long before what was mixed: a disk may be 60 s behind when it fails."""
_MOST_CUT = 2048


class Total:
    """A sum of stretches of time, exact, which can be cut where the file ends.

    Args:
        rate_hz: Of the positions; nanoseconds have 10**9.
    """

    def __init__(self, rate_hz: int) -> None:
        self._cut = CUT_S * rate_hz
        self.sum = 0
        self._earlier: list[tuple[int, int]] = []
        self._start = self._end = 0  # of the last one

    def add(self, start: int, end: int) -> None:
        """Add ``[start, end)``, which begins about where the one before ended, or later."""
        self.sum += end - start
        if start != self._end:
            self._earlier.append((self._start, self._end))
            if len(self._earlier) > _MOST_CUT:
                del self._earlier[: _MOST_CUT // 2]
            if self._earlier[0][1] < start - 2 * self._cut:
                self._earlier = [each for each in self._earlier if each[1] >= start - self._cut]
            self._start = start
        self._end = end

    def until(self, end: int) -> int:
        """What of it was before ``end``, if that is at most 90 s back."""
        last = [*self._earlier, (self._start, self._end)]
        behind = sum(stop - max(start, end) for start, stop in last if stop > end)
        return max(0, self.sum - behind)


class Account:
    """Samples of one source, at one rate, by what became of them. It belongs to the mixing thread.

    Args:
        rate_hz: Their rate.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.heard = Total(rate_hz)
        """Read by the mixer, by the positions at which they are heard."""
        self.late = 0
        """Their place had been mixed, or was taken, or nobody could tell it."""
        self.duplicate = 0
        """They were there already."""
        self.unheard = 0
        """They waited for their place when nothing was mixed any more."""
        self.left_out = Counter[LeftOut]()

    def summed_up(
        self, arrived: int, refused: Counter[LeftOut], waiting: int, *, end: int, failed: bool
    ) -> SampleCounts:
        """The whole of it.

        Args:
            arrived: All samples that came, counted where they come in ...
            refused: ... and what was not taken there.
            waiting: What still waits for its place.
            end: The position at which the file ends.
            failed: The source failed, and with it whatever is not in the books.
        """
        before = self.heard.until(end)
        # More than there is time for, where a fast clock's audio was squeezed a little.
        placed = min(before, max(0, end))
        after_end = self.heard.sum - before + self.unheard + waiting
        left_out = self.left_out + refused
        left_out[LeftOut.CLOCK] += before - placed
        if failed:
            after_end -= self.unheard + waiting
            known = placed + self.late + self.duplicate + after_end + left_out.total()
            left_out[LeftOut.FAILED] += arrived - known
        return SampleCounts(
            rate_hz=self.rate_hz,
            arrived=arrived,
            placed=placed,
            late=self.late,
            duplicate=self.duplicate,
            after_end=after_end,
            left_out={reason: left_out[reason] for reason in LeftOut if left_out[reason]},
        )
