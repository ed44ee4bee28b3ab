"""Samples of a recording that are to be silence."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class Stretches:
    """Any number of stretches ``[start, stop)`` of samples; immutable.

    Args:
        spans: In any order; those that overlap or touch become one.
    """

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        merged: list[tuple[int, int]] = []
        for start, stop in sorted(span for span in spans if span[0] < span[1]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
            else:
                merged.append((start, stop))
        self.spans = tuple(merged)
        """In order, disjoint."""

    def __or__(self, other: Stretches) -> Stretches:
        return Stretches((*self.spans, *other.spans))

    def __sub__(self, other: Stretches) -> Stretches:
        left: list[tuple[int, int]] = []
        for start, stop in self.spans:
            at = start
            for low, high in other.within(start, stop).spans:
                left.append((at, low))
                at = high
            left.append((at, stop))
        return Stretches(left)

    def __bool__(self) -> bool:
        return bool(self.spans)

    @property
    def samples(self) -> int:
        """How many they are."""
        return sum(stop - start for start, stop in self.spans)

    def within(self, start: int, stop: int) -> Stretches:
        """What of them is in ``[start, stop)``."""
        if not self.spans or start >= stop:
            return Stretches()
        first = max(0, bisect_right(self.spans, (start, start)) - 1)
        found = []
        for low, high in self.spans[first:]:
            if low >= stop:
                break
            if high > start:
                found.append((max(low, start), min(high, stop)))
        return Stretches(found)

    def later(self, samples: int) -> Stretches:
        """All of them, so much later."""
        return Stretches((start + samples, stop + samples) for start, stop in self.spans)
