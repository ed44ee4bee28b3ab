"""types/bounded.py: a report stays readable, and nothing is lost from its sums."""

from __future__ import annotations

import gc
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from roomtape import (
    AudioRecorder,
    AudioRecordingConfiguration,
    Interval,
    IntervalKind,
    LeftOut,
    RecordingReport,
    SampleCounts,
    SourceReport,
)
from roomtape.audio.source_track import SourceTrack
from roomtape.types.bounded import MOST_INTERVALS, MOST_SOURCES, bounded
from roomtape.types.clock import ScriptedClock
from support.accounts import unaccounted


def stay(number: int, dice: random.Random, intervals: int = 0) -> SourceReport:
    counts = SampleCounts(
        rate_hz=dice.choice([16000, 48000]),
        arrived=0,
        placed=dice.randrange(10**6),
        late=dice.randrange(1000),
        duplicate=dice.randrange(1000),
        after_end=dice.randrange(1000),
        left_out={LeftOut.TOO_FAST: dice.randrange(1, 1000)},
    )
    left_out = counts.left_out[LeftOut.TOO_FAST]
    arrived = counts.placed + counts.late + counts.duplicate + counts.after_end + left_out
    rate = counts.rate_hz
    return SourceReport(
        name=f"visitor {number}",
        local=False,
        joined_s=float(number),
        left_s=number + 1.0,
        received_s=counts.placed / rate,
        lost_s=dice.random(),
        late_s=counts.late / rate,
        duplicate_s=counts.duplicate / rate,
        drift_ppm=1.0,
        reanchored=1,
        peak_dbfs=-dice.random() * 60,
        intervals=tuple(
            Interval(IntervalKind.LOST, at + number / 7, at + number / 7 + dice.random() / 2)
            for at in range(intervals)
        ),
        left_out_s=left_out / rate,
        arrived_s=arrived / rate,
        after_end_s=counts.after_end / rate,
        left_out={LeftOut.TOO_FAST: left_out / rate},
        samples=(
            SampleCounts(
                rate, arrived, counts.placed, counts.late, counts.duplicate, counts.after_end,
                counts.left_out,
            ),
        ),
        dropped_packets=dice.randrange(9),
        error=dice.choice(["", "", "it broke"]),
    )  # fmt: skip


SUMS = (
    *("received_s", "lost_s", "late_s", "duplicate_s", "resent_s", "fec_s", "left_out_s"),
    *("arrived_s", "after_end_s", "reanchored", "dropped_packets", "stays"),
)


@pytest.mark.parametrize("count", [1, MOST_SOURCES, MOST_SOURCES + 1, 1500])
def test_past_a_number_the_rest_is_summed_up_in_one_line(count: int) -> None:
    dice = random.Random(count)
    stays = [stay(number, dice) for number in range(count)]
    listed = bounded(stays)
    assert len(listed) == min(count, MOST_SOURCES)
    for name in SUMS:
        before, after = (sum(getattr(each, name) for each in some) for some in (stays, listed))
        assert after == pytest.approx(before)
    assert not [wrong for each in listed for wrong in unaccounted(each)]
    samples = [each for some in listed for each in some.samples]
    assert sum(each.arrived for each in samples) == sum(each.samples[0].arrived for each in stays)
    if count <= MOST_SOURCES:
        assert listed == tuple(stays)
        return
    *named, others = listed
    assert others.name == f"{count - MOST_SOURCES + 1} others"
    assert others.stays == count - MOST_SOURCES + 1
    assert [each.joined_s for each in named] == sorted(each.joined_s for each in named)
    least = min(each.arrived_s + each.lost_s for each in named)
    gone = {each.name for each in stays} - {each.name for each in named}
    assert all(each.arrived_s + each.lost_s <= least for each in stays if each.name in gone)
    broke = any(each.error for each in stays if each.name in gone)
    assert others.error == ("it broke" if broke else "")


