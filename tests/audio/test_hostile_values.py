"""Whatever number reaches the core, nothing breaks: no exception, no crash, no endless work."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomtape.audio import arrays
from roomtape.audio.timing.fast_path import Left, fast_path
from roomtape.types import NS_PER_S, AudioFormat, AudioRecordingQuality
from support.scripted import Frame, Part, SoloSession, pcm_of, play, run
from support.signals import noise

if TYPE_CHECKING:
    from roomtape.audio.timing._native import FastPath

RATE = 16000
STEP = RATE // 50

EDGES = [0, 1 << 31, 1 << 32, 1 << 58, 1 << 59, 1 << 60, 1 << 62, 1 << 63, 1 << 64, 10**40, 10**400]
HUGE = sorted({sign * edge + near for edge in EDGES for sign in (1, -1) for near in (-500, -1, 0)})

needs_accelerator = pytest.mark.skipif(arrays.NATIVE is None, reason="the accelerator is not built")


@pytest.mark.parametrize("first_pts", HUGE)
def test_a_stream_may_count_from_anywhere(first_pts: int) -> None:
    voice = noise(1, 2, RATE)
    frames = [
        Frame(at * NS_PER_S // RATE, voice[at : at + STEP], RATE, first_pts + at)
        for at in range(0, len(voice), STEP)
    ]
    recording, report = play(frames, 2, rate_hz=RATE)
    if report.reanchored == 0:
        assert np.array_equal(recording, voice)
    assert report.received_s + report.late_s + report.duplicate_s == pytest.approx(2, abs=0.4)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(HUGE), min_size=1, max_size=6),
    st.lists(st.sampled_from([1, 7, 320, 4000]), min_size=1, max_size=4),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_timestamps_that_leap_about_are_all_accounted_for(
    stamps: list[int], sizes: list[int], calm: int, dice: random.Random
) -> None:
    voice, frames, at, pts = noise(1, 1, RATE), [], NS_PER_S, 0
    for turn in range(60):
        size = sizes[turn % len(sizes)]
        pts = pts + size if dice.randrange(4) < calm else dice.choice(stamps)
        frames.append(Frame(at, voice[:size], RATE, pts))
        at += size * NS_PER_S // RATE
    _, (report,) = run({"a": Part(frames)}, at / NS_PER_S + 1, rate_hz=RATE)
    sent = sum(len(frame.pcm) for frame in frames) / RATE
    accounted = report.received_s + report.late_s + report.duplicate_s
    assert accounted == pytest.approx(sent, abs=1e-6)


@pytest.mark.parametrize(
    "pts", [np.uint32(7), np.int64(-7), np.uint64(2**63 + 7), True, 7.5, float("nan"), "7", None]
)
@pytest.mark.parametrize("rate", [RATE, np.int32(RATE), np.uint16(RATE)])
def test_any_kind_of_number_is_an_integer_or_no_timestamp(pts: object, rate: int) -> None:
    session = new_session()
    track = session.add_source("alice", local=False, joined_ns=0)
    voice = noise(1, 1, RATE)
    for at in range(0, RATE, STEP):
        given = (voice[at : at + STEP], rate, None, at * NS_PER_S // RATE, False)
        if at == 0:
            given = (given[0], rate, pts, 0, False)  # type: ignore[assignment]
        if not track.inbox.offer(*given):
            track.inbox.put(*given)
        session.mix(at * NS_PER_S // RATE)
    assert np.array_equal(pcm_of(b"".join(session.finish(NS_PER_S))), voice)


@pytest.mark.parametrize("rate", [-48000, -1, 0, 1, 5, 999, 1 << 20, 1 << 31, 1 << 63, 10**40])
def test_a_rate_that_is_none_of_audio_is_left_out(rate: int) -> None:
    frames = [Frame(0, noise(1, 1, RATE), RATE, 0), Frame(0, noise(2, 1, RATE), rate, 0)]
    recording, report = play(frames, 2, rate_hz=RATE)
    assert np.array_equal(recording[:RATE], frames[0].pcm)
    assert report.received_s == 1


def test_an_arrival_out_of_all_time_is_no_error() -> None:
    frame = noise(1, 0.1, RATE)
    for arrived_ns in (1 << 63, -(1 << 63), 10**400, -1, 1 << 60):
        session = new_session()
        track = session.add_source("alice", local=False, joined_ns=0)
        for _ in range(4):
            given = (frame, RATE, 0, arrived_ns, False)
            if not track.inbox.offer(*given):
                track.inbox.put(*given)
            session.mix(NS_PER_S // 5)
        session.finish(NS_PER_S)
        track.report(start_ns=0, end_ns=NS_PER_S)


def new_session() -> SoloSession:
    return SoloSession(
        rate_hz=RATE, audio_format=AudioFormat.WAV, quality=AudioRecordingQuality.LOW
    )


# -- the accelerator, asked directly --------------------------------------------------------------


@needs_accelerator
def test_there_is_no_fast_path_that_is_not_whole() -> None:
    kind = arrays.NATIVE.FastPath
    with pytest.raises(TypeError):
        kind.__new__(kind)
    with pytest.raises(TypeError):
        object.__new__(kind)
    good = {"rate_hz": RATE, "block": 160, "late": 1, "untimed_late": 1, "ahead": 1, "keep": 9}
    made = kind(**good, most_pushed=99)
    made.__init__(**good, most_pushed=99)  # does nothing
    made.add_to(np.zeros(0, np.float32))
    assert made.end() == (b"", 0, 0, 0, None)
    for name in (*good, "most_pushed"):
        for bad in (-(1 << 62), 1 << 62):
            with pytest.raises(ValueError, match="within bounds"):
                kind(**{**good, "most_pushed": 99, name: bad})


@needs_accelerator
def test_what_was_released_is_empty_and_can_be_asked_all_the_same() -> None:
    path = fast_path(RATE)
    assert path is not None
    path.open = True
    frame = noise(1, 0.02, RATE)
    path.begin(frame, 0, STEP, 0, 0, None)
    assert path.push(frame, RATE, STEP, 0, False)
    path.place(0)
    for _ in range(2):
        path.release()
        assert not path.open
        assert not path.push(frame, RATE, 2 * STEP, 0, False)
        assert (path.pushed, path.take(), path.heard()) == (0, [], [])
        assert path.place(0) == (Left.UNSURE, None)
        with pytest.raises(ValueError, match="no more than waits"):
            path.add_to(np.zeros(1, np.float32))
        assert path.end()[:2] == (b"", 0)


@needs_accelerator
def test_any_calls_in_any_order_with_any_numbers() -> None:
    """The short form of what was run once, with more than a million calls, under ASan and UBSan."""
    for seed in range(200):
        call_at_random(random.Random(seed), 60)


def call_at_random(dice: random.Random, calls: int) -> None:
    """Call a fast path's methods at random; each gives something, or says what is wrong."""
    made, rate = None, RATE
    for _ in range(calls):
        try:
            if made is None or dice.random() < 0.02:
                rate = dice.choice([1, 8000, RATE, 1 << 19])
                made = fast_path_at_random(dice, rate)
            any_call(dice, made, rate)
        except (ValueError, OverflowError, TypeError, BufferError):
            continue


