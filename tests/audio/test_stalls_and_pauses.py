"""Senders that stall and burst, and bots that push faster than they speak."""

from __future__ import annotations

import numpy as np
import pytest

from roomtape.types import NS_PER_S, IntervalKind, Pcm
from support.scripted import Frame, play, spans, spoken
from support.signals import noise

RATE = 16000


def pushed(pcm: Pcm, at_s: float, *, frame_s: float = 0.02, pts: int | None = None) -> list[Frame]:
    """All of ``pcm`` at once."""
    frames = spoken(pcm, RATE, frame_s=frame_s, pts=pts)
    return [frame._replace(at_ns=round(at_s * 1e9)) for frame in frames]


@pytest.mark.parametrize("pts", [5000, None])
@pytest.mark.parametrize("stall_s", [0.5, 1.0, 1.5])
def test_a_burst_after_a_stall_lands_where_it_belongs(pts: int | None, stall_s: float) -> None:
    speech = noise(1, 20, RATE)
    until_ns = round((5 + stall_s) * 1e9)
    frames = [
        f._replace(at_ns=until_ns) if 5e9 < f.at_ns < until_ns else f
        for f in spoken(speech, RATE, pts=pts)
    ]
    recording, report = play(frames, 22, rate_hz=RATE)
    # What is lost is what came after its place was mixed; the rest of the burst is in its place.
    mixed_s = 5 + stall_s - 0.3
    assert np.array_equal(recording[RATE : RATE * 5], speech[: RATE * 4])
    back = round(mixed_s * RATE)
    if pts is None:
        back += round(0.2 * RATE)  # one tick to see that the sender keeps pace again
    assert np.array_equal(recording[back : RATE * 21], speech[back - RATE : RATE * 20])
    assert report.reanchored == 0
    assert report.late_s == pytest.approx(report.lost_s)
    assert report.lost_s <= stall_s - 0.3 + (0.2 if pts is None else 0)


@pytest.mark.parametrize("frame_s", [0.02, 0.1, 5.0])
@pytest.mark.parametrize("pts", [None, 7])
def test_an_utterance_pushed_at_once_is_said_when_it_is_pushed(
    frame_s: float, pts: int | None
) -> None:
    first, second = noise(1, 5, RATE), noise(2, 5, RATE)
    frames = pushed(first, 1, frame_s=frame_s, pts=pts)
    frames += pushed(second, 8, frame_s=frame_s, pts=None if pts is None else pts + 7 * RATE)
    recording, report = play(frames, 14, rate_hz=RATE)
    assert np.array_equal(recording[RATE : 6 * RATE], first)
    assert not recording[6 * RATE : 8 * RATE].any()
    assert np.array_equal(recording[8 * RATE : 13 * RATE], second)
    assert report.received_s == 10
    assert report.late_s == 0
    assert pts is not None or report.lost_s == 0


def test_an_utterance_pushed_during_another_follows_it() -> None:
    first, second = noise(1, 5, RATE), noise(2, 5, RATE)
    recording, report = play(pushed(first, 1) + pushed(second, 3), 14, rate_hz=RATE)
    assert np.array_equal(recording[RATE : 11 * RATE], np.concatenate([first, second]))
    assert report.lost_s == 0


def test_a_bot_that_streams_faster_than_it_speaks_keeps_its_words_whole() -> None:
    speech = noise(1, 10, RATE)
    frames = [
        f._replace(at_ns=round(1e9 + i * 5e6), pts=None) for i, f in enumerate(spoken(speech, RATE))
    ]
    recording, _ = play(frames, 13, rate_hz=RATE)
    assert np.array_equal(recording[RATE : 11 * RATE], speech)


def test_pauses_in_the_pushes_stay_pauses() -> None:
    words = [noise(seed, 0.6, RATE) for seed in range(8)]
    starts_s = np.cumsum([1.0, 0.72, 0.8, 1.0, 1.5, 2.0, 4.0, 0.75])
    frames = [
        frame
        for word, start_s in zip(words, starts_s, strict=True)
        for frame in spoken(word, RATE, start_s=start_s, pts=None)
    ]
    recording, report = play(frames, 14, rate_hz=RATE)
    for word, start_s in zip(words, starts_s, strict=True):
        start = round(start_s * RATE)
        assert np.array_equal(recording[start : start + len(word)], word)
    assert report.lost_s == 0
    assert not spans(report, IntervalKind.STALLED)


def test_a_stall_of_our_own_delays_nothing() -> None:
    # A busy machine hands over three seconds at once, all with one arrival time.
    speech = noise(1, 10, RATE)
    frames = [f._replace(at_ns=max(f.at_ns, 4_000_000_000)) for f in spoken(speech, RATE)]
    recording, report = play(frames, 12, rate_hz=RATE)
    assert np.array_equal(recording[4 * RATE : 11 * RATE], speech[3 * RATE :])
    assert report.reanchored == 0


@pytest.mark.parametrize("late_ms", [8, 13, 18])
def test_silence_that_a_clock_is_corrected_in_is_no_loss(late_ms: int) -> None:
    """A listener with DTX, whose first frames came later than the others, is corrected in a pause:
    now and then by more than is left of it, so that comfort noise is left out as well."""
    comfort, left_out = np.random.default_rng(1).integers(-8, 9, RATE * 10).astype(np.int16), 0.0
    for start_ms in range(0, 400, 7):
        frames = [
            frame._replace(gap_is_silence=True)
            for frame in spoken(comfort, RATE, start_s=start_ms / 1000)[::20]
        ]
        for index in range(2):
            late_ns = frames[index].at_ns + late_ms * NS_PER_S // 1000
            frames[index] = frames[index]._replace(at_ns=late_ns)
        _, report = play(frames, 10, rate_hz=RATE)
        assert (report.lost_s, report.late_s) == (0, 0)
        left_out += report.left_out_s
    assert left_out > 0
