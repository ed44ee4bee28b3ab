"""server/budget.py, server/seldom.py, server/flow.py: so much and no more."""

from __future__ import annotations

import logging
import time

import pytest

from roomtape.server.budget import Budget
from roomtape.server.flow import Flow
from roomtape.server.protocol import Relay
from roomtape.server.seldom import Seldom


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be changed at will."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_budget_saves_up_to_its_burst_and_then_earns_by_the_second(clock: list[float]) -> None:
    budget = Budget(per_s=2, burst=4)
    assert [budget.affords(4), budget.affords(5)] == [True, False]
    assert budget.spend(4) == 0
    assert not budget.affords(1)
    clock[0] += 0.5
    assert budget.affords(1)
    clock[0] += 1000
    assert not budget.affords(5)


def test_credit_takes_its_time_to_pay_back(clock: list[float]) -> None:
    budget = Budget(per_s=2, burst=4)
    assert budget.spend(10) == 3
    clock[0] += 1
    assert budget.spend(0) == 2


def test_a_line_a_minute_tells_how_many_were_kept_back(clock: list[float]) -> None:
    seldom = Seldom()

    def record(text: str, *args: object) -> logging.LogRecord:
        return logging.LogRecord("x", logging.WARNING, "", 0, text, args, None)

    passed = [seldom.filter(record("%s shouts", who)) for who in range(100)]
    assert passed == [True] + [False] * 99
    assert seldom.filter(record("another thing"))
    clock[0] += 61
    again = record("%s shouts", 7)
    assert seldom.filter(again)
    assert again.getMessage() == "7 shouts (and 99 more like it)"


def relay(kind: str, call: str, *, size: int = 100, candidates: int = 0) -> Relay:
    return Relay(kind, "bob", call, {}, size, candidates)  # type: ignore[arg-type]


def test_a_call_of_many_candidates_passes_and_a_flood_does_not(clock: list[float]) -> None:
    flow = Flow()
    assert flow.refusal(relay("offer", "c", size=12_000, candidates=4)) is None
    for _ in range(60):
        assert flow.refusal(relay("candidate", "c", candidates=1)) is None
    assert "64 candidates" in str(flow.refusal(relay("candidate", "c", candidates=1)))
    assert flow.refusal(relay("offer", "d", candidates=64)) is None
    assert "64 candidates" in str(flow.refusal(relay("offer", "e", candidates=65)))


def test_a_new_call_each_time_does_not_get_around_the_other_bounds(clock: list[float]) -> None:
    flow = Flow()
    passed = [flow.refusal(relay("offer", f"c{number}")) for number in range(100)]
    assert passed.count(None) == 8
    passed = [flow.refusal(relay("candidate", f"c{each}", candidates=1)) for each in range(1000)]
    assert passed.count(None) == 120
    clock[0] += 1.0
    passed = [flow.refusal(relay("answer", f"c{number}")) for number in range(100)]
    assert passed.count(None) == 16


def test_who_tries_again_as_clients_do_always_gets_through(clock: list[float]) -> None:
    flow = Flow()
    for delay_s in (0, 0.5, 1, 2, *[4] * 50):
        clock[0] += delay_s
        assert flow.refusal(relay("offer", f"{clock[0]}", size=12_000, candidates=20)) is None
