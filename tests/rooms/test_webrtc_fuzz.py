"""Whatever a server says, in whatever order: the client takes it, and goes on listening."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.fuzzing_server import FRAMES, WELCOME, FuzzingServer

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def fake() -> Iterator[FuzzingServer]:
    with asyncio.Runner() as runner:
        made = FuzzingServer(runner)
        runner.run(made.start())
        yield made
        runner.run(made.stop())


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(frames=["[" * 300_000], welcomed=True)
@example(frames=[json.dumps({**WELCOME, "participants": [{}]})], welcomed=True)
@example(frames=[json.dumps({**WELCOME, "resume": 1})], welcomed=False)
@given(frames=FRAMES, welcomed=st.sampled_from([True, True, True, False]))
def test_any_sequence_of_messages_is_survived(
    fake: FuzzingServer, caplog: pytest.LogCaptureFixture, frames: list[Any], welcomed: bool
) -> None:
    fake.say_next(frames, welcomed=welcomed)
    fake.runner.run(fake.be_listened_to())
    assert not fake.wrong
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
