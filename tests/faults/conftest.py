from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def ram_path() -> Iterator[Path]:
    """A directory in memory, where thousands of syncs cost nothing."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="roomtape-test-") as directory:
        yield Path(directory)
