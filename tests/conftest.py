"""What holds for all tests: who may try again and when, what a missing tool means, which examples
a property is tried with. docs/testing.md tells it in full.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Generator, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from xdist.remote import Producer

from roomtape import cli
from support.accounts import every_second_accounted_for
from support.ci import refuse_skip
from support.examples import load_profile
from support.lag import BUSY_S, Lag, measured_lag, take_precedence
from support.program import Cli
from support.side_by_side import SideBySide

TRIES = 3
_LAG = pytest.StashKey[Lag]()

load_profile()


def pytest_configure(config: pytest.Config) -> None:
    # A shell has what it starts in the background ignore Ctrl-C, and so would all that we start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Workers, but for those that leave out what is in real time, come first on the processors.
    if "PYTEST_XDIST_WORKER" in os.environ and not config.getoption("markexpr").startswith("not"):
        take_precedence()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SideBySide:
    return SideBySide(config, log)


@pytest.hookimpl(tryfirst=True)  # before markers select
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("network"):
            item.add_marker("realtime")
        if item.get_closest_marker("realtime"):
            tried_again = partial(_machine_was_busy, item)
            item.add_marker(pytest.mark.flaky(reruns=TRIES - 1, condition=tried_again))
    if "PYTEST_XDIST_WORKER" in os.environ:  # what computes for long must not begin last
        items.sort(key=lambda item: not _is(item, "slow") or _is(item, "realtime"))


def _is(item: pytest.Item, marker: str) -> bool:
    return item.get_closest_marker(marker) is not None


def _machine_was_busy(item: pytest.Item) -> bool:
    lag = item.stash.get(_LAG, None)
    return lag is not None and lag.worst_s > BUSY_S


@pytest.fixture(autouse=True)
def lag(request: pytest.FixtureRequest) -> Iterator[Lag | None]:
    """What the machine costs a test in real time while it runs; None for any other test."""
    if request.node.get_closest_marker("realtime") is None:
        yield None
        return
    with measured_lag() as measured:
        request.node.stash[_LAG] = measured
        yield measured


@pytest.fixture(autouse=True)
def accounts() -> Iterator[None]:
    """In each recording of each test, whatever came has gone somewhere."""
    with every_second_accounted_for():
        yield


@pytest.fixture
def attempt(request: pytest.FixtureRequest) -> int:
    """Which run of the test this is: 1, or more where it is tried again."""
    return getattr(request.node, "execution_count", 1)


@pytest.fixture
def run_here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line inside the test's own process, without the second that a program takes to
    start: ``run_here("mix", a, b, "-o", out, env={})``."""
    for name in [*os.environ]:
        if name.startswith("ROOMTAPE_"):
            monkeypatch.delenv(name)

    def run(
        *arguments: str | Path, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as patched:
            for name, value in (env or {}).items():
                patched.setenv(name, value)
            code = cli.main([*map(str, arguments)])
        said = capsys.readouterr()
        return subprocess.CompletedProcess([*map(str, arguments)], code, said.out, said.err)

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and (lag := item.stash.get(_LAG, None)):
        report.sections.append(
            ("lag", f"the machine kept this test waiting for up to {lag.worst_s:.3f} s")
        )
    refuse_skip(report)
    return report
