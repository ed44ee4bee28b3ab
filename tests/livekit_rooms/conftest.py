"""The real server, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.livekit_server import LiveKitServer, livekit_server


@pytest.fixture(scope="module")
def server() -> Iterator[LiveKitServer]:
    """One node, which all tests of a file share; each has rooms of its own."""
    with livekit_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
