"""Loss, reordering, duplicates, DTX and mute: what survives stays in its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.types import IntervalKind
from support.examples import examples
from support.scripted import (
    Frame,
    Jitter,
    half_normal,
    no_jitter,
    play,
    shifts_of,
    spans,
    spoken,
    uniform,
)
from support.signals import noise

RATE = 8000
SPOKEN_S = 12.0
RECORDED_S = 14.0
START_S = 1.0
FRAME_S = 0.02
JITTERS = {"none": no_jitter, "uniform": uniform(0.06), "half-normal": half_normal(0.06)}


@dataclass(frozen=True)
class Harm:
    """What a network does."""

    seed: int
    loss: float
    bursts: list[tuple[float, float]]
    duplicated: float


harms = st.builds(
    Harm,
    seed=st.integers(0, 2**16),
    loss=st.floats(0, 0.25),
    bursts=st.lists(st.tuples(st.floats(1.5, 11), st.floats(0.1, 2)), max_size=2),
    duplicated=st.floats(0, 0.2),
)


def through(harm: Harm, frames: list[Frame]) -> tuple[list[Frame], list[Frame], float]:
    """What survives, the duplicates among it, and how many seconds are lost in between."""
    rng = np.random.default_rng(harm.seed)
    spoken_at = START_S + np.arange(len(frames)) * FRAME_S
    lost = rng.random(len(frames)) < harm.loss
    for start_s, length_s in harm.bursts:
        lost |= (spoken_at >= start_s) & (spoken_at < start_s + length_s)
    survivors = [frame for frame, gone in zip(frames, lost, strict=True) if not gone]
    between = lost[np.argmin(lost) : len(lost) - np.argmin(lost[::-1])]
    doubles = [
        frame._replace(at_ns=frame.at_ns + int(rng.uniform(0, 0.1) * 1e9))
        for frame in survivors
        if rng.random() < harm.duplicated
    ]
    return survivors, doubles, float(between.sum()) * FRAME_S


def place_s(frame: Frame) -> float:
    assert frame.pts is not None
    return START_S + (frame.pts - 5000) / RATE


@pytest.mark.slow
@examples(40)
@given(harm=harms)
def test_what_survives_loss_is_at_its_exact_place(harm: Harm) -> None:
    frames, doubles, lost_s = through(harm, spoken(noise(harm.seed, SPOKEN_S, RATE), RATE))
    recording, report = play([*frames, *doubles], RECORDED_S, rate_hz=RATE)

    wanted = np.zeros(round(RECORDED_S * RATE), np.int16)
    for frame in frames:
        start = round(place_s(frame) * RATE)
        wanted[start : start + len(frame.pcm)] = frame.pcm
    assert np.array_equal(recording, wanted)
    assert report.lost_s == pytest.approx(lost_s, abs=0.001)
    assert report.received_s == pytest.approx(len(frames) * FRAME_S, abs=0.001)
    assert report.duplicate_s == pytest.approx(len(doubles) * FRAME_S, abs=0.001)
    assert report.late_s == 0
    assert report.reanchored == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uniform", "half-normal"])
@examples(25)
@given(harm=harms)
def test_what_survives_loss_and_jitter_is_within_20_ms_of_its_place(kind: str, harm: Harm) -> None:
    jitter: Jitter = JITTERS[kind]
    sent = spoken(noise(harm.seed, SPOKEN_S, RATE), RATE, jitter=jitter, seed=harm.seed + 1)
    frames, doubles, lost_s = through(harm, sent)
    recording, report = play([*frames, *doubles], RECORDED_S, rate_hz=RATE)

    assert len(recording) == RECORDED_S * RATE
    shifts = shifts_of(((place_s(frame), frame.pcm) for frame in frames), recording, RATE)
    # Of 15 frames, one is early enough to anchor by: not for sure, but for these seeds.
    assert np.abs(shifts).max() <= 0.02
    assert report.lost_s == pytest.approx(lost_s, abs=0.01 * SPOKEN_S)
    assert report.duplicate_s == pytest.approx(len(doubles) * FRAME_S, abs=0.03)
    assert report.late_s == 0
    assert report.reanchored == 0


@pytest.mark.parametrize("percent", [5, 15, 25])
def test_the_loss_reported_is_the_loss_injected(percent: int) -> None:
    frames = spoken(noise(1, 60, RATE), RATE, jitter=uniform(0.06))
    kept = [f for f, r in zip(frames, np.random.default_rng(2).random(len(frames)), strict=True)
            if r >= percent / 100]  # fmt: skip
    _, report = play(kept, 62, rate_hz=RATE)
    assert report.lost_s == pytest.approx((len(frames) - len(kept)) * FRAME_S, abs=0.05)


def test_silence_that_the_sender_left_out_is_not_lost() -> None:
    frames = spoken(noise(3, 10, RATE), RATE)
    silent = [(100, 180), (300, 302), (350, 420)]
    kept = []
    for index, frame in enumerate(frames):
        if any(low <= index < high for low, high in silent):
            continue
        resumes = any(index == high for _, high in silent)
        kept.append(frame._replace(gap_is_silence=resumes))
    recording, report = play(kept, 12, rate_hz=RATE)
    assert report.lost_s == 0
    assert not spans(report, IntervalKind.LOST)
    for low, high in silent:
        assert not recording[RATE + low * 160 : RATE + high * 160].any()
    assert np.array_equal(
        recording[RATE : RATE + 16000], np.concatenate([f.pcm for f in kept[:100]])
    )


def test_a_loss_after_left_out_silence_is_lost() -> None:
    frames = spoken(noise(3, 4, RATE), RATE)
    kept = [*frames[:50], frames[100]._replace(gap_is_silence=True), *frames[105:]]
    _, report = play(kept, 6, rate_hz=RATE)
    assert report.lost_s == pytest.approx(4 * FRAME_S)


@pytest.mark.parametrize("timestamps", ["go on", "stand still", "are missing"])
def test_a_mute_is_not_loss(timestamps: str) -> None:
    frames = spoken(noise(4, 10, RATE), RATE)
    kept = frames[:200] + frames[350:]
    if timestamps == "stand still":
        kept = frames[:200] + [
            f._replace(pts=g.pts) for f, g in zip(frames[350:], frames[200:], strict=False)
        ]
    if timestamps == "are missing":
        kept = [f._replace(pts=None) for f in kept]
    recording, report = play(kept, 11.5, rate_hz=RATE, mutes=[(5.0, True), (8.0, False)])
    assert report.lost_s <= 0.02
    assert spans(report, IntervalKind.MUTED) == [(5.0, 8.0)]
    assert not spans(report, IntervalKind.STALLED)
    assert np.array_equal(recording[RATE : RATE * 5], np.concatenate([f.pcm for f in frames[:200]]))
    assert np.array_equal(
        recording[RATE * 8 : RATE * 11], np.concatenate([f.pcm for f in frames[350:]])
    )


def test_loss_next_to_a_mute_is_loss() -> None:
    frames = spoken(noise(4, 10, RATE), RATE)
    kept = frames[:175] + frames[350:]  # the last half second before the mute is lost
    _, report = play(kept, 12, rate_hz=RATE, mutes=[(5.0, True), (8.0, False)])
    assert report.lost_s == pytest.approx(0.5)
    assert spans(report, IntervalKind.LOST) == [(4.5, 5.0)]


def test_a_source_that_falls_silent_without_a_word_is_reported_as_stalled() -> None:
    _, report = play(spoken(noise(5, 3, RATE), RATE), 10, rate_hz=RATE)
    assert spans(report, IntervalKind.STALLED) == [(4.0, 10.0)]
    assert report.lost_s == 0


def test_audio_that_comes_too_late_is_reported_as_late_and_lost() -> None:
    frames = spoken(noise(6, 10, RATE), RATE)
    late = [f._replace(at_ns=f.at_ns + 1_500_000_000) if 200 <= i < 210 else f
            for i, f in enumerate(frames)]  # fmt: skip
    _, report = play(late, 14, rate_hz=RATE)
    assert report.late_s == pytest.approx(0.2)
    assert report.lost_s == pytest.approx(0.2)
    assert spans(report, IntervalKind.LATE) == [(pytest.approx(5.0), pytest.approx(5.2))]
