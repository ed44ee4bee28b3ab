"""A test that runs once more must look at calls that were recorded once more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from support.recorded_call import Takes


def test_each_run_of_a_test_has_a_take_of_its_own() -> None:
    played: list[Any] = []

    async def scene() -> dict[str, Any]:
        played.append(SimpleNamespace(lag_s=0.0))
        return {"call": played[-1]}

    takes = Takes(scene)
    first, second = (SimpleNamespace(execution_count=count) for count in (1, 2))
    plain: Any = SimpleNamespace()  # of a test that has one run only
    seen = [takes.of(test)["call"] for test in (first, plain, second, first)]
    assert seen == [played[0], played[0], played[1], played[0]]
    assert len(played) == 2


def test_a_take_in_which_the_machine_was_too_busy_is_none() -> None:
    lags_s = iter([0.4, 0.2, 0.01])

    async def scene() -> dict[str, Any]:
        return {"call": SimpleNamespace(lag_s=next(lags_s))}

    test: Any = SimpleNamespace(execution_count=1)
    assert Takes(scene).of(test)["call"].lag_s == 0.01


def test_a_take_that_failed_is_not_tried_again_for_each_test() -> None:
    played: list[Any] = []

    async def scene() -> dict[str, Any]:
        played.append(SimpleNamespace(lag_s=1.0))
        return {"call": played[-1]}

    takes = Takes(scene)
    test: Any = SimpleNamespace(execution_count=1)
    for _ in range(2):
        with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match="too busy"):
            takes.of(test)
    assert len(played) == 4
