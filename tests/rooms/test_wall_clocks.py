"""Whose way is how much longer, by what senders say of their clocks."""

from __future__ import annotations

import itertools
import random

import pytest

from roomtape.rooms.rtp.sender_clocks import MOST_NS, SLOWEST, SenderClocks
from roomtape.types import NS_PER_S

RATE = 48000
MS = 1_000_000


class Sender:
    """One stream: a wall clock that is off, and a way of some length."""

    def __init__(self, ssrc: int, *, way_ms: float, off_s: float = 0.0, rate: int = RATE) -> None:
        self.ssrc, self.rate = ssrc, rate
        self.way_ns, self.off_ns = round(way_ms * MS), round(off_s * NS_PER_S)
        self.first = 2**32 - 3 * rate + ssrc  # it wraps

    def timestamp(self, at_ns: int) -> int:
        return (self.first + at_ns * self.rate // NS_PER_S) % 2**32

    def ntp(self, at_ns: int) -> int:
        return (at_ns + self.off_ns + 10**18) * 2**32 // NS_PER_S


def listen(*senders: Sender, seconds: float, jitter_ms: float = 0.0) -> list[list[int]]:
    """The delays of each, packet by packet; a report comes every 3 s."""
    clocks, chance = SenderClocks(), random.Random(1)
    delays: list[list[int]] = [[] for _ in senders]
    arrivals = []
    for number in range(round(seconds * 50)):
        for index, each in enumerate(senders):
            at_ns = number * 20 * MS
            late_ns = each.way_ns + round(chance.uniform(0, jitter_ms) * MS)
            arrivals.append((at_ns + late_ns, index, at_ns, number % 150 == 75))
    for now_ns, index, at_ns, reports in sorted(arrivals):
        each = senders[index]
        if reports:
            clocks.report(each.ssrc, each.ntp(at_ns), each.timestamp(at_ns))
        delay_ns = clocks.delay_ns(each.ssrc, each.timestamp(at_ns), each.rate, now_ns)
        delays[index].append(delay_ns)
    return delays


@pytest.mark.parametrize("slower_ms", [3, 150, 600])
def test_who_has_the_slower_way_is_known_by_how_much(slower_ms: float) -> None:
    fast, slow = listen(
        Sender(1, way_ms=20), Sender(2, way_ms=20 + slower_ms, rate=8000), seconds=20, jitter_ms=30
    )
    assert max(fast) <= 2 * MS
    assert slow[-1] == pytest.approx(slower_ms * MS, abs=3 * MS)


def test_time_never_runs_back_while_the_delay_grows_or_shrinks() -> None:
    _, slow = listen(Sender(1, way_ms=10), Sender(2, way_ms=400), seconds=20)
    steps = [abs(later - each) for each, later in itertools.pairwise(slow)]
    assert max(steps) <= 20 * MS // SLOWEST + 1
    assert slow[-1] == pytest.approx(390 * MS, abs=MS)


def test_a_clock_that_cannot_be_right_is_not_believed() -> None:
    off_s = 2 * MOST_NS / NS_PER_S
    for sign in (1, -1):
        one, other, wrong = listen(
            Sender(1, way_ms=20),
            Sender(2, way_ms=80),
            Sender(3, way_ms=20, off_s=sign * off_s),
            seconds=15,
        )
        assert max(one) == 0
        assert other[-1] == pytest.approx(60 * MS, abs=MS)
        assert max(wrong) == 0


def test_without_a_report_nothing_is_known_and_what_is_over_counts_no_more() -> None:
    clocks = SenderClocks()
    assert clocks.delay_ns(1, 0, RATE, 0) == 0
    for ssrc, way_ns in ((1, 10 * MS), (2, 200 * MS)):
        clocks.report(ssrc, 0, 0)
        assert clocks.delay_ns(ssrc, 0, RATE, way_ns) == 0
    clocks.forget(1)
    clocks.forget(1)
    assert clocks.delay_ns(2, 20 * RATE, RATE, 20 * NS_PER_S + 200 * MS) == 0
