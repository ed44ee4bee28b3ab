"""What a placement is doing, step by step, and that a log tells it."""

from __future__ import annotations

import logging

import pytest

from roomtape.audio.timing.placing.anchor import Arrival
from roomtape.audio.timing.placing.placement import Placement
from roomtape.audio.timing.placing.states import (
    FOLLOWS,
    PLACING,
    WAITS_IN,
    PlacementState,
)
from support.scripted import Frame, play, spoken
from support.signals import noise

RATE = 8000
STEP = RATE // 50


class Stream:
    """Feeds a placement frame by frame; remembers each state that it was in."""

    def __init__(self) -> None:
        self.placement = Placement(RATE, name="alice")
        self.voice = noise(1, 60, RATE)
        self.states = [self.placement.state]
        self.placed = 0

    def say(self, first: int, last: int, *, late_s: float = 0.0, pace: float = 1.0) -> None:
        """Frames ``first`` to ``last``; they come ``late_s`` late, and ``pace`` times as fast."""
        for number in range(first, last):
            pts = number * STEP
            at = first * STEP + round(late_s * RATE) + round((number - first) * STEP / pace)
            for run in self.placement.feed([Arrival(self.voice[pts : pts + STEP], at, pts)]):
                self.placed += len(run.pcm)
            if self.placement.state is not self.states[-1]:
                self.states.append(self.placement.state)


S = PlacementState
START = [S.UNANCHORED, S.ACQUIRING, S.ANCHORED]


def test_the_first_frames_wait_and_then_each_is_placed_at_once() -> None:
    stream = Stream()
    stream.say(0, 100)
    assert stream.states == START
    assert stream.placed == 100 * STEP


def test_a_stream_that_falls_behind_is_on_probation_and_anchored_anew() -> None:
    stream = Stream()
    stream.say(0, 100)
    stream.say(100, 200, late_s=1.0)
    assert stream.states == [*START, S.PROBATION, S.ANCHORED]
    assert stream.placement.reanchored == 1


def test_a_stall_that_is_made_up_for_at_once_ends_on_probation() -> None:
    stream = Stream()
    stream.say(0, 100)
    stream.say(100, 150, late_s=1.0, pace=1000.0)
    stream.say(150, 200)
    assert stream.states == [*START, S.PROBATION, S.ANCHORED]
    assert stream.placement.reanchored == 0


def test_a_queue_that_empties_is_caught_up_with_step_by_step() -> None:
    stream = Stream()
    stream.say(0, 100)
    stream.say(100, 400, late_s=2.0, pace=1.5)
    stream.say(400, 450)
    stream.say(460, 500)
    assert stream.states[:4] == [*START, S.PROBATION]
    assert {*stream.states[4:-1]} == {S.STILL_LATE}, "it caught up, and the next was late as well"
    assert stream.states[-1] is S.ANCHORED
    assert stream.placement.reanchored == 0


def test_the_table_has_a_row_for_each_state_and_every_one_can_be_reached() -> None:
    assert {*FOLLOWS} == {*S}
    assert {state for row in FOLLOWS.values() for state in row} == {*S} - {S.UNANCHORED}
    assert all(after in FOLLOWS[before] for before, after in WAITS_IN.items())
    assert {*WAITS_IN} == {S.UNANCHORED, *PLACING}


# -- the log --------------------------------------------------------------------------------------


def log_of(caplog: pytest.LogCaptureFixture, frames: list[Frame], seconds: float) -> str:
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="roomtape.audio"):
        play(frames, seconds, rate_hz=RATE)
    assert all(record.levelno == logging.DEBUG for record in caplog.records)
    assert all(record.getMessage().startswith("alice") for record in caplog.records)
    return caplog.text


def test_every_decision_that_changes_what_is_heard_can_be_read_in_a_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    voice = noise(1, 20, RATE)
    frames = spoken(voice, RATE, start_s=0)
    log = log_of(caplog, frames[:300], 7)
    assert "acquiring -> anchored" in log
    # It began anew, five seconds in.
    anew = [each._replace(pts=(each.pts or 0) + 10**7) for each in frames[250:300]]
    log = log_of(caplog, [*frames[:250], *anew], 7)
    assert "anchored -> probation: timestamp 10045000" in log
    assert "probation -> anchored: timestamp 10045000 is at 5.000 s" in log
    # Behind for a while, and in time again.
    late = [each._replace(at_ns=each.at_ns + 45 * 10**7) for each in frames[250:500]]
    log = log_of(caplog, [*frames[:250], *late, *frames[523:]], 21)
    assert "(it fell behind)" in log
    assert "back to the former anchor -5000" in log
    # It begins anew every 0.8 s, until the tenth second.
    wrong = [
        each._replace(pts=(each.pts or 0) + min(index, 500) // 40 * 10**7)
        for index, each in enumerate(frames)
    ]
    log = log_of(caplog, wrong, 21)
    assert "counted instead" in log
    assert "believed again" in log


def test_what_a_clock_that_runs_away_is_corrected_by_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    voice = noise(1, 60, RATE) // 4
    log = log_of(caplog, spoken(voice, RATE, start_s=0, ppm=400), 62)
    assert "in the midst of speech" in log
    voice.reshape(-1, RATE // 2)[1::2] = 0
    log = log_of(caplog, spoken(voice, RATE, start_s=0, ppm=400), 62)
    assert "in a pause: heard" in log
    assert "ppm off" in log


def test_a_rate_that_changes_and_a_source_that_fails_are_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frames = spoken(noise(1, 2, RATE), RATE, start_s=0)
    other = spoken(noise(1, 2, 2 * RATE), 2 * RATE, start_s=2)
    assert "goes on at 16000 Hz after 8000 Hz" in log_of(caplog, [*frames, *other], 5)
