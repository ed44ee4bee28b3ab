"""What was cut out of a file, by the report beside it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ...types import TimeCut
from ..disk import Disk
from ..report_file import read_report_file

_MOST_CUTS = 10_000


def cuts_of(path: str | Path) -> tuple[TimeCut, ...]:
    """Where time was cut out of a recording, in order; none where no report is beside it, or one of
    another file that had the name before."""
    path = Path(path)
    try:
        size = path.stat().st_size
    except OSError:
        return ()
    report = read_report_file(path, Disk()) or {}
    return read_cuts(report) if report.get("bytes_written") == size else ()


def read_cuts(report: dict[str, Any]) -> tuple[TimeCut, ...]:
    """Those of a report, which may be anybody's JSON."""
    given = report.get("cuts")
    if not isinstance(given, list):
        return ()
    cuts = (_cut(each) for each in given[:_MOST_CUTS])
    return tuple(sorted((cut for cut in cuts if cut), key=lambda cut: cut.at_s))


def _cut(given: Any) -> TimeCut | None:
    match given:
        case {"at_s": int() | float() as at_s, "lasted_s": int() | float() as lasted_s}:
            whole = math.isfinite(at_s) and 0 <= lasted_s < math.inf
            return TimeCut(float(at_s), float(lasted_s)) if whole else None
    return None
