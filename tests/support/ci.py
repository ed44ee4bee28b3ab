"""What is missing on a machine: at home its tests are skipped and say so, in CI they fail.

The rule is here and nowhere else: whatever needs a program, a right or a feature of the kernel
calls :func:`pytest.skip` with a reason, and CI turns each skip into a failure.
"""

from __future__ import annotations

import os

import pytest


def refuse_skip(report: pytest.TestReport) -> None:
    """In CI (``CI`` is set), make a failure of a skipped test."""
    if not (report.skipped and os.environ.get("CI")) or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"in CI nothing may be skipped: {reason}"
