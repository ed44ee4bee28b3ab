"""Days, floods, threads: what would only show after the call has gone on for long."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from roomtape.types import NS_PER_S, AudioFormat, AudioRecordingQuality, IntervalKind, Pcm
from support.scripted import Frame, SoloSession, pcm_of, play, shifts_of, spans, spoken, uniform
from support.signals import noise

pytestmark = pytest.mark.slow

RATE = 8000


def resident_bytes() -> int:
    """What the process takes of the machine's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def new_session(rate_hz: int = RATE) -> SoloSession:
    return SoloSession(
        rate_hz=rate_hz, audio_format=AudioFormat.WAV, quality=AudioRecordingQuality.MEDIUM
    )


@pytest.mark.slow
def test_a_day_of_sparse_speech_is_exact_at_its_end_and_takes_no_memory() -> None:
    session = new_session(4000)
    source = session.add_source("alice", local=False, joined_ns=0)
    word = noise(1, 0.1, 4000)
    last_word = noise(2, 0.5, 2000)
    day_s, step_s = 86400, 5
    samples = 0
    tail = b""
    sizes = []
    for at_s in range(step_s, day_s + 1, step_s):
        at_ns = (at_s - 1) * NS_PER_S
        if at_s == day_s:
            source.push(np.repeat(last_word, 4), 8000, None, at_ns, False)
        else:
            source.push(word, 4000, at_s * 4000, at_ns, at_s % 10 == 0)
        units = session.advance(at_s * NS_PER_S)
        samples += sum(len(unit) for unit in units) // 2
        tail = b"".join([tail, *units])[-4 * 4000 :]
        if at_s % (day_s // 6) == 0:
            sizes.append(resident_bytes())
    units = session.finish(day_s * NS_PER_S)
    samples += sum(len(unit) for unit in units) // 2
    tail = b"".join([tail, *units])
    assert samples == day_s * 4000
    shift = shifts_of([(1.0, np.repeat(last_word, 2))], pcm_of(tail)[-8000:], 4000)
    assert np.abs(shift).max() <= 1 / 4000
    assert sizes[-1] - sizes[1] < 5_000_000
    report = source.report(start_ns=0, end_ns=day_s * NS_PER_S)
    assert report.received_s == pytest.approx(0.1 * (day_s // step_s - 1) + 0.5)
    assert len(report.intervals) <= 2000 * len(IntervalKind)


def test_many_losses_keep_a_bounded_book() -> None:
    frames = [
        frame
        for index, frame in enumerate(spoken(np.tile(noise(1, 60, RATE), 20), RATE, frame_s=0.01))
        if index % 3
    ]
    _, report = play(frames, 1202, rate_hz=RATE, tick_s=1.0)
    assert report.lost_s == pytest.approx(400, abs=0.1)
    assert 1 <= len(spans(report, IntervalKind.LOST)) <= 2000
    for kind in IntervalKind:
        ends = [end for _, end in spans(report, kind)]
        assert ends == sorted(ends)


@pytest.mark.parametrize("jitter_s", [0.0, 0.06])
def test_how_often_it_is_mixed_makes_no_difference(jitter_s: float) -> None:
    frames = spoken(noise(4, 20, RATE), RATE, jitter=uniform(jitter_s), seed=1)
    rng = np.random.default_rng(1)
    frames = [frame for frame in frames if rng.random() > 0.1]
    frames += spoken(noise(5, 5, RATE), RATE, start_s=23, pts=None)
    # A placement that is off is corrected between two mixes; this seed's is not.
    reference, report = play(frames, 30, rate_hz=16000)
    assert report.late_s == 0
    for tick_s in (0.05, 0.1, 0.37, 0.5, 1.0):
        other, other_report = play(frames, 30, rate_hz=16000, tick_s=tick_s)
        assert np.array_equal(reference, other)
        assert other_report.lost_s == report.lost_s
        assert other_report.received_s == report.received_s


@pytest.mark.parametrize("pts", [0, None])
def test_a_flood_of_tiny_frames_is_taken_in(pts: int | None) -> None:
    speech = noise(6, 100, RATE)
    frames = [
        frame._replace(at_ns=NS_PER_S) for frame in spoken(speech, RATE, frame_s=0.0025, pts=pts)
    ]
    recording, _ = play(frames, 103, rate_hz=RATE)
    assert np.array_equal(recording[RATE : 101 * RATE], speech)


def test_tiny_frames_under_jitter_are_put_in_order() -> None:
    speech = noise(6, 20, RATE)
    frames = spoken(speech, RATE, frame_s=0.0025, jitter=uniform(0.005))
    recording, report = play(frames, 23, rate_hz=RATE)
    assert speech[RATE:-RATE].tobytes() in recording.tobytes()
    assert report.lost_s == 0


@pytest.mark.parametrize("pts", [0, None])
def test_a_minute_in_one_push_is_taken_in(pts: int | None) -> None:
    speech = noise(6, 60, RATE)
    recording, report = play([Frame(NS_PER_S, speech, RATE, pts)], 65, rate_hz=RATE)
    assert np.array_equal(recording[RATE : 61 * RATE], speech)
    assert report.received_s == 60


def test_what_is_pushed_ahead_is_cut_off_at_the_end() -> None:
    speech = noise(6, 60, RATE)
    recording, _ = play([Frame(NS_PER_S, speech, RATE, None)], 5, rate_hz=RATE)
    assert np.array_equal(recording[RATE:], speech[: 4 * RATE])


def test_frames_without_samples_change_nothing() -> None:
    speech = noise(7, 3, RATE)
    empty = np.zeros(0, np.int16)
    frames = spoken(speech, RATE)
    between = [Frame(frame.at_ns, empty, RATE, frame.pts) for frame in frames]
    recording, report = play(
        [each for pair in zip(between, frames, strict=True) for each in pair], 5, rate_hz=RATE
    )
    assert np.array_equal(recording[RATE : 4 * RATE], speech)
    assert report.reanchored == 0


def test_a_source_that_never_pushes_is_silent() -> None:
    session = new_session()
    source = session.add_source("mute", local=False, joined_ns=0)
    data = session.advance(3 * NS_PER_S) + session.finish(5 * NS_PER_S)
    assert not any(b"".join(data))
    assert len(b"".join(data)) == 2 * 5 * RATE
    report = source.report(start_ns=0, end_ns=5 * NS_PER_S)
    assert (report.received_s, report.lost_s, report.peak_dbfs) == (0, 0, -np.inf)


def test_what_was_pushed_before_leaving_is_recorded_and_what_comes_after_is_not() -> None:
    session = new_session()
    source = session.add_source("alice", local=False, joined_ns=0)
    speech = noise(8, 1, RATE)
    source.push(speech, RATE, 0, 0, False)
    source.leave(NS_PER_S // 10)
    source.leave(NS_PER_S)
    source.push(speech, RATE, RATE, NS_PER_S, False)
    units = session.advance(2 * NS_PER_S) + session.finish(3 * NS_PER_S)
    recording = pcm_of(b"".join(units))
    assert np.array_equal(recording[:RATE], speech)
    assert not recording[RATE:].any()
    assert source.report(start_ns=0, end_ns=3 * NS_PER_S).left_s == 0.1
    assert source.waiting_ns == 0


def test_what_waits_is_known_before_it_is_mixed() -> None:
    session = new_session()
    source = session.add_source("bot", local=False, joined_ns=0)
    source.push(noise(8, 30, RATE), RATE, None, 0, False)
    assert source.waiting_ns == 30 * NS_PER_S
    session.advance(NS_PER_S)
    assert source.waiting_ns == 29 * NS_PER_S


def test_pushing_from_many_threads_loses_nothing() -> None:
    session = new_session()
    count, size = 400, 80
    sources = [session.add_source(str(n), local=False, joined_ns=0) for n in range(6)]
    pieces: list[Pcm] = [np.full(size, 100 + n, np.int16) for n in range(len(sources))]

    def push(index: int) -> None:
        for turn in range(count):
            sources[index].push(pieces[index], RATE, None, turn * size * NS_PER_S // RATE, False)
            if turn % 50 == 0:
                sources[index].set_muted(False, 0)
        sources[index].leave(5 * NS_PER_S)

    threads = [threading.Thread(target=push, args=(n,)) for n in range(len(sources))]
    for thread in threads:
        thread.start()
    units = []
    # The clock stands still: nothing can be late, however the threads are scheduled.
    while any(thread.is_alive() for thread in threads):
        units += session.advance(NS_PER_S // 2)
    units += session.advance(6 * NS_PER_S) + session.finish(7 * NS_PER_S)
    recording = pcm_of(b"".join(units))
    assert (recording[: count * size] == sum(int(piece[0]) for piece in pieces)).all()
    assert not recording[count * size :].any()
