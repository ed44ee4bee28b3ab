"""How many examples a property is tried with, and which."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_ASKED = os.environ.get("ROOMTAPE_EXAMPLES")


def load_profile() -> None:
    """For all tests: in ``make test`` the examples are the same each time, so that a failure comes
    again, and no change is blamed for what was there before it. Whoever searches for new ones sets
    ``ROOMTAPE_EXAMPLES`` to their number; then they are random."""
    # How long an example takes is no verdict.
    common = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("same", common, derandomize=True)
    settings.register_profile("search", common, derandomize=False, max_examples=int(_ASKED or 1))
    settings.load_profile("search" if _ASKED else "same")


def examples(count: int) -> settings:
    """Try a property with ``count`` examples, or as many as ``ROOMTAPE_EXAMPLES`` asks for."""
    return settings(max_examples=int(_ASKED or count))
