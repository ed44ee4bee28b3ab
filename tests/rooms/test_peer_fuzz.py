"""Whatever another participant tells a client, it goes on: no exception, no growth."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomtape.rooms.rtp import bounds
from roomtape.rooms.webrtc import peer
from support.fuzzed_peer import MESSAGES, told
from support.hostile import offer
from support.processes import descriptors

pytestmark = pytest.mark.network


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(messages=st.lists(MESSAGES, min_size=1, max_size=8))
def test_whatever_a_participant_tells_nothing_is_raised_and_nothing_stays(
    messages: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "TURN_S", 0.0)
    monkeypatch.setattr(peer, "OFFERS_A_SECOND", 1000.0)
    monkeypatch.setattr(bounds.logger, "disabled", True)
    logging.getLogger("roomtape.rooms.webrtc.peer").disabled = True
    raised: list[dict[str, Any]] = []
    threads = threading.active_count()
    open_before = descriptors()
    asyncio.run(told(messages, raised))
    assert raised == []
    assert threading.active_count() <= threads
    assert descriptors() <= open_before


def test_candidates_that_are_nested_deeply_are_left_out() -> None:
    nested: Any = "x"
    for _ in range(100000):
        nested = [nested]
    raised: list[dict[str, Any]] = []
    each = {"type": "candidate", "call": "c", "candidate": {"candidate": nested}}
    asyncio.run(told([{"type": "offer", "call": "c", "sdp": offer()}, each], raised))
    assert raised == []