def fast_path_at_random(dice: random.Random, rate: int) -> FastPath:
    names = ("block", "late", "untimed_late", "ahead", "keep", "most_pushed")
    sizes = {name: dice.choice([0, 1, 7, 160, 3000, dice.choice(HUGE)]) for name in names}
    made: FastPath = arrays.NATIVE.FastPath(rate_hz=rate, **sizes)
    return made


def any_call(dice: random.Random, path: FastPath, rate: int) -> None:
    def number() -> int:
        return dice.choice([0, 1, STEP, dice.choice(HUGE), dice.randrange(-9999, 9999)])

    pcm: Any = dice.choice(
        [
            np.ones(dice.choice([0, 1, STEP, 5000]), np.int16),
            np.ones((dice.choice([0, 3, STEP]), dice.choice([1, 2, 3])), np.int16),
            np.ones(3, np.float32),
            b"12345",
            None,
        ]
    )
    match dice.randrange(14):
        case 0 | 1:
            path.open = True
        case 2 | 3:
            path.push(pcm, rate, dice.choice([None, 7]), dice.randrange(10**12), True)
        case 4:
            path.push(pcm, dice.choice([rate, number()]), number(), number(), False)
        case 5:
            last_at = dice.choice([None, number()])
            path.begin(pcm, number(), number(), number(), number(), last_at)
        case 6:
            path.expect(number(), number())
        case 7:
            path.place(number())
        case 8:
            path.add_to(np.zeros(dice.choice([0, 1, 50, STEP, 9000]), np.float32))
        case 9:
            dice.choice([path.take, path.heard, path.unsent, path.delays, path.end])()
        case 10:
            assert path.pushed >= 0 <= path.level
            assert path.ready_end is not None is not path.last_arrived_ns
            assert path.head is not None
        case 12:
            type(path).place_all([None, path, path, pcm], number())
        case 13:
            total = np.zeros(dice.choice([0, 1, 50, STEP, 9000]), np.float32)
            stop = dice.choice([path.head, number()]) + len(total)
            copies = [np.empty(len(total), np.int16), pcm, pcm][: dice.randrange(4)]
            type(path).add_all([path, pcm, path], total, stop)
            type(path).add_all([path, pcm, path], total, stop, copies)
        case 11 if dice.random() < 0.1:
            path.release()


@needs_accelerator
def test_python_code_that_runs_in_the_midst_of_a_call_finds_it_whole() -> None:
    path = fast_path(RATE)
    assert path is not None
    path.open = True
    frame = noise(1, 0.02, RATE)

    class Meddler:
        def __index__(self) -> int:
            path.push(frame, RATE, 0, 0, False)
            path.release()
            path.open = dice.random() < 0.5
            return RATE

    dice = random.Random(1)
    for _ in range(50):
        path.open = True
        path.push(frame, Meddler(), 0, 0, False)  # type: ignore[arg-type]
        path.push(frame, RATE, Meddler(), Meddler(), False)  # type: ignore[arg-type]
        path.begin(frame, Meddler(), 0, 0, 0, Meddler())  # type: ignore[arg-type]
        path.place(Meddler())  # type: ignore[arg-type]
        path.end()
