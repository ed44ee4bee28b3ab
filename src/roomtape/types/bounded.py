"""A report that stays readable, however many came and went: at most about a megabyte as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from .report import Interval, LeftOut, SampleCounts, SourceReport

MOST_SOURCES = 300
"""Entries of a report; a room holds 32 participants."""
MOST_INTERVALS = 10000
"""Of all entries together."""


def bounded(
    sources: Sequence[SourceReport], earlier: SourceReport | None = None
) -> tuple[SourceReport, ...]:
    """The entries of a report, in order.

    Past :data:`MOST_SOURCES`, those of whom least came become one entry, the last, which has their
    sums. Past :data:`MOST_INTERVALS`, the shortest intervals are left out, as ``unlisted_s`` tells.

    Args:
        sources: One entry a stay.
        earlier: The sums of more, who left long ago.
    """
    listed, others = list(sources), [] if earlier is None else [earlier]
    if len(listed) + len(others) > MOST_SOURCES:
        by_weight = sorted(range(len(listed)), key=lambda at: weight(listed[at]), reverse=True)
        named = set(by_weight[: MOST_SOURCES - 1])
        others += [each for at, each in enumerate(listed) if at not in named]
        listed = [each for at, each in enumerate(listed) if at in named]
    return tuple(_with_fewer_intervals(listed + ([summed_up(others)] if others else [])))


def weight(source: SourceReport) -> float:
    """How much there is to tell of it."""
    return source.arrived_s + source.lost_s


def summed_up(sources: Sequence[SourceReport]) -> SourceReport:
    """One entry for several, with their sums; they have no times of their own any more."""
    left_out = defaultdict[LeftOut, float](float)
    for each in sources:
        for reason, seconds in each.left_out.items():
            left_out[reason] += seconds
    errors = sorted({each.error for each in sources} - {""})
    stays = sum(each.stays for each in sources)
    return SourceReport(
        name=f"{stays} others",
        local=False,
        joined_s=min(each.joined_s for each in sources),
        left_s=max(each.left_s for each in sources),
        received_s=_sum(each.received_s for each in sources),
        lost_s=_sum(each.lost_s for each in sources),
        late_s=_sum(each.late_s for each in sources),
        duplicate_s=_sum(each.duplicate_s for each in sources),
        drift_ppm=0.0,
        reanchored=sum(each.reanchored for each in sources),
        peak_dbfs=max(each.peak_dbfs for each in sources),
        resent_s=_sum(each.resent_s for each in sources),
        fec_s=_sum(each.fec_s for each in sources),
        left_out_s=_sum(each.left_out_s for each in sources),
        unlisted_s=_sum(each.unlisted_s + _length_s(each.intervals) for each in sources),
        error=errors[0] if errors else "",
        arrived_s=_sum(each.arrived_s for each in sources),
        after_end_s=_sum(each.after_end_s for each in sources),
        left_out=dict(left_out),
        samples=_merged(samples for each in sources for samples in each.samples),
        dropped_packets=sum(each.dropped_packets for each in sources),
        stays=stays,
        loss_positions=all(each.loss_positions for each in sources),
        stem="",  # the report has all of them
        silenced_s=_sum(each.silenced_s for each in sources),
    )


def _sum(seconds: Iterable[float]) -> float:
    return math.fsum(seconds)


def _length_s(intervals: Iterable[Interval]) -> float:
    return _sum(each.end_s - each.start_s for each in intervals)


def _merged(samples: Iterable[SampleCounts]) -> tuple[SampleCounts, ...]:
    by_rate = defaultdict[int, list[SampleCounts]](list)
    for each in samples:
        by_rate[each.rate_hz].append(each)
    return tuple(_added(rate_hz, each) for rate_hz, each in sorted(by_rate.items()))


def _added(rate_hz: int, counts: Sequence[SampleCounts]) -> SampleCounts:
    left_out = Counter[LeftOut]()
    for each in counts:
        left_out.update(each.left_out)
    return SampleCounts(
        rate_hz=rate_hz,
        arrived=sum(each.arrived for each in counts),
        placed=sum(each.placed for each in counts),
        late=sum(each.late for each in counts),
        duplicate=sum(each.duplicate for each in counts),
        after_end=sum(each.after_end for each in counts),
        left_out=dict(left_out),
    )


def _with_fewer_intervals(sources: list[SourceReport]) -> list[SourceReport]:
    if sum(len(each.intervals) for each in sources) <= MOST_INTERVALS:
        return sources
    lengths = [
        (interval.end_s - interval.start_s, at, number)
        for at, source in enumerate(sources)
        for number, interval in enumerate(source.intervals)
    ]
    lengths.sort(reverse=True)
    kept = {(at, number) for _, at, number in lengths[:MOST_INTERVALS]}
    fewer = []
    for at, source in enumerate(sources):
        listed = [each for number, each in enumerate(source.intervals) if (at, number) in kept]
        unlisted_s = _length_s(source.intervals) - _length_s(listed)
        fewer.append(
            dataclasses.replace(
                source, intervals=tuple(listed), unlisted_s=source.unlisted_s + unlisted_s
            )
        )
    return fewer
