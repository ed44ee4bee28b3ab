"""Whatever a client says, in whatever order: the server takes it, and nobody else is disturbed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.fuzzed_server import FRAMES, FuzzedServer


@pytest.fixture(scope="module")
def here() -> Iterator[FuzzedServer]:
    with asyncio.Runner() as runner:
        made = FuzzedServer(runner)
        runner.run(made.start())
        yield made
        runner.run(made.stop())


@pytest.mark.slow
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(frames=FRAMES, joined=st.booleans())
@example(
    frames=['{"type":"join","room":"standup","uid":"alice","session":"s","resume":"\\ud800"}'],
    joined=False,
)
def test_any_sequence_of_messages_harms_nobody(
    here: FuzzedServer, caplog: pytest.LogCaptureFixture, frames: list[Any], joined: bool
) -> None:
    here.runner.run(here.suffer(frames, joined=joined))
    assert not here.wrong
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
