"""A test that runs once more must look at calls that were recorded once more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from support import recorded_call
from support.lag import Lag
from support.recorded_call import Takes


@pytest.fixture
def lags_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the machine is to cost each take."""
    lags_s: list[float] = []

    @contextmanager
    def measured() -> Iterator[Lag]:
        lag = Lag()
        yield lag
        lag.worst_s = lags_s.pop(0) if lags_s else 0.0

    monkeypatch.setattr(recorded_call, "measured_lag", measured)
    return lags_s


def takes_of(played: list[Any]) -> Takes:
    async def scene() -> dict[str, Any]:
        played.append(SimpleNamespace())
        return {"call": played[-1]}

    return Takes(scene)


def test_each_run_of_a_test_has_a_take_of_its_own(lags_s: list[float]) -> None:
    played: list[Any] = []
    takes = takes_of(played)
    seen = [takes.of(run, Lag())["call"] for run in (1, 1, 2, 1)]
    assert seen == [played[0], played[0], played[1], played[0]]
    assert len(played) == 2


def test_a_take_in_which_the_machine_was_too_busy_is_none(lags_s: list[float]) -> None:
    lags_s[:] = [0.9, 0.6, 0.2]
    played: list[Any] = []
    takes = takes_of(played)
    assert takes.of(1, Lag())["call"] is played[2]
    assert played[2].lag.worst_s == 0.2


def test_where_no_take_is_better_the_best_is_judged_by_its_lag(lags_s: list[float]) -> None:
    lags_s[:] = [0.9, 0.6, 0.8]
    played: list[Any] = []
    takes, lag = takes_of(played), Lag()
    assert takes.of(1, lag)["call"] is played[1]
    assert played[1].lag.worst_s == lag.worst_s == 0.6


def test_a_take_that_failed_is_not_tried_again_for_each_test() -> None:
    played: list[Any] = []

    async def scene() -> dict[str, Any]:
        played.append(1)
        raise OSError("no server")

    takes = Takes(scene)
    for _ in range(2):
        with pytest.raises(OSError, match="no server"):
            takes.of(1, Lag())
    assert len(played) == 1
