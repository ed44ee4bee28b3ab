"""Participants whose sample rate or channel count changes in mid-call."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import soxr

from roomtape.types import Pcm
from support.scripted import Frame, Jitter, no_jitter, play, spoken, uniform
from support.signals import noise, tone

RATES = (8000, 16000, 24000, 44100, 48000)
PART_S = 2.0


def stages(
    rates: tuple[int, ...], *, jitter: Jitter = no_jitter, timed: bool = True, stereo: bool = False
) -> list[Frame]:
    """A tone of 440 Hz that goes on while the rate changes every two seconds."""
    frames: list[Frame] = []
    for stage, rate in enumerate(rates):
        count = round(PART_S * rate)
        turns = (np.arange(count) + stage * count) / rate
        pcm: Pcm = np.rint(8000 * np.sin(2 * np.pi * 440 * turns)).astype(np.int16)
        part = spoken(
            pcm,
            rate,
            start_s=1 + stage * PART_S,
            pts=stage * 1_000_003 if timed else None,
            jitter=jitter,
            seed=stage,
        )
        if stereo and stage % 2:
            part = [frame._replace(pcm=np.stack([frame.pcm, frame.pcm], axis=1)) for frame in part]
        frames += part
    return frames


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("rate_hz", [16000, 44100, 48000])
@pytest.mark.parametrize("stereo", [False, True])
def test_pitch_and_length_are_kept_and_nothing_is_missing(
    rate_hz: int, timed: bool, stereo: bool
) -> None:
    rates = (8000, 48000, 16000, 44100, 24000, 8000)
    recording, report = play(stages(rates, timed=timed, stereo=stereo), 15, rate_hz=rate_hz)
    seconds = len(rates) * PART_S
    wanted = np.zeros(15 * rate_hz)
    turns = np.arange(round(seconds * rate_hz)) / rate_hz
    wanted[rate_hz : rate_hz + len(turns)] = 8000 * np.sin(2 * np.pi * 440 * turns)
    off = np.abs(recording - wanted)
    # Where one resampler ends and the next begins, a filter rings; elsewhere all is exact.
    edge = round(0.005 * rate_hz)
    for stage in range(len(rates) + 1):
        border = round((1 + stage * PART_S) * rate_hz)
        off[border - edge : border + edge] = 0
    assert off.max() <= 8
    assert report.received_s == pytest.approx(seconds)
    assert report.lost_s == 0
    assert report.late_s == 0


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(RATES, 2)))
def test_a_change_leaves_no_gap(before: int, after: int) -> None:
    recording, _ = play(stages((before, after, before)), 9, rate_hz=16000)
    for border_s in (3, 5):
        around = recording[round((border_s - 0.05) * 16000) : round((border_s + 0.05) * 16000)]
        # A tone of 440 Hz is loud in each 5 ms.
        peaks = np.abs(around.reshape(-1, 80)).max(axis=1)
        assert peaks.min() >= 6000


def test_a_change_under_jitter_leaves_no_gap_and_loses_nothing() -> None:
    recording, report = play(
        stages((48000, 16000, 48000, 8000), jitter=uniform(0.01)), 11, rate_hz=48000
    )
    heard = recording[round(1.1 * 48000) : round(8.9 * 48000)]
    peaks = np.abs(heard[: len(heard) // 240 * 240].reshape(-1, 240)).max(axis=1)
    assert peaks.min() >= 6000
    assert report.lost_s == 0
    assert report.received_s == pytest.approx(8, abs=0.05)


def test_a_rate_that_changes_with_every_frame_loses_nothing() -> None:
    frames = [
        Frame(round((1 + i * 0.02) * 1e9), tone(440, 0.02, rate), rate, None)
        for i, rate in enumerate(RATES * 40)
    ]
    recording, report = play(frames, 7, rate_hz=48000)
    assert report.received_s == pytest.approx(4.0, abs=0.001)
    assert recording[48000 : 5 * 48000].any()
    peaks = np.abs(recording[round(1.02 * 48000) : round(4.98 * 48000)].reshape(-1, 240)).max(
        axis=1
    )
    assert peaks.min() >= 1000


def test_equal_channels_come_out_as_they_went_in() -> None:
    speech = noise(1, 3, 48000)
    frames = [
        frame._replace(pcm=np.stack([frame.pcm] * (1 + index % 3), axis=1))
        for index, frame in enumerate(spoken(speech, 48000))
    ]
    recording, _ = play(frames, 5)
    assert np.array_equal(recording[48000 : 4 * 48000], speech)


def test_the_pitch_is_the_same_at_every_rate() -> None:
    for rate in RATES:
        recording, _ = play(spoken(tone(1000, 4, rate), rate), 6, rate_hz=32000)
        wanted = soxr.resample(tone(1000, 4, 96000).astype(np.float64), 96000, 32000, "VHQ")
        middle = slice(32000, 3 * 32000)
        off = np.abs(recording[32000 : 5 * 32000][middle] - wanted[middle])
        assert off.max() <= 4
