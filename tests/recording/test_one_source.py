"""One source's odd value or failure is its own: the others are as if it had not been there."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from roomtape import (
    AudioFrame,
    AudioRecorder,
    AudioRecordingConfiguration,
    AudioRecordingWarning,
    ErrorCode,
)
from roomtape.audio.timing.placing.placement import Placement
from roomtape.audio.timing.timeline import Timeline
from roomtape.types import IntervalKind, RecordingEvent
from roomtape.types.clock import ScriptedClock
from support.readers import read_all
from support.scripted import without_accelerator
from support.scripted_call import FINISH, START, joined_call
from support.signals import noise

pytestmark = pytest.mark.slow

RATE = 48000
STEP = RATE // 50


class _NoRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


TAKEN_RATES: list[Any] = [
    48000,
    48000.0,
    np.int32(48000),
    np.uint16(48000),
    np.int64(48000),
    np.float32(48000),
    np.array(48000),
]
REFUSED_RATES: list[Any] = [
    None, "48000", 48000.5, math.nan, math.inf, True, 0, -48000, 10**400, np.int8(7), [48000],
    np.array([48000, 1]), _NoRepr(),
]  # fmt: skip
TAKEN_PTS: list[Any] = [np.uint32, np.int32, np.int64, np.uint64, np.uint16, int]
REFUSED_PTS: list[Any] = [
    1.5, math.nan, math.inf, "7", 10**400, -(10**400), 2**63 - 1, 2**63, -(2**63), 1 << 62,
    np.uint64(2**64 - 1), np.float64(3.25), [1], object(), True, _NoRepr(),
]  # fmt: skip
REFUSED_AUDIO: list[Any] = [
    None, [1, 2, 3], "\0\0", np.zeros(960, np.int32), np.zeros((2, 2, 2), np.int16),
    np.zeros((960, 0), np.int16), np.zeros((10, 33), np.int16), np.zeros(960, complex), np.int16(3),
]  # fmt: skip


async def recorded_beside(path: Path, odd: Any) -> tuple[np.ndarray, np.ndarray, Any, list]:
    """What alice said and what of it was recorded, while ``odd(source, number)`` pushes as bob."""
    said, events = noise(1, 3.0) // 4, list[RecordingEvent]()
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(path, sample_rate=RATE)
    async with AudioRecorder(config, clock=clock, on_event=events.append) as recorder:
        alice, bob = recorder.add_source("alice"), recorder.add_source("bob")
        for number in range(150):
            alice.push(said[number * STEP : (number + 1) * STEP], RATE, number * STEP)
            odd(bob, number)
            await clock.advance(0.02)
    assert [event.code for event in events if event.code in (START, FINISH)] == [START, FINISH]
    assert recorder.report is not None
    assert recorder.report.error == ""
    return said, read_all(path)[0], recorder.report, events


@pytest.mark.parametrize("rate", TAKEN_RATES, ids=repr)
async def test_a_rate_of_any_integer_like_type_is_taken(rate: Any, tmp_path: Path):
    voice = noise(2, 3.0) // 4

    def push(bob, number):
        bob.push(voice[number * STEP : (number + 1) * STEP], rate, number * STEP)

    said, heard, report, _ = await recorded_beside(tmp_path / "a.wav", push)
    assert np.array_equal(heard, said + voice)
    assert [source.received_s for source in report.sources] == [3.0, 3.0]


@pytest.mark.parametrize("kind", TAKEN_PTS, ids=repr)
async def test_a_timestamp_of_any_integer_like_type_is_taken(kind: Any, tmp_path: Path):
    voice = noise(2, 3.0) // 4
    most = 2**16 if kind is np.uint16 else 2**31

    def push(bob, number):
        pts = kind((number * STEP) % most)
        bob.push(voice[number * STEP : (number + 1) * STEP], RATE, pts)

    said, heard, report, _ = await recorded_beside(tmp_path / "a.wav", push)
    assert report.sources[1].lost_s < 0.4
    if kind is not np.uint16:
        assert np.array_equal(heard, said + voice)
        assert report.sources[1].received_s == 3.0


@pytest.mark.parametrize("accelerated", [True, False])
@pytest.mark.parametrize("what", ["rate", "pts", "audio"])
async def test_what_cannot_be_taken_is_a_value_error_and_harms_nobody(
    what: str, accelerated: bool, tmp_path: Path
):
    frame = np.full(STEP, 3000, np.int16)
    odd = {"rate": REFUSED_RATES, "pts": REFUSED_PTS, "audio": REFUSED_AUDIO}[what]
    refused = 0

    def push(bob, number):
        nonlocal refused
        value = odd[number % len(odd)]
        pcm, rate, pts = frame, RATE, None
        match what:
            case "rate":
                rate = value
            case "pts":
                pts = value
            case _:
                pcm = value
        with pytest.raises(ValueError, match="bob: "):
            bob.push(pcm, rate, pts)
        refused += 1

    if accelerated:
        said, heard, report, _ = await recorded_beside(tmp_path / "a.wav", push)
    else:
        with without_accelerator():
            said, heard, report, _ = await recorded_beside(tmp_path / "a.wav", push)
    assert refused == 150
    assert np.array_equal(heard, said)
    assert report.sources[1].received_s == 0


@pytest.mark.parametrize("edge", [2**62 - 1, -(2**62) + 1, 2**61, -1, 2**32, 2**53 + 1])
@pytest.mark.parametrize("accelerated", [True, False])
async def test_extreme_timestamps_that_are_taken_harm_nobody(
    edge: int, accelerated: bool, tmp_path: Path
):
    frame = np.full(STEP, 3000, np.int16)

    def push(bob, number):
        bob.push(frame, RATE, edge if number % 3 else number * STEP)

    def steady(bob, number):
        with np.errstate(all="raise"):
            pts = edge + number * STEP
            if abs(pts) < 2**62:
                bob.push(frame, RATE, pts)

    for number, way in enumerate((push, steady)):
        path = tmp_path / f"{number}.wav"
        if accelerated:
            said, heard, report, _ = await recorded_beside(path, way)
        else:
            with without_accelerator():
                said, heard, report, _ = await recorded_beside(path, way)
        assert len(heard) == 3 * RATE
        rest = heard.astype(int) - said
        assert set(np.unique(rest)) <= {0, 3000}
        assert report.sources[0].received_s == 3.0
        assert report.sources[0].error == ""


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (Timeline, "ingest"),
        (Timeline, "add_to"),
        (Timeline, "close"),
        (Placement, "feed"),
        (Placement, "settle"),
    ],
)
async def test_an_error_inside_one_source_ends_that_source_alone(
    owner: type, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.CRITICAL)
    working = getattr(owner, name)
    marked: list[object] = []
    frame = np.full(STEP, 3000, np.int16)

    def fails(self, *args, **kwargs):
        if self in marked and len(marked) == 1:
            raise ZeroDivisionError("a defect")
        return working(self, *args, **kwargs)

    def push(bob, number):
        if number < 149:
            bob.push(frame[: STEP - number % 2], RATE, None)
        timeline = bob._track._timeline
        if number == 60 and timeline is not None:
            marked.append(timeline if owner is Timeline else timeline._placement)

    with without_accelerator(), patch.object(owner, name, fails):
        said, heard, report, events = await recorded_beside(tmp_path / "a.wav", push)
    assert marked
    assert len(heard) == len(said)
    rest = heard.astype(int) - said
    assert set(np.unique(rest)) <= {0, 3000}  # alice is there to the sample
    assert rest[: RATE // 2].any()
    alice, bob = report.sources
    assert (alice.error, alice.received_s) == ("", 3.0)
    assert "ZeroDivisionError" in bob.error
    if name != "close":
        assert [event.code for event in events].count(AudioRecordingWarning.SOURCE_FAILED) == 1
        assert any("bob is no longer recorded" in words for words in report.warnings)
        assert not rest[2 * RATE :].any()


async def test_a_room_that_hands_out_odd_frames_bricks_nothing(tmp_path: Path):
    said = noise(1, 2.0)
    async with joined_call() as call:
        call.room.enter("carol")
        await call.engine.start_audio_recording(str(tmp_path / "a.wav"), RATE)
        call.room.speak("bob", said, RATE)
        for rate in TAKEN_RATES[1:] + REFUSED_RATES:
            call.room.send("carol", AudioFrame(np.zeros(STEP, np.int16), rate))
        for pts in REFUSED_PTS:
            call.room.send("carol", AudioFrame(np.zeros(STEP, np.int16), RATE, pts))
        for pcm in REFUSED_AUDIO:
            call.room.send("carol", AudioFrame(pcm, RATE))
        await call.clock.advance(2)
        assert await call.engine.stop_audio_recording() is ErrorCode.OK
        assert await call.engine.leave_channel() is ErrorCode.OK
    assert np.array_equal(read_all(tmp_path / "a.wav")[0], said)


def test_a_configuration_of_numpy_numbers_is_one_of_plain_integers(tmp_path: Path):
    config = AudioRecordingConfiguration(
        tmp_path / "a.wav",
        sample_rate=np.int32(48000),
        quality=np.int64(2),
        position=np.uint8(1),
        cycle_time=np.int16(60),
    )
    checked = config.checked()
    assert {type(value) for value in (checked.sample_rate,)} == {int}
    assert (checked.sample_rate, checked.quality, checked.position, checked.cycle_time) == (
        48000,
        2,
        1,
        60,
    )
    assert AudioRecorder(config).config == checked


async def test_who_was_heard_once_as_the_recording_began_and_then_no_more_is_stalled(
    tmp_path: Path,
):
    """The frame came before the recording began, and was handed over when it had."""
    clock = ScriptedClock()
    await clock.advance(5)
    recorder = AudioRecorder(AudioRecordingConfiguration(tmp_path / "a.wav"), clock=clock)
    source = recorder.add_source("alice")
    await recorder.start()
    came_ns = clock.now_ns() - 4_000_000
    source.push(np.full(640, 1000, np.int16), 32000, 7000, captured_ns=came_ns)
    await clock.advance(13)
    (report,) = (await recorder.stop()).sources
    assert report.received_s == pytest.approx(0.016)
    (stall,) = [each for each in report.intervals if each.kind is IntervalKind.STALLED]
    assert (stall.start_s, stall.end_s) == (pytest.approx(0.016, abs=0.001), 13)
