"""Stretches of time, as many as there is room for, and none that says more than is so."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from itertools import pairwise
from threading import Lock
from typing import NamedTuple

MANY = 2000
"""Past so many of one kind, neighbours become one where the gap is small against them."""
MOST = 6000
"""So many are kept where that is not enough: a frame lost every two seconds for three hours."""
LEAST_SHARE = 4
"""At least one part in so many of a stretch that was made of several was so."""
_MOST_ROUNDS = 32


class _Span(NamedTuple):
    start_ns: int
    end_ns: int
    true_ns: int  # at least so much of it


class Intervals:
    """Stretches of nanoseconds, kept within a bound. Thread-safe.

    Two that are no further apart than ``join_ns`` are one, by definition. Otherwise each is exact,
    until there are more than ``many``. Then neighbours become one, those with the smallest gap
    first, as long as at least a quarter of what comes out was so (:data:`LEAST_SHARE`). Where that
    does not bring them below ``most``, the shortest are left out, evenly over time, and
    :attr:`left_out_ns` says how much that was. So whatever the pattern, each interval claims at
    most four times what was so, in its own place, and all that was so is in one of them or left
    out and counted.

    Args:
        join_ns: A gap that is none.
        many, most: See above.
    """

    def __init__(self, join_ns: int, many: int = MANY, most: int = MOST) -> None:
        self._join_ns = join_ns
        self._many, self._most = many, most
        self._lock = Lock()
        # Three integers each; as tuples they would take ten times the memory.
        self._starts, self._ends, self._true = array("q"), array("q"), array("q")
        self.left_out_ns = 0
        """What was so and is in none of them."""

    def add(self, start_ns: int, end_ns: int) -> None:
        """Take in ``[start_ns, end_ns)``; mostly, not always, in the order in which they end."""
        if end_ns <= start_ns:
            return
        with self._lock:
            if self._ends and self._starts[-1] <= start_ns <= self._ends[-1] + self._join_ns:
                more = end_ns - self._ends[-1]
                if more > 0:
                    self._ends[-1] += more
                    self._true[-1] += more
                return
            self._append(_Span(start_ns, end_ns, end_ns - start_ns))
            if len(self._ends) > self._most:
                self._make_room()

    def listed(self) -> list[tuple[int, int]]:
        """All of them as ``(start_ns, end_ns)``, in order, disjoint."""
        with self._lock:
            spans = _fewer(self._spans(), self._many)
        return [(span.start_ns, span.end_ns) for span in spans]

    def _append(self, span: _Span) -> None:
        self._starts.append(span.start_ns)
        self._ends.append(span.end_ns)
        self._true.append(span.true_ns)

    def _spans(self) -> list[_Span]:
        spans = map(_Span, self._starts, self._ends, self._true)
        return _merged(sorted(spans), self._join_ns, by_definition=True)

    def _make_room(self) -> None:
        target = self._most - self._most // 8
        spans = _fewer(self._spans(), min(self._many, target))
        if len(spans) > target:
            spans = self._without_the_shortest(spans, len(spans) - target)
        self._starts, self._ends, self._true = array("q"), array("q"), array("q")
        for span in spans:
            self._append(span)

    def _without_the_shortest(self, spans: list[_Span], count: int) -> list[_Span]:
        leave = {*sorted(spans, key=_worth)[:count]}
        self.left_out_ns += sum(span.true_ns for span in leave)
        return [span for span in spans if span not in leave]


def _worth(span: _Span) -> tuple[int, int]:
    """The longest are worth most; of equal ones, any, but always the same ones: so they are thinned
    evenly over time, though what came first is thinned again and again."""
    return span.true_ns, span.start_ns * 0x9E3779B97F4A7C15 % (1 << 64)


def _fewer(spans: list[_Span], target: int) -> list[_Span]:
    """Merge until no more than ``target`` are left, or no two can be merged any more; a pattern
    that would take very many rounds is given up."""
    for _ in range(_MOST_ROUNDS):
        if len(spans) <= target:
            break
        gaps = sorted(
            after.start_ns - span.end_ns
            for span, after in pairwise(spans)
            if _enough(span.true_ns + after.true_ns, after.end_ns - span.start_ns)
        )
        if not gaps:
            break
        gap_ns = gaps[min(len(spans) - target, len(gaps)) - 1]
        spans = _merged(spans, gap_ns, by_definition=False)
    return spans


def _enough(true_ns: int, length_ns: int) -> bool:
    return LEAST_SHARE * true_ns >= length_ns


def _merged(spans: Iterable[_Span], gap_ns: int, *, by_definition: bool) -> list[_Span]:
    """``spans``, sorted, with neighbours made one that are no further apart than ``gap_ns``: by
    definition, so that the gap was so as well, or only where enough of the whole was so."""
    merged: list[_Span] = []
    for span in spans:
        if merged:
            last = merged[-1]
            gap = span.start_ns - last.end_ns  # negative: they overlap, and nobody knows where
            true_ns = last.true_ns + max(0, span.true_ns + min(gap, 0))
            end_ns = max(last.end_ns, span.end_ns)
            if by_definition:
                true_ns += max(gap, 0)
            if gap <= gap_ns and (by_definition or _enough(true_ns, end_ns - last.start_ns)):
                merged[-1] = _Span(last.start_ns, end_ns, true_ns)
                continue
        merged.append(span)
    return merged
