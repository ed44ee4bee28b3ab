"""What happened to a source, and when: the book that its report is written from."""

from __future__ import annotations

from collections.abc import Iterable

from ..types import NS_PER_S, Interval, IntervalKind

_MOST = 2000
"""Intervals of one kind. Past it, the nearest neighbours become one."""

_JOIN_NS = dict.fromkeys(IntervalKind, 1000000) | {
    IntervalKind.SPOKE: NS_PER_S // 2  # a breath does not end a sentence
}


class _Intervals:
    """Stretches of nanoseconds in the order in which they end; near ones are joined."""

    def __init__(self, join_ns: int) -> None:
        self._spans: list[tuple[int, int]] = []
        self._join_ns = join_ns

    def add(self, start_ns: int, end_ns: int) -> None:
        if end_ns <= start_ns:
            return
        if self._spans and 0 <= start_ns - self._spans[-1][1] <= self._join_ns:
            self._spans[-1] = (self._spans[-1][0], end_ns)
            return
        self._spans.append((start_ns, end_ns))
        while len(self._spans) > _MOST:
            self._join_ns *= 2
            self._spans = _joined(self._spans, self._join_ns)

    def sorted(self) -> list[tuple[int, int]]:
        return _joined(sorted(self._spans), self._join_ns)

    def overlap_ns(self, start_ns: int, end_ns: int) -> int:
        return sum(max(0, min(end_ns, stop) - max(start_ns, start)) for start, stop in self._spans)


def _joined(spans: Iterable[tuple[int, int]], gap_ns: int) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start - joined[-1][1] <= gap_ns:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


class Ledger:
    """Totals, exact, and intervals, bounded, of one source. Times are nanoseconds from sample 0."""

    def __init__(self) -> None:
        self._intervals: dict[IntervalKind, _Intervals] = {}
        self._muted_since_ns: int | None = None
        self.received_ns = 0
        self.lost_ns = 0
        self.late_ns = 0
        self.duplicate_ns = 0
        self.reanchored = 0
        self.peak = 0
        """The largest absolute sample, 0 to 32768 ..."""
        self.level = 0
        """... and that of the last tenth of a second that was mixed."""

    def note(self, kind: IntervalKind, start_ns: int, end_ns: int) -> None:
        self._intervals.setdefault(kind, _Intervals(_JOIN_NS[kind])).add(start_ns, end_ns)

    def lost(self, start_ns: int, end_ns: int) -> None:
        """Silence stands for audio in ``[start_ns, end_ns)``, except where the source was muted."""
        missing = end_ns - start_ns - self._muted_ns(start_ns, end_ns)
        if missing <= 0:
            return
        self.lost_ns += missing
        stalled = end_ns - start_ns >= NS_PER_S
        self.note(IntervalKind.STALLED if stalled else IntervalKind.LOST, start_ns, end_ns)

    def set_muted(self, muted: bool, now_ns: int) -> None:
        if muted and self._muted_since_ns is None:
            self._muted_since_ns = now_ns
        elif not muted and self._muted_since_ns is not None:
            self.note(IntervalKind.MUTED, self._muted_since_ns, now_ns)
            self._muted_since_ns = None

    @property
    def muted(self) -> bool:
        return self._muted_since_ns is not None

    def _muted_ns(self, start_ns: int, end_ns: int) -> int:
        muted = self._intervals.get(IntervalKind.MUTED)
        total = muted.overlap_ns(start_ns, end_ns) if muted else 0
        if self._muted_since_ns is not None:
            total += max(0, end_ns - max(start_ns, self._muted_since_ns))
        return total

    def intervals(self, *, start_ns: int, end_ns: int) -> tuple[Interval, ...]:
        """All of them, cut to ``[start_ns, end_ns)`` and counted from ``start_ns``."""
        if self._muted_since_ns is not None:
            self.note(IntervalKind.MUTED, self._muted_since_ns, end_ns)
            self._muted_since_ns = end_ns
        return tuple(
            Interval(
                kind,
                (max(begin, start_ns) - start_ns) / NS_PER_S,
                (min(stop, end_ns) - start_ns) / NS_PER_S,
            )
            for kind in IntervalKind
            for begin, stop in (self._intervals[kind].sorted() if kind in self._intervals else ())
            if stop > start_ns and begin < end_ns
        )
