"""Timestamps that wrap, restart, jump, run backwards or are nonsense."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from support.scripted import Frame, Jitter, no_jitter, play, shifts_of, spoken, uniform
from support.signals import noise

RATE = 8000
SIZE = 160
SPEECH = noise(9, 20, RATE)
HOUR = 3600 * RATE


def restamped(change: Callable[[int, int], int], jitter: Jitter = no_jitter) -> list[Frame]:
    """20 s of speech; ``change`` gets a frame's index and timestamp, and gives another."""
    frames = spoken(SPEECH, RATE, pts=5000, jitter=jitter)
    return [frame._replace(pts=change(index, frame.pts or 0)) for index, frame in enumerate(frames)]


def heard_shifts(frames: list[Frame], *, slack_s: float = 0.03) -> tuple[np.ndarray, float, int]:
    """How far off each frame is heard (inf: not at all), seconds lost and late, re-anchored."""
    recording, report = play(frames, 23, rate_hz=RATE)
    assert len(recording) == 23 * RATE
    places = ((1 + index * 0.02, frame.pcm) for index, frame in enumerate(frames))
    shifts = shifts_of(places, recording, RATE, slack_s=slack_s)
    return shifts, report.lost_s + report.late_s, report.reanchored


@pytest.mark.parametrize("jitter", [no_jitter, uniform(0.06)])
@pytest.mark.parametrize("bits", [32])
def test_timestamps_that_wrap_go_on(bits: int, jitter: Jitter) -> None:
    shifts, missing, reanchored = heard_shifts(
        restamped(lambda i, pts: (pts + (1 << bits) - 9 * RATE) % (1 << bits), jitter)
    )
    assert np.abs(shifts).max() <= 0.02
    assert missing == 0
    assert reanchored == 0


@pytest.mark.parametrize("jitter", [no_jitter, uniform(0.06)])
@pytest.mark.parametrize("offset", [0, 30 * HOUR, -30 * HOUR])
@pytest.mark.parametrize("after_s", [0.3, 0.5, 1.0, 5.0, 10.0])
def test_timestamps_that_restart_lose_nothing(after_s: float, offset: int, jitter: Jitter) -> None:
    # The sender began anew, at zero, or hours before or after.
    at = round(after_s / 0.02)

    def change(index: int, pts: int) -> int:
        return pts if index < at else offset + (index - at) * SIZE

    shifts, missing, reanchored = heard_shifts(restamped(change, jitter), slack_s=0.1)
    gone = np.isinf(shifts)
    assert gone.sum() * 0.02 <= 0.06
    # Behind the restart, arrivals are all there is: they may be a little late against the past.
    assert np.abs(shifts[~gone]).max() <= 0.08
    assert missing <= 0.1
    assert reanchored == 1 or after_s < 0.4  # the first anchor is not set before


@pytest.mark.parametrize("hours", [1, 13, 1000, -1, -1000])
def test_a_jump_of_hours_makes_no_silence(hours: int) -> None:
    frames = restamped(lambda i, pts: pts + (hours * HOUR if i >= 500 else 0))
    shifts, missing, reanchored = heard_shifts(frames)
    assert not shifts.any()
    assert missing == 0
    assert reanchored == 1


@pytest.mark.parametrize("back_s", [0.02, 0.1, 0.5, 1.0, 1.9, 5.0])
def test_timestamps_that_step_back_lose_nothing(back_s: float) -> None:
    back = round(back_s * RATE)
    frames = restamped(lambda i, pts: pts - (back if i >= 500 else 0))
    shifts, missing, _ = heard_shifts(frames)
    assert not shifts[:500].any()
    assert np.isinf(shifts).sum() <= 1
    assert np.abs(shifts[~np.isinf(shifts)]).max() <= 0.02
    assert missing <= 0.04


