"""What the timestamps of a source may count: samples, milliseconds, or nothing that helps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roomtape.types import (
    AudioRecordingWarning,
    IntervalKind,
)
from support.one_source import RATE, recording
from support.scripted import spans
from support.signals import noise

MONO = noise(1, 0.1, RATE, dbfs=-13)


def _stamps(seconds: float, frame_s: float, per_s: int, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    count = round(seconds / frame_s)
    return [
        round(1e6 + index * frame_s * per_s + rng.uniform(-1, 1)) for index in range(count)
    ]  # to whole units, and off by one at times


@pytest.mark.parametrize(
    ("frame_s", "rate_hz"), [(0.02, 8000), (0.02, 48000), (0.03, 16000), (0.1, 16000)]
)
async def test_jitter_of_whole_milliseconds_is_not_loss(
    tmp_path: Path, frame_s: float, rate_hz: int
):
    here = await recording(tmp_path)
    said, size, lost_s = noise(4, 60.0, rate_hz), round(frame_s * rate_hz), 0.0
    for index, stamp in enumerate(_stamps(60, frame_s, 1000, seed=1)):
        await here.until(1.0 + index * frame_s)
        if not 30.0 <= index * frame_s < 31.0:  # a second is lost for good
            piece = said[index * size : (index + 1) * size]
            here.source.push(piece, rate_hz, stamp, pts_rate=1000)
        else:
            lost_s += frame_s
    await here.until(62.0)
    _, report = await here.finish()
    assert report.lost_s == pytest.approx(lost_s, abs=0.011)
    assert report.received_s == pytest.approx(60.0 - lost_s, abs=0.011)
    assert report.duplicate_s < 0.01
    assert not here.warnings


async def test_a_lost_frame_of_twenty_milliseconds_is_seen_in_milliseconds(tmp_path: Path):
    here = await recording(tmp_path)
    said = noise(5, 20.0, RATE)
    for index, stamp in enumerate(_stamps(20, 0.02, 1000, seed=2)):
        await here.until(1.0 + index * 0.02)
        if index % 50 != 49:
            here.source.push(said[index * 320 : index * 320 + 320], RATE, stamp, pts_rate=1000)
    await here.until(22.0)
    _, report = await here.finish()
    assert report.lost_s == pytest.approx(19 * 0.02, abs=0.08)
    assert len(spans(report, IntervalKind.LOST)) >= 18


@pytest.mark.parametrize(
    ("per_s", "ratio", "guess"),
    [(1000, 0.0625, "1000"), (90000, 5.625, "90000"), (8000, 0.5, "8000"), (48000, 3, "48000")],
)
async def test_timestamps_in_wrong_units_are_told_and_not_used(
    tmp_path: Path, per_s: int, ratio: float, guess: str
):
    here = await recording(tmp_path)
    said = noise(6, 20.0, RATE)
    for index in range(1000):
        await here.until(1.0 + index * 0.02)
        pts = 77000 + round(index * 0.02 * per_s)
        here.source.push(said[index * 320 : index * 320 + 320], RATE, pts)
    await here.until(22.0)
    pcm, report = await here.finish()
    assert here.warnings == [AudioRecordingWarning.TIMESTAMPS]
    (warning,) = [each for each in here.events if each.code in AudioRecordingWarning]
    assert f"advance by {ratio:.4g} for each sample" in warning.detail
    assert f"pts_rate={guess}" in warning.detail
    assert any("advance by" in words for words in here.whole.warnings)
    # All but the first moments are as they were said.
    tail = said[2 * RATE : 19 * RATE]
    near = [pcm[3 * RATE + shift : 20 * RATE + shift] for shift in range(-340, 20)]
    assert any(np.array_equal(each, tail) for each in near)
    assert report.received_s > 19.4


async def test_timestamps_that_stand_still_are_told(tmp_path: Path):
    here = await recording(tmp_path)
    for index in range(100):
        await here.until(1.0 + index * 0.02)
        here.source.push(noise(index, 0.02, RATE), RATE, 0)
    _, report = await here.finish()
    assert here.warnings == [AudioRecordingWarning.TIMESTAMPS]
    assert report.received_s > 1.6


async def test_right_units_said_are_right(tmp_path: Path):
    here = await recording(tmp_path)
    said = noise(6, 20.0, RATE)
    for index in range(1000):
        await here.until(1.0 + index * 0.02)
        pts = 77000 + round(index * 0.02 * 90000)
        here.source.push(said[index * 320 : index * 320 + 320], RATE, pts, pts_rate=90000)
    await here.until(22.0)
    pcm, report = await here.finish()
    assert np.array_equal(pcm[RATE : 21 * RATE], said)
    assert not here.warnings
    assert report.lost_s == 0


@pytest.mark.parametrize("loss", [0.1, 0.5])
async def test_loss_is_not_taken_for_wrong_units(tmp_path: Path, loss: float):
    here = await recording(tmp_path)
    rng = np.random.default_rng(3)
    for index in range(1000):
        await here.until(1.0 + index * 0.02)
        if rng.random() >= loss:
            here.source.push(noise(index, 0.02, RATE), RATE, index * 320)
    await here.until(22.0)
    _, report = await here.finish()
    assert not here.warnings
    assert report.lost_s == pytest.approx(20 * loss, abs=1.0)


async def test_every_other_frame_is_loss_and_no_wrong_unit(tmp_path: Path):
    here = await recording(tmp_path)
    for index in range(0, 1000, 2):
        await here.until(1.0 + index * 0.02)
        here.source.push(noise(index, 0.02, RATE), RATE, index * 320)
    _, report = await here.finish()
    assert not here.warnings
    assert report.lost_s > 9
