"""Senders whose clocks run fast or slow."""

from __future__ import annotations

import numpy as np
import pytest

from support.scripted import (
    Jitter,
    beat,
    beat_clicks,
    beat_phases,
    half_normal,
    play,
    shifts_of,
    spoken,
    uniform,
)
from support.signals import noise

RATE = 8000
JITTERS = {"uniform": uniform(0.06), "half-normal": half_normal(0.06)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ppm", "minutes", "kind"),
    [
        (200, 60, "uniform"),
        (-200, 60, "half-normal"),
        (20, 10, "half-normal"),
        (-20, 10, "uniform"),
    ],
)
@pytest.mark.timeout(120)
def test_a_clock_that_is_off_is_followed_without_clicks(ppm: int, minutes: int, kind: str) -> None:
    jitter: Jitter = JITTERS[kind]
    seconds = minutes * 60
    frames = spoken(
        beat(seconds, RATE), RATE, frame_s=0.04, ppm=ppm, jitter=jitter, seed=minutes + abs(ppm)
    )
    recording, report = play(frames, seconds + 2, rate_hz=RATE, tick_s=0.5)
    assert len(recording) == (seconds + 2) * RATE

    heard = recording[2 * RATE : (seconds - 1) * RATE]
    late_s, fine_s = beat_phases(heard, RATE)
    since_s = 1.05 + 0.1 * np.arange(len(late_s))
    off_s = (late_s + since_s * ppm * 1e-6 + 0.05) % 0.1 - 0.05
    assert np.abs(off_s).max() <= 0.02
    bend = np.abs(np.diff(fine_s[::10]))
    assert bend.max() <= 0.001 + 1e-5
    assert beat_clicks(heard, RATE) <= 20  # of 12000
    assert report.drift_ppm == pytest.approx(ppm, abs=15)
    assert report.lost_s == 0
    assert report.late_s == 0
    assert report.reanchored == 0


@pytest.mark.parametrize("ppm", [200, -200])
def test_words_between_pauses_stay_in_place_and_whole(ppm: int) -> None:
    # Speech, and digital silence between: corrections happen in the pauses, the words stay exact.
    words = [noise(seed, 0.5, RATE) for seed in range(150)]
    pcm = np.concatenate([np.concatenate([w, np.zeros(3 * RATE // 2, np.int16)]) for w in words])
    frames = spoken(pcm, RATE, ppm=ppm, jitter=uniform(0.06))
    recording, report = play(frames, 304, rate_hz=RATE)
    places = [(1 + 2 * index / (1 + ppm * 1e-6), word) for index, word in enumerate(words)]
    assert np.abs(shifts_of(places, recording, RATE)).max() <= 0.02
    exact = sum(word.tobytes() in recording.tobytes() for word in words)
    assert exact >= 0.97 * len(words)
    assert report.drift_ppm == pytest.approx(ppm, abs=15)


@pytest.mark.slow
@pytest.mark.parametrize("ppm", [200, -200])
def test_a_source_without_timestamps_is_followed_too(ppm: int) -> None:
    seconds = 600
    frames = spoken(beat(seconds, RATE), RATE, ppm=ppm, pts=None)
    recording, report = play(frames, seconds + 2, rate_hz=RATE)
    heard = recording[2 * RATE : (seconds - 1) * RATE]
    late_s, _ = beat_phases(heard, RATE)
    since_s = 1.05 + 0.1 * np.arange(len(late_s))
    off_s = (late_s + since_s * ppm * 1e-6 + 0.05) % 0.1 - 0.05
    assert np.abs(off_s).max() <= 0.02
    assert beat_clicks(heard, RATE) <= 20
    assert report.drift_ppm == pytest.approx(ppm, abs=15)
