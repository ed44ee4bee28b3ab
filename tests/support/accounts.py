"""Every second received is accounted for: looked at in each report that any test has made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from roomtape import SourceReport
from roomtape.audio.source_track import SourceTrack


def unaccounted(report: SourceReport) -> list[str]:
    """What does not come out even."""
    wrong = []
    for each in report.samples:
        known = (each.placed, each.late, each.duplicate, each.after_end, *each.left_out.values())
        if each.unaccounted or min(known) < 0:
            wrong.append(f"{report.name}: {each}")
    sums_s = report.received_s + report.late_s + report.duplicate_s + report.after_end_s
    if abs(report.arrived_s - sums_s - report.left_out_s) > 1e-6:
        wrong.append(f"{report.name}: the seconds are not the samples: {report}")
    if abs(report.left_out_s - sum(report.left_out.values())) > 1e-6:
        wrong.append(f"{report.name}: the reasons are not the whole: {report.left_out}")
    return wrong


def arrived(report: SourceReport) -> Counter[int]:
    """Samples by rate."""
    return Counter({each.rate_hz: each.arrived for each in report.samples})


@contextmanager
def every_second_accounted_for() -> Iterator[None]:
    """Look at all reports that are made meanwhile, on whatever thread."""
    wrong: list[str] = []
    report_of = SourceTrack.report

    def checked(track: SourceTrack, *, start_ns: int, end_ns: int) -> SourceReport:
        report = report_of(track, start_ns=start_ns, end_ns=end_ns)
        wrong.extend(unaccounted(report))
        return report

    with patch.object(SourceTrack, "report", checked):
        yield
    assert not wrong, wrong[:5]
