"""How a source ends: what is let go, and that one which fails does so alone."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from roomtape.types import NS_PER_S, AudioFormat, AudioRecordingQuality, IntervalKind, Pcm
from support.scripted import Frame, SoloSession, pcm_of, push, spans, without_accelerator
from support.signals import noise

RATE = 16000
STEP = RATE // 50


def new_session(rate_hz: int = RATE) -> SoloSession:
    return SoloSession(
        rate_hz=rate_hz, audio_format=AudioFormat.WAV, quality=AudioRecordingQuality.LOW
    )


def speak(track, voice: Pcm, session: SoloSession, *, rate: int = RATE, from_ns: int = 0):
    units, step = [], rate // 50
    for at in range(0, len(voice), step):
        at_ns = from_ns + at * NS_PER_S // rate
        push(track, Frame(at_ns, voice[at : at + step], rate, at))
        if at // step % 10 == 9:
            units += session.advance(at_ns)
    return units


@pytest.mark.parametrize("accelerated", [True, False])
def test_who_has_left_takes_no_memory_but_for_the_report(accelerated: bool) -> None:
    if not accelerated:
        with without_accelerator():
            assert kept_by_each(40) < 100_000
    else:
        assert kept_by_each(40) < 100_000


def kept_by_each(count: int) -> int:
    """Bytes that a source which has left still takes."""
    session, voice = new_session(48000), noise(1, 2, 48000)
    speak(session.add_source("first", local=False, joined_ns=0), voice, session, rate=48000)
    now_ns = 2 * NS_PER_S
    tracemalloc.start()
    try:
        before = resident_kib()
        python_before = tracemalloc.get_traced_memory()[0]
        for number in range(count):
            track = session.add_source(str(number), local=False, joined_ns=now_ns)
            speak(track, voice, session, rate=48000, from_ns=now_ns)
            now_ns += 2 * NS_PER_S
            track.leave(now_ns)
            session.advance(now_ns)
        del track
        now_ns += NS_PER_S
        session.advance(now_ns)
        gc.collect()
        python = tracemalloc.get_traced_memory()[0] - python_before
        assert [each.report(start_ns=0, end_ns=now_ns).received_s for each in session.sources[1:]]
        return python // count + max(0, (resident_kib() - before) * 1024 - python) // count
    finally:
        tracemalloc.stop()


def resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "RssAnon" in line)


def test_nothing_is_taken_any_more_when_the_recording_is_over() -> None:
    session = new_session()
    track = session.add_source("alice", local=False, joined_ns=0)
    speak(track, noise(1, 1, RATE), session)
    session.finish(NS_PER_S)
    push(track, Frame(NS_PER_S, noise(1, 1, RATE), RATE, None))
    assert track.waiting_ns == 0
    assert not track.inbox.fast


@pytest.mark.parametrize("accelerated", [True, False])
def test_a_bot_that_is_ten_minutes_ahead_costs_what_it_says_and_not_what_waits(
    accelerated: bool,
) -> None:
    if not accelerated:
        with without_accelerator():
            assert copied_ahead() < 2_000_000
    else:
        assert copied_ahead() < 2_000_000


def copied_ahead() -> int:
    """The most bytes that a tick takes, while ten minutes wait and pieces come between ticks."""
    session, piece = new_session(), noise(1, 0.4, RATE)
    track = session.add_source("bot", local=True, joined_ns=0)
    for _ in range(1500):
        push(track, Frame(0, piece, RATE, None))
    session.advance(NS_PER_S)
    most = 0
    tracemalloc.start()
    try:
        for tick in range(5, 30):
            if tick % 2:
                push(track, Frame(tick * NS_PER_S // 5, piece, RATE, None))
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            session.advance(tick * NS_PER_S // 5)
            most = max(most, tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return most


# -- failing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ticks", [0, 1, 30])
def test_a_source_that_fails_ends_alone_and_is_reported(ticks: int) -> None:
    session = new_session()
    alice = session.add_source("alice", local=False, joined_ns=0)
    bob = session.add_source("bob", local=False, joined_ns=0)
    voice, units = noise(1, 8, RATE) // 2, []
    for turn in range(40):
        for at in range(turn * RATE // 5, (turn + 1) * RATE // 5, STEP):
            for track in (alice, bob):
                push(track, Frame(at * NS_PER_S // RATE, voice[at : at + STEP], RATE, at))
        if turn == ticks:
            for _ in range(2):
                bob.fail("broken", turn * NS_PER_S // 5)
                bob.fail("broken again", 7 * NS_PER_S)
            assert bob.waiting_ns == 0
            assert bob.level == 0
        units += session.advance((turn + 1) * NS_PER_S // 5)
    bob.set_muted(True, 8 * NS_PER_S)
    bob.leave(8 * NS_PER_S)
    units += session.finish(8 * NS_PER_S)
    heard = pcm_of(b"".join(units))
    # What was mixed of bob until then stays; afterwards there is only alice.
    silent_from = max(0, ticks * RATE // 5)
    assert np.array_equal(heard[silent_from:], voice[silent_from:])
    report = bob.report(start_ns=0, end_ns=8 * NS_PER_S)
    assert report.error == "broken"
    assert report.left_s == pytest.approx(ticks / 5)
    assert spans(report, IntervalKind.ABSENT) == [(ticks / 5, 8.0)]
    assert alice.report(start_ns=0, end_ns=8 * NS_PER_S).error == ""
    assert alice.report(start_ns=0, end_ns=8 * NS_PER_S).received_s == 8


def test_a_source_whose_timeline_is_broken_fails_alone_and_reports() -> None:
    session = new_session()
    track = session.add_source("alice", local=False, joined_ns=0)
    speak(track, noise(1, 2, RATE), session)
    (timeline,) = (voice for group in session._mixer._groups.values() for voice in group.voices)

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    for name in ("close", "keep_books", "ingest", "ingest_pushed"):
        setattr(timeline, name, broken)
    push(track, Frame(2 * NS_PER_S, noise(2, 0.02, RATE), RATE, pts=0))  # nothing goes on with that
    session.advance(2 * NS_PER_S)
    assert session.failures == [
        "alice is no longer recorded: internal error: RuntimeError('broken')"
    ]
    track.fail("the first reason counts", 2 * NS_PER_S)
    assert timeline.done
    session.advance(3 * NS_PER_S)
    session.finish(4 * NS_PER_S)
    report = track.report(start_ns=0, end_ns=4 * NS_PER_S)
    assert (report.error, report.left_s) == ("internal error: RuntimeError('broken')", 2.0)
    assert track.last_sound_ns <= 4 * NS_PER_S


@pytest.mark.parametrize("when", ["closing", "reading on"])
def test_a_source_that_breaks_when_it_has_left_can_fail_as_well(when: str) -> None:
    session = new_session()
    track = session.add_source("alice", local=False, joined_ns=0)
    bob = session.add_source("bob", local=False, joined_ns=0)
    speak(track, noise(1, 2, RATE), session)
    voices = next(iter(session._mixer._groups.values())).voices
    (timeline,) = voices

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    track.leave(2 * NS_PER_S)
    if when == "closing":
        timeline.close = broken
        with pytest.raises(RuntimeError):
            track.close(2 * NS_PER_S)
    else:
        track.close(2 * NS_PER_S)
    track.fail("it broke", 3 * NS_PER_S)
    assert timeline.done
    del session._open[track]
    session.advance(3 * NS_PER_S)
    assert timeline not in [v for g in session._mixer._groups.values() for v in g.voices]
    assert track.report(start_ns=0, end_ns=3 * NS_PER_S).left_s == 2
    assert bob.error == ""


def test_a_source_may_fail_from_any_thread_while_it_is_pushed_to_and_mixed() -> None:
    for seed in range(20):
        session = new_session()
        tracks = [session.add_source(str(n), local=False, joined_ns=0) for n in range(3)]
        voice, over = noise(seed, 2, RATE) // 4, threading.Event()

        def talk(track=tracks[0], voice=voice, over=over) -> None:
            for at in range(0, len(voice), STEP):
                push(track, Frame(at * NS_PER_S // RATE, voice[at : at + STEP], RATE, at))
            over.wait()

        def fail(track=tracks[0], over=over) -> None:
            track.fail("enough", NS_PER_S)
            over.set()

        threads = [threading.Thread(target=work) for work in (talk, fail, fail)]
        for thread in threads:
            thread.start()
        for tick in range(10):
            session.advance(tick * NS_PER_S // 5)
        for thread in threads:
            thread.join()
        session.finish(2 * NS_PER_S)
        assert tracks[0].waiting_ns == 0
        assert tracks[0].report(start_ns=0, end_ns=2 * NS_PER_S).error == "enough"
