"""Tests that run in real time get a second and a third chance: a busy machine can spoil a take.

What runs on the scripted clock gets none: there, a failure is a failure.
"""

from pathlib import Path

import pytest

REAL_TIME = ("cli", "e2e", "faults", "network", "recording", "rooms", "server")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in REAL_TIME:
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))
