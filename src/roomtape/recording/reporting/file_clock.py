"""From the time of a room to that of a file, which lacks what was cut out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from ...audio.discretion.pauses import Pauses
from ...storage.notes.cuts_note import cuts_within
from ...types import NS_PER_S, Interval, SourceReport, TimeCut


class FileClock:
    """Of one file: what of the recording is in it, and where.

    Args:
        pauses: Of the recording.
        first, end: Its samples, counted in the recording without what was cut out.
        rate_hz: Their rate.
    """

    def __init__(self, pauses: Pauses, first: int, end: int, rate_hz: int) -> None:
        self._pauses = pauses
        self._first_ns = first * NS_PER_S // rate_hz
        self._length_ns = end * NS_PER_S // rate_hz - self._first_ns
        self.start_ns = pauses.wall_ns(self._first_ns)
        """When it begins, from START ..."""
        self.end_ns = pauses.wall_ns(self._first_ns + self._length_ns)
        """... and ends."""

    def cuts(self) -> tuple[TimeCut, ...]:
        """What was cut out inside of it."""
        return cuts_within(self._pauses.places, self._first_ns, self._length_ns)

    def clipped(self, source: SourceReport) -> SourceReport:
        """With its times, which count from START, in the file."""
        return self._replaced(source, counted_from_ns=0)

    def placed(self, source: SourceReport) -> SourceReport:
        """With its times and intervals, which count from the start of the file, in the file."""
        if not self._pauses.cuts:
            return source  # nearly always
        return self._replaced(source, counted_from_ns=self.start_ns)

    def _replaced(self, source: SourceReport, *, counted_from_ns: int) -> SourceReport:
        def at_s(seconds: float) -> float:
            wall_ns = counted_from_ns + round(seconds * NS_PER_S)
            at_ns = self._pauses.file_ns(wall_ns) - self._first_ns
            return min(max(0, at_ns), self._length_ns) / NS_PER_S

        return dataclasses.replace(
            source,
            joined_s=at_s(source.joined_s),
            left_s=at_s(source.left_s),
            intervals=tuple(_joined(source.intervals, at_s)),
        )


def _joined(intervals: Iterable[Interval], at_s: Callable[[float], float]) -> Iterable[Interval]:
    """In the file, where two that a cut was between are one."""
    last: Interval | None = None
    for each in intervals:
        placed = Interval(each.kind, at_s(each.start_s), at_s(each.end_s))
        if placed.start_s >= placed.end_s:
            continue  # it was cut out
        if last is not None and last.kind is placed.kind and placed.start_s <= last.end_s:
            last = Interval(last.kind, last.start_s, max(last.end_s, placed.end_s))
            continue
        if last is not None:
            yield last
        last = placed
    if last is not None:
        yield last
