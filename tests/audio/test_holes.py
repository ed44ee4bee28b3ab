"""Which holes are loss, asked as a timeline asks: ten positions at a time."""

from __future__ import annotations

from roomtape.audio.timing.holes import Holes


def test_a_hole_between_samples_is_loss() -> None:
    holes = Holes()
    assert holes.read(0, 10, [(3, 5)], next_start=10) == [(3, 5)]
    assert not holes.is_open


def test_a_hole_at_the_end_stays_open_until_samples_come_and_is_one() -> None:
    holes = Holes()
    assert holes.read(0, 10, [(7, 10)], next_start=None) == []
    assert holes.read(10, 20, [(10, 20)], next_start=None) == []
    assert holes.is_open
    assert holes.read(20, 30, [(20, 22), (25, 26)], next_start=30) == [(7, 22), (25, 26)]


def test_an_open_hole_that_ends_where_the_next_samples_are_read_ends_there() -> None:
    holes = Holes()
    holes.read(0, 10, [(7, 10)], next_start=None)
    assert holes.read(10, 20, [], next_start=20) == [(7, 10)]


def test_a_hole_before_what_follows_on_silence_is_none() -> None:
    holes = Holes()
    holes.never_sent_before(10)
    assert holes.silent_before(10)
    assert holes.read(0, 10, [(2, 4), (6, 10)], next_start=10) == [(2, 4)]
    assert holes.read(10, 20, [(15, 20)], next_start=20) == [(15, 20)], "it is said of one hole"


def test_what_comes_too_late_was_lost_with_what_is_missing_before_it() -> None:
    holes = Holes()
    holes.read(0, 10, [(4, 10)], next_start=None)
    assert holes.came_late(6, 8, gap_is_silence=False) == [(4, 8)]
    assert holes.read(10, 20, [], next_start=20) == [(8, 10)]


def test_what_comes_too_late_after_silence_is_lost_alone() -> None:
    holes = Holes()
    holes.read(0, 10, [(4, 10)], next_start=None)
    assert holes.came_late(6, 15, gap_is_silence=True) == [(6, 10)]
    assert not holes.is_open


def test_what_came_too_late_for_a_hole_before_changes_nothing() -> None:
    holes = Holes()
    holes.read(0, 10, [(4, 10)], next_start=None)
    assert holes.came_late(1, 4, gap_is_silence=False) == []
    assert holes.read(10, 20, [], next_start=20) == [(4, 10)]


def test_silence_that_is_left_out_belongs_to_the_open_hole() -> None:
    holes = Holes()
    holes.read(0, 10, [(4, 10)], next_start=None)
    holes.end_at(13)
    assert holes.read(13, 20, [], next_start=20) == [(4, 13)]
    assert Holes().read(0, 0, [], next_start=None) == []