def test_past_a_number_the_shortest_intervals_are_left_out_and_counted() -> None:
    dice = random.Random(1)
    stays = [stay(number, dice, intervals=3000) for number in range(12)]
    listed = bounded(stays)
    kept = [each for source in listed for each in source.intervals]
    assert len(kept) == MOST_INTERVALS
    shortest = min(each.end_s - each.start_s for each in kept)
    for before, after in zip(stays, listed, strict=True):
        left_out, there = {*before.intervals} - {*after.intervals}, {*after.intervals}
        lengths = [each.end_s - each.start_s for each in left_out]
        assert max(lengths) <= shortest
        assert after.unlisted_s == pytest.approx(sum(lengths))
        assert [each for each in before.intervals if each in there] == [*after.intervals]


@pytest.mark.slow
def test_the_largest_report_is_about_a_megabyte() -> None:
    dice = random.Random(2)
    sources = bounded([stay(number, dice, intervals=100) for number in range(3000)])
    report = RecordingReport(
        "/a.wav", "wav", 48000, 1, 3600.0, datetime.now(UTC), 1, 0.0, sources=sources
    )
    assert len(json.dumps(report.as_dict())) < 1_300_000


async def test_a_recording_in_which_1500_came_and_went_has_a_readable_report(
    tmp_path: Path,
) -> None:
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=16000, report=True)
    async with AudioRecorder(config, clock=clock) as recorder:
        honest = recorder.add_source("honest")
        for number in range(1500):
            visitor = recorder.add_source(f"visitor {number}")
            visitor.push(np.full(160, 50, np.int16), 16000, 0)
            visitor.close()
            if number % 15 == 0:
                honest.push(np.full(1600, 500, np.int16), 16000, number // 15 * 1600)
                await clock.advance(0.1)
    assert recorder.report is not None
    assert len(recorder.report.sources) == MOST_SOURCES
    assert recorder.report.sources[0].received_s == 10.0
    assert recorder.report.sources[-1].stays == 1501 - MOST_SOURCES + 1
    assert sum(each.arrived_s for each in recorder.report.sources) == pytest.approx(10 + 15)
    assert (tmp_path / "a.wav.json").stat().st_size < 400_000


@pytest.mark.slow
async def test_a_recording_does_not_grow_with_those_who_come_and_go(tmp_path: Path) -> None:
    """Five a second, for six minutes; who stayed and spoke has an entry, whenever it came."""
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=16000)
    frame = np.full(1600, 500, np.int16)
    async with AudioRecorder(config, clock=clock) as recorder:
        honest = recorder.add_source("honest")
        for number in range(1800):
            visitor = recorder.add_source(f"visitor {number}")
            visitor.push(frame[:160], 16000, 0)
            speaks = number in (100, 1200)
            if speaks:
                visitor.push(np.tile(frame, 30), 16000, 160)
            visitor.close()
            honest.push(frame, 16000, number * 3200)
            honest.push(frame, 16000, number * 3200 + 1600)
            await clock.advance(0.2)
        gc.collect()
        alive = sum(isinstance(each, SourceTrack) for each in gc.get_objects())
        assert alive < 2 * MOST_SOURCES + 600  # those of a minute and a half are needed
        assert len(recorder.sources) <= 2 * MOST_SOURCES
        assert honest in recorder.sources
    assert recorder.report is not None
    *named, others = recorder.report.sources
    assert len(named) + 1 == MOST_SOURCES
    names = {each.name for each in named}
    assert {"honest", "visitor 100", "visitor 1200"} <= names
    assert others.stays == 1801 - len(named)
    assert 0 <= others.joined_s < others.left_s <= recorder.report.duration_s
    arrived_s = sum(each.arrived_s for each in recorder.report.sources)
    assert arrived_s == pytest.approx(360 + 18 + 6)
    assert not [wrong for each in recorder.report.sources for wrong in unaccounted(each)]
