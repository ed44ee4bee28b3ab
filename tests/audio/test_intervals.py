"""Intervals stay true however many there are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomtape.audio.intervals import LEAST_SHARE, MOST, Intervals
from roomtape.audio.ledger import Ledger
from roomtape.audio.mutes import Mutes
from roomtape.types import NS_PER_S, IntervalKind
from support.scripted import Frame, play, spans

MS = NS_PER_S // 1000


@st.composite
def patterns(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Losses one after the other: periodic, in bursts, or at random."""
    stretches: list[tuple[int, int]] = []
    at = 0
    for _ in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 60))
        gap, length = draw(st.integers(1, 5000)), draw(st.integers(1, 3000))
        wobble = draw(st.sampled_from([0, 1, 30]))
        dice = np.random.default_rng(draw(st.integers(0, 99)))
        for _ in range(count):
            at += gap + int(dice.integers(wobble + 1))
            stretches.append((at, at + length + int(dice.integers(wobble + 1))))
            at = stretches[-1][1]
    return stretches


def covered(stretches: list[tuple[int, int]], start: int, end: int) -> int:
    return sum(max(0, min(stop, end) - max(begin, start)) for begin, stop in stretches)


@settings(max_examples=200, deadline=None)
@given(patterns(), st.sampled_from([(1, 2), (4, 8), (8, 8), (10, 40)]), st.integers(0, 3))
def test_no_interval_claims_more_than_four_times_what_was_so(
    stretches: list[tuple[int, int]], bounds: tuple[int, int], swaps: int
) -> None:
    many, most = bounds
    book = Intervals(0, many, most)
    said = list(stretches)
    for index in range(0, len(said) - 1, 5):  # late audio comes in any order
        if swaps > index % 4:
            said[index], said[index + 1] = said[index + 1], said[index]
    for start, end in said:
        book.add(start, end)
    listed = book.listed()
    assert len(listed) <= most
    assert listed == sorted(listed)
    assert all(end <= start for (_, end), (start, _) in pairwise(listed))
    for start, end in listed:
        assert LEAST_SHARE * covered(stretches, start, end) >= end - start
    told = sum(covered(stretches, start, end) for start, end in listed)
    assert told + book.left_out_ns >= sum(end - start for start, end in stretches)
    if len(stretches) <= many:
        assert listed == stretches
        assert book.left_out_ns == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 30)), max_size=60))
def test_stretches_that_overlap_count_once(pieces: list[tuple[int, int]]) -> None:
    book = Intervals(0)
    true = np.zeros(300, bool)
    for start, length in pieces:
        book.add(start, start + length)
        true[start : start + length] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[0], true.astype(int), [0]]))).tolist()
    assert book.listed() == list(zip(edges[::2], edges[1::2], strict=True))


@pytest.mark.parametrize("every_s", [2.0, 0.7, 5.0])
def test_a_frame_that_is_lost_now_and_then_is_lost_then_and_not_all_the_time(
    every_s: float,
) -> None:
    """One frame in so many, for 70 minutes and longer."""
    ledger = Ledger()
    count = round(70 * 60 / every_s)
    for turn in range(count):
        start = round((turn + 0.5) * every_s * NS_PER_S)
        ledger.lost(start, start + 20 * MS)
    end_ns = round(count * every_s * NS_PER_S)
    lost_s = ledger.lost_ns(end_ns) / NS_PER_S
    assert lost_s == pytest.approx(0.02 * count)
    lost = [
        each.end_s - each.start_s
        for each in ledger.intervals(start_ns=0, end_ns=end_ns)
        if each.kind is IntervalKind.LOST
    ]
    assert sum(lost) + ledger.unlisted_ns / NS_PER_S == pytest.approx(lost_s)
    assert ledger.unlisted_ns == 0
    assert max(lost) == pytest.approx(0.02)


@pytest.mark.slow
def test_a_day_of_losses_is_told_evenly_and_what_is_left_out_is_counted() -> None:
    ledger = Ledger()
    count = 43200
    for turn in range(count):
        ledger.lost(turn * 2 * NS_PER_S, turn * 2 * NS_PER_S + 20 * MS)
    end_ns = count * 2 * NS_PER_S
    lost = ledger.intervals(start_ns=0, end_ns=end_ns)
    assert MOST // 2 < len(lost) <= MOST
    assert ledger.unlisted_ns / NS_PER_S == pytest.approx(0.02 * (count - len(lost)))
    hours = np.histogram([each.start_s for each in lost], 24, (0, 86400))[0]
    assert hours.min() > 10, "no hour looks as if all had been well"