@pytest.mark.parametrize("step_s", [0.1, 0.3, 0.45])
def test_a_small_step_ahead_is_believed(step_s: float) -> None:
    # It may be loss: the frames behind it are placed where they say, never ahead by more.
    step = round(step_s * RATE)
    frames = restamped(lambda i, pts: pts + (step if i >= 500 else 0))
    recording, report = play(frames, 23, rate_hz=RATE)
    start = round((11 + step_s) * RATE)
    assert np.array_equal(recording[start : start + 3 * RATE], SPEECH[10 * RATE : 13 * RATE])
    assert report.lost_s == pytest.approx(step_s)


GARBAGE: dict[str, Callable[[int, int], int]] = {
    "random": lambda i, pts: int(np.random.default_rng(i).integers(0, 1 << 40)),
    "random 32 bit": lambda i, pts: int(np.random.default_rng(i).integers(0, 1 << 32)),
    "random within 100 ms": lambda i, pts: int(np.random.default_rng(i).integers(0, 800)),
    "always zero": lambda i, pts: 0,
    "in milliseconds": lambda i, pts: i * 20,
    "in frames": lambda i, pts: i,
    "at half the rate": lambda i, pts: i * SIZE // 2,
    "in 90 kHz": lambda i, pts: i * 1800,
    "backwards": lambda i, pts: (1 << 31) - i * SIZE,
    "two values in turn": lambda i, pts: (i % 2) * HOUR,
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_timestamps_lose_less_than_half_a_second(kind: str) -> None:
    frames = restamped(GARBAGE[kind])
    recording, report = play(frames, 23, rate_hz=RATE)
    assert len(recording) == 23 * RATE
    # Where it was said is anybody's guess, but nearly all of it is there, in one piece.
    shifts = shifts_of(
        ((1 + i * 0.02, f.pcm) for i, f in enumerate(frames)), recording, RATE, slack_s=0.6
    )
    assert np.isinf(shifts).sum() * 0.02 <= 0.5
    assert report.received_s >= 19.5
    assert report.reanchored >= 1


def test_timestamps_at_twice_the_rate_lose_less_than_half_a_second() -> None:
    frames = restamped(lambda i, pts: i * SIZE * 2)
    recording, report = play(frames, 23, rate_hz=RATE)
    shifts = shifts_of(
        ((1 + i * 0.02, f.pcm) for i, f in enumerate(frames)), recording, RATE, slack_s=1.2
    )
    assert np.isinf(shifts).sum() * 0.02 <= 0.5
    assert report.reanchored >= 1


@pytest.mark.slow
@examples(40)
@given(
    index=st.integers(0, 999),
    pts=st.one_of(
        st.integers(0, 1 << 32), st.integers(-(1 << 62), 1 << 62), st.integers(0, 30 * RATE)
    ),
)
def test_one_garbage_timestamp_harms_no_more_than_its_surroundings(index: int, pts: int) -> None:
    frames = restamped(lambda i, good: pts if i == index else good)
    shifts, _, reanchored = heard_shifts(frames, slack_s=0.09)
    # It lands within another one's place at worst, and covers a part of two.
    if index < 15:  # the stream is being anchored: by it, for all that anybody knows
        assert np.isinf(shifts).sum() <= 3
        assert np.abs(shifts[np.isfinite(shifts)]).max() <= 0.08
    else:
        assert np.count_nonzero(shifts) <= 3
    assert reanchored <= (1 if index < 20 or index == 999 else 0)


@pytest.mark.slow
@examples(40)
@given(
    jumps=st.lists(
        st.tuples(st.integers(1, 990), st.integers(-(1 << 40), 1 << 40)), min_size=1, max_size=6
    )
)
def test_no_timestamp_makes_more_silence_than_the_clock(jumps: list[tuple[int, int]]) -> None:
    def change(index: int, pts: int) -> int:
        return pts + sum(by for at, by in jumps if index >= at)

    recording, report = play(restamped(change), 23, rate_hz=RATE)
    assert len(recording) == 23 * RATE
    assert report.received_s >= 20 - 0.2 * len(jumps)
    assert report.lost_s + report.late_s <= 0.5 * len(jumps)
