"""What is saved of a recording at any moment equals the same stretch of the whole."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import numpy as np
import pytest

from roomtape import RecordingReport
from support.saved_parts import (
    FRAME,
    RATE,
    Take,
    decoded,
    frames_of,
    report_beside,
    samples_of,
)
from support.scripted_recording import listing

pytestmark = pytest.mark.slow

TAKE_S = 1200  # twenty minutes are enough for two hundred saves to stand everywhere in a ring
SAVES = 200
CYCLE_S = 10
SHORTEST_S = {"wav": 0.0001, "aac": 0.3}  # FFmpeg opens no ADTS file of one frame


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_saves_at_200_random_moments_of_a_take_equal_the_whole(suffix: str, tmp_path: Path):
    chance = random.Random(suffix)
    take = Take()
    live = await take.record(tmp_path / f"live.{suffix}")
    cyclic = await take.record(tmp_path / f"cyclic.{suffix}", cycle_time=CYCLE_S)
    moments = sorted(chance.uniform(0.001, TAKE_S) for _ in range(SAVES))
    asked: list[tuple[Path, int, float, float, asyncio.Task[RecordingReport]]] = []
    for number, moment_s in enumerate(moments):
        await take.go_on(moment_s - take.clock.now_ns() / 1e9)
        last_s = chance.choice([SHORTEST_S[suffix], 1, 10, 30, chance.uniform(0.3, 12)])
        then_s = chance.choice([0, 0, 0.3, chance.uniform(0, 12)])
        for recorder in (live, cyclic):
            path = tmp_path / f"{recorder.path.stem}-{number}.{suffix}"
            saving = recorder.save(path, last_s=last_s, then_s=then_s)
            asked.append((path, take.now, last_s, then_s, asyncio.ensure_future(saving)))
        await asyncio.sleep(0)
    await take.go_on(TAKE_S - take.clock.now_ns() / 1e9)
    await take.stop()
    whole = tmp_path / f"live.{suffix}"
    samples = samples_of(whole) if suffix == "wav" else decoded(whole)
    frames = frames_of(whole) if suffix == "aac" else []
    for path, now, last_s, then_s, task in asked:
        report = await task
        start, stop = now - round(last_s * RATE), min(now + round(then_s * RATE), len(samples))
        first = max(0, start, now - CYCLE_S * RATE if "cyclic" in path.name else 0)
        if suffix == "wav":
            assert np.array_equal(samples_of(path), samples[first:stop]), path
            missing = round((last_s + then_s) * RATE) - (stop - first)
            assert report.missing_s * RATE == pytest.approx(missing, abs=1)
        else:
            at, end = first // FRAME, -(-stop // FRAME)
            first = at * FRAME
            saved = frames_of(path)
            assert saved[1:] == frames[at + 1 : end], path
            assert np.array_equal(decoded(path)[FRAME:], samples[first + FRAME : end * FRAME]), path
        assert report.skipped_s * RATE == pytest.approx(first, abs=1e-3)
        assert report.bytes_written == path.stat().st_size
        assert report_beside(path) == json.loads(json.dumps(report.as_dict()))
    assert not [each for each in listing(tmp_path) if each.suffix in (".part", ".ring")]