def test_frequent_losses_become_few_intervals_and_rare_ones_beside_them_stay_exact() -> None:
    ledger = Ledger()
    for turn in range(20000):  # every other frame, for a quarter of an hour
        ledger.lost(turn * 40 * MS, turn * 40 * MS + 20 * MS)
    ledger.lost(2000 * NS_PER_S, 2000 * NS_PER_S + 20 * MS)
    found = ledger.intervals(start_ns=0, end_ns=3000 * NS_PER_S)
    assert (found[-1].start_s, found[-1].end_s) == (2000.0, 2000.02)
    assert len(found) <= 2000
    assert ledger.unlisted_ns == 0
    assert ledger.lost_ns(3000 * NS_PER_S) == 20001 * 20 * MS


# -- muted ----------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=60),
    st.integers(0, 300),
    st.integers(0, 300),
)
def test_what_is_missing_outside_of_mutes_is_lost_to_the_nanosecond(
    moments: list[int], first: int, last: int
) -> None:
    mutes, muted, now = Mutes(), np.zeros(400, bool), False
    for at, until in zip(sorted(moments), [*sorted(moments)[1:], 400], strict=True):
        now = not now
        mutes.set(now, at)
        muted[at:until] = now
    parts = mutes.outside(first, last)
    outside = np.zeros(400, bool)
    for start, end in parts:
        outside[start:end] = True
    expected = ~muted
    expected[:first] = expected[max(first, last) :] = False
    # What is not over yet reaches on for ever.
    assert np.array_equal(outside, expected)


def test_thousands_of_mutes_do_not_hide_what_was_lost_between_them() -> None:
    """Muted for a tenth of each second: what is missing in between is lost, as ever."""
    ledger = Ledger()
    for second in range(9000):
        ledger.set_muted(True, second * NS_PER_S)
        ledger.set_muted(False, second * NS_PER_S + 100 * MS)
        ledger.lost(second * NS_PER_S + 50 * MS, second * NS_PER_S + 150 * MS)
    assert ledger.lost_ns(9000 * NS_PER_S) == 9000 * 50 * MS


def test_a_source_that_is_muted_is_muted_to_the_end_of_each_report() -> None:
    ledger = Ledger()
    ledger.set_muted(True, NS_PER_S)
    for end_s in (3, 5):
        (only,) = ledger.intervals(start_ns=0, end_ns=end_s * NS_PER_S)
        assert (only.kind, only.start_s, only.end_s) == (IntervalKind.MUTED, 1, end_s)
    ledger.set_muted(True, 4 * NS_PER_S)
    assert ledger.muted
    ledger.set_muted(False, 6 * NS_PER_S)
    ledger.set_muted(False, 7 * NS_PER_S)
    (only,) = ledger.intervals(start_ns=0, end_ns=9 * NS_PER_S)
    assert (only.start_s, only.end_s) == (1, 6)


# -- what is not in the file ----------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100, 48000])
def test_no_more_was_received_than_there_is_in_the_file(rate_hz: int) -> None:
    """Other rates are read a little ahead of the mix head, for the resampler's filter."""
    pcm = np.random.default_rng(1).integers(-9000, 9000, 12 * rate_hz).astype(np.int16)
    _, report = play([Frame(0, pcm, rate_hz, 0)], 5, rate_hz=16000)
    assert report.received_s == pytest.approx(5, abs=1e-4)
    assert report.received_s <= 5


def test_a_hole_at_the_end_counts_as_far_as_the_file_goes() -> None:
    pcm = np.random.default_rng(1).integers(-9000, 9000, 9600).astype(np.int16)
    frames = [Frame(turn * 200 * MS, pcm, 48000, 9600 * turn) for turn in range(5)]
    frames.append(Frame(1000 * MS, pcm, 48000, 48000 + 100))
    _, report = play(frames, 1.001, rate_hz=16000)
    assert report.lost_s == pytest.approx(0.001, abs=1e-6)
    assert spans(report, IntervalKind.LOST) == [(1.0, pytest.approx(1.001))]
