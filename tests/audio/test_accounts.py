"""Every second received is accounted for, whatever comes: placed, late, twice, behind the end, or
left out for a reason. (That the sum comes out even is looked at in every test: tests/conftest.py.)
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape import SourceReport
from roomtape.audio.account import Total
from roomtape.types import NS_PER_S, AudioFormat, AudioRecordingQuality, FrameOrigin, LeftOut
from support.accounts import arrived, unaccounted
from support.examples import examples
from support.scripted import Frame, Part, SoloSession, play, push, run, spoken
from support.signals import noise

RATE = 16000
STEP = RATE // 50


def counts(report: SourceReport) -> dict[str, int]:
    """Of a source of one rate, what is not 0."""
    (only,) = report.samples
    found = {
        "placed": only.placed,
        "late": only.late,
        "duplicate": only.duplicate,
        "after_end": only.after_end,
        **only.left_out,
    }
    return {what: samples for what, samples in found.items() if samples}


def test_all_that_is_spoken_in_time_is_placed() -> None:
    _, report = play(spoken(noise(1, 3, RATE), RATE, start_s=0), 4, rate_hz=RATE)
    assert counts(report) == {"placed": 3 * RATE}
    assert (report.arrived_s, report.received_s, report.left_out_s) == (3, 3, 0)


def test_what_is_behind_the_end_of_the_file_is_said_to_be() -> None:
    """A bot pushes all at once, and is broken off."""
    _, report = play([Frame(0, noise(1, 60, RATE), RATE, 0)], 25, rate_hz=RATE)
    assert counts(report) == {"placed": 25 * RATE, "after_end": 35 * RATE}
    assert (report.arrived_s, report.after_end_s, report.left_out) == (60, 35, {})


def test_what_belongs_before_the_start_is_left_out() -> None:
    frames = [Frame(0, noise(1, 1, RATE)[at : at + STEP], RATE, at) for at in range(0, RATE, STEP)]
    early = [*frames[25:], *[frame._replace(at_ns=NS_PER_S // 10) for frame in frames[:25]]]
    _, report = play(early, 3, rate_hz=RATE)
    assert sum(counts(report).values()) == RATE
    assert counts(report).get(LeftOut.BEFORE_START, 0) + counts(report).get("placed", 0) > 0


def test_what_comes_twice_counts_once() -> None:
    frames = spoken(noise(1, 2, RATE), RATE, start_s=0)
    _, report = play([each for frame in frames for each in (frame, frame)], 3, rate_hz=RATE)
    assert counts(report) == {"placed": 2 * RATE, "duplicate": 2 * RATE}


def test_what_comes_too_late_is_late() -> None:
    frames = spoken(noise(1, 4, RATE), RATE, start_s=0)
    late = [
        frame._replace(at_ns=frame.at_ns + NS_PER_S) if 50 <= number < 60 else frame
        for number, frame in enumerate(frames)
    ]
    _, report = play(late, 6, rate_hz=RATE)
    assert counts(report) == {"placed": 4 * RATE - 10 * STEP, "late": 10 * STEP}


def test_what_a_room_left_out_has_arrived_all_the_same() -> None:
    session = new_session()
    track = session.add_source("alice", local=False, joined_ns=0)
    push(track, Frame(0, noise(1, 1, RATE), RATE, 0))
    track.count_origin(FrameOrigin.SENT, RATE, RATE, 3 * RATE)
    session.mix(2 * NS_PER_S)
    session.finish(2 * NS_PER_S)
    report = track.report(start_ns=0, end_ns=2 * NS_PER_S)
    assert counts(report) == {"placed": RATE, LeftOut.TOO_FAST: 3 * RATE}
    assert report.left_out == {LeftOut.TOO_FAST: 3.0}


def test_what_a_fast_clock_said_more_than_there_was_time_for_is_squeezed_out() -> None:
    frames = spoken(noise(1, 60, RATE), RATE, start_s=0, ppm=400)
    _, report = play(frames, 59.5, rate_hz=RATE)
    assert report.received_s <= 59.5
    assert report.left_out[LeftOut.CLOCK] > 0.005


def test_each_rate_has_its_own_account() -> None:
    frames = [
        *spoken(noise(1, 2, RATE), RATE, start_s=0),
        *spoken(noise(2, 2, 44100), 44100, start_s=2),
        *spoken(noise(3, 2, RATE), RATE, start_s=4, pts=900_000),
    ]
    _, report = play(frames, 7, rate_hz=RATE)
    assert arrived(report) == {RATE: 4 * RATE, 44100: 2 * 44100}
    assert report.received_s == pytest.approx(6, abs=0.05)


@pytest.mark.parametrize("at_s", [0.1, 1.0, 3.3])
def test_a_source_that_fails_has_lost_what_was_not_mixed(at_s: float) -> None:
    session = new_session()
    track = session.add_source("alice", local=False, joined_ns=0)
    for frame in spoken(noise(1, 5, RATE), RATE, start_s=0):
        if frame.at_ns % (NS_PER_S // 5) == 0:
            session.mix(frame.at_ns)
        if frame.at_ns == round(at_s * NS_PER_S):
            track.look = None  # type: ignore[assignment]  # calling it fails
            session.mix(frame.at_ns)
        push(track, frame)
    session.finish(5 * NS_PER_S)
    report = track.report(start_ns=0, end_ns=5 * NS_PER_S)
    assert report.error
    assert not unaccounted(report)
    assert report.arrived_s == pytest.approx(at_s)
    assert report.left_out[LeftOut.FAILED] <= 0.72


def new_session() -> SoloSession:
    return SoloSession(
        rate_hz=RATE, audio_format=AudioFormat.WAV, quality=AudioRecordingQuality.LOW
    )


# -- whatever comes -------------------------------------------------------------------------------


@st.composite
def speech(draw: st.DrawFn) -> Part:
    """A participant who does a few things that can go wrong, one after the other."""
    frames: list[Frame] = []
    at_ns, pts = draw(st.integers(0, 2 * NS_PER_S)), draw(st.integers(0, 2**32))
    rate = draw(st.sampled_from([RATE, 48000]))
    voice = noise(1, 3, 48000)
    timed = draw(st.sampled_from([True, True, False]))
    for _ in range(draw(st.integers(1, 6))):
        size = draw(st.sampled_from([rate // 100, rate // 50, rate // 50 + 7, rate // 3]))
        count = draw(st.integers(1, 40))
        pace = draw(st.sampled_from([1.0, 1.0, 1.0005, 1.1, 2.0, 50.0, 0.8]))
        what = draw(
            st.sampled_from(
                ["go on", "restart", "leap", "hold up", "twice", "shuffle", "loss", "rate", "back"]
            )
        )
        match what:
            case "restart":
                pts = draw(st.integers(0, 2**32))
            case "leap":
                pts += draw(st.integers(-4 * rate, 8 * rate))
            case "back":
                pts -= draw(st.integers(1, rate))
            case "loss":
                pts += size * draw(st.integers(1, 80))
                at_ns += size * NS_PER_S // rate
            case "rate":
                rate = 48000 if rate == RATE else RATE
        run_of: list[Frame] = []
        for _ in range(count):
            pcm = voice[:size] if what != "go on" else voice[size : 2 * size]
            silence = what == "loss" and not run_of and draw(st.booleans())
            run_of.append(Frame(at_ns, pcm, rate, pts if timed else None, silence))
            pts += size
            at_ns += round(size * NS_PER_S / rate / pace)
        match what:
            case "hold up":
                held = draw(st.integers(1, 3 * NS_PER_S))
                run_of = [each._replace(at_ns=max(each.at_ns, at_ns + held)) for each in run_of]
                at_ns = max(at_ns, run_of[-1].at_ns)
            case "twice":
                run_of += [each._replace(at_ns=at_ns) for each in run_of]
            case "shuffle":
                dice = draw(st.randoms(use_true_random=False))
                times = [each.at_ns for each in run_of]
                dice.shuffle(run_of)
                run_of = [each._replace(at_ns=at) for each, at in zip(run_of, times, strict=True)]
        frames += run_of
    left_s = draw(st.none() | st.floats(0, at_ns / NS_PER_S))
    return Part(frames, joined_s=0.0, left_s=left_s)


@pytest.mark.slow
@examples(80)
@given(
    st.lists(speech(), min_size=1, max_size=3), st.floats(0.05, 1.2), st.sampled_from([RATE, 44100])
)
def test_whatever_comes_is_accounted_for(parts: list[Part], share: float, out_hz: int) -> None:
    """With the accelerator and without it, to the sample."""
    last_ns = max(frame.at_ns for part in parts for frame in part.frames)
    seconds = min(30.0, max(0.2, share * last_ns / NS_PER_S))
    names = {str(number): part for number, part in enumerate(parts)}
    _, reports = run(names, seconds, rate_hz=out_hz)
    for report in reports:
        assert not unaccounted(report)
        assert report.received_s <= seconds + 0.001  # each rate is cut at a sample of its own


@examples(300)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=30), st.integers(0, 500))
def test_a_total_is_cut_where_it_is_asked_for(steps: list[tuple[int, int]], end: int) -> None:
    total, said, at = Total(1000), np.zeros(2000, bool), 0
    for gap, length in steps:
        at += gap
        total.add(at, at + length)
        said[at : at + length] = True
        at += length
    assert total.sum == said.sum()
    assert total.until(end) == said[:end].sum()
