"""The accelerator does what Python does, to the sample; :func:`support.scripted.run` compares."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.audio import arrays
from roomtape.audio.downmix import mixed_down
from roomtape.audio.session import RecordingSession
from roomtape.audio.timing.fast_path import Left, fast_path
from roomtape.types import NS_PER_S, AudioFormat, AudioRecordingQuality, IntervalKind, Pcm
from support.examples import examples
from support.scripted import (
    Frame,
    Part,
    SoloSession,
    pcm_of,
    play,
    push,
    run,
    spans,
    spoken,
    uniform,
    without_accelerator,
)
from support.signals import noise

RATE = 16000
STEP = RATE // 50

pytestmark = pytest.mark.skipif(
    arrays.NATIVE is None,
    reason="the accelerator is not built: no C compiler, or no Python headers",
)


def new_path():
    path = fast_path(RATE)
    assert path is not None, "the accelerator is not built"
    path.open = True
    return path


def offer(path, pcm: Pcm, *, rate: int = RATE, pts: int | None = None, at_ns: int = 0) -> bool:
    return path.push(pcm, rate, pts, at_ns, False)


def share_on_fast_path(frames: list[Frame], seconds: int) -> float:
    """The part of the ticks at which the source was on the fast path."""
    seen: list[bool] = []

    def look(session: RecordingSession) -> None:
        timeline = session.sources[0]._timeline
        seen.append(timeline is not None and timeline.on_fast_path)

    run({"alice": Part(frames)}, seconds, rate_hz=RATE, each_tick=look)
    return sum(seen) / len(seen)


def test_what_is_spoken_without_trouble_goes_the_fast_path_from_its_first_second() -> None:
    assert share_on_fast_path(spoken(noise(1, 20, RATE), RATE, start_s=0), 20) > 0.95


def test_it_is_on_the_fast_path_again_after_a_loss() -> None:
    frames = spoken(noise(1, 20, RATE), RATE, start_s=0)
    del frames[500:503]
    assert 0.85 < share_on_fast_path(frames, 20) < 0.97


def test_stereo_goes_the_fast_path_too_and_more_channels_go_the_long_way() -> None:
    left, right, middle = (noise(seed, 4, RATE) // 4 for seed in range(3))
    for channels in ((left, right), (left, right, middle)):
        pcm = np.stack(channels, axis=1)
        frames = [
            Frame(NS_PER_S * at // RATE, pcm[at : at + STEP], RATE, at)
            for at in range(0, len(pcm), STEP)
        ]
        recording, _ = play(frames, 4, rate_hz=RATE)
        assert np.array_equal(recording, mixed_down(pcm))
        assert (share_on_fast_path(frames, 4) > 0.5) == (len(channels) == 2)


@pytest.mark.parametrize(("pace", "fast"), [(1.0, True), (4.0, False)])
def test_who_speaks_stays_on_it_while_the_mixer_falls_behind_but_not_who_pushes_ahead(
    pace: float, fast: bool
) -> None:
    session = SoloSession(
        rate_hz=RATE, audio_format=AudioFormat.WAV, quality=AudioRecordingQuality.LOW
    )
    source, voice = session.add_source("alice", local=False, joined_ns=0), noise(1, 8, RATE)
    units: list[bytes] = []
    for at in range(0, len(voice), STEP):
        at_ns = round(at * NS_PER_S / RATE / pace)
        push(source, Frame(at_ns, voice[at : at + STEP], RATE, None))
        units += session.advance(at_ns // 2)
    assert source.inbox.fast is fast
    units += session.finish(8 * NS_PER_S)
    assert np.array_equal(pcm_of(b"".join(units)), voice)


def test_a_pause_that_was_not_sent_is_no_loss() -> None:
    frames = spoken(noise(1, 8, RATE), RATE, start_s=0)
    frames[200] = frames[200]._replace(gap_is_silence=True)
    del frames[150:200]
    recording, report = play(frames, 8, rate_hz=RATE)
    assert not recording[150 * STEP : 200 * STEP].any()
    assert report.lost_s == 0
    assert len(spans(report, IntervalKind.SPOKE)) == 2


@pytest.mark.parametrize("every_s", [0.04, 0.2, 0.4])
def test_who_listens_and_sends_little_stays_on_it(every_s: float) -> None:
    every = round(every_s * 50)
    frames = spoken(noise(1, 20, RATE), RATE, start_s=0)
    frames = [each._replace(gap_is_silence=True) for each in frames[::every]]
    recording, report = play(frames, 20, rate_hz=RATE)
    expected = noise(1, 20, RATE).reshape(-1, STEP).copy()
    expected[np.arange(len(expected)) % every > 0] = 0
    assert np.array_equal(recording, expected.reshape(-1)[: len(recording)])
    assert not recording[len(expected.reshape(-1)) :].any()
    assert (report.lost_s, report.late_s) == (0, 0)
    assert report.received_s == len(frames) * 0.02
    assert share_on_fast_path(frames, 20) > 0.9


_TROUBLES = (
    "lost",
    "silent",
    "sparse",
    "late",
    "at once",
    "twice",
    "swapped",
    "jump",
    "stereo",
    "other rate",
)


@st.composite
def a_stream(draw: st.DrawFn) -> list[Frame]:
    """Frames as they come from a network, or from a program with a mind of its own."""
    dice = np.random.default_rng(draw(st.integers(0, 2**32)))
    rate = draw(st.sampled_from([8000, 16000, 48000]))
    frames = spoken(
        noise(int(dice.integers(100)), 6, rate),
        rate,
        start_s=draw(st.sampled_from([0.0, 0.013, 1.0])),
        frame_s=draw(st.sampled_from([0.01, 0.02, 0.06])),
        pts=draw(st.sampled_from([0, 5000, None])),
        ppm=draw(st.sampled_from([0, 0, 300])),
    )
    for what in draw(st.lists(st.sampled_from(_TROUBLES), max_size=4)):
        first = int(dice.integers(len(frames)))
        last = first + int(dice.integers(1, 40))
        hurt, by = frames[first:last], float(dice.uniform(0.01, 1.5))
        match what:
            case "lost":
                hurt = hurt[:0]
            case "silent":
                hurt = []
                if last < len(frames):
                    frames[last] = frames[last]._replace(gap_is_silence=True)
            case "sparse":  # a sender with DTX that listens
                every = int(dice.integers(2, 60))
                hurt = [each._replace(gap_is_silence=True) for each in frames[first::every]]
                last = len(frames) if by < 1.0 else min(len(frames), first + 150)
                hurt = [each for each in hurt if each.at_ns < frames[last - 1].at_ns]
            case "late":
                hurt = [each._replace(at_ns=each.at_ns + round(by * NS_PER_S)) for each in hurt]
            case "at once":
                hurt = [each._replace(at_ns=hurt[0].at_ns) for each in hurt]
            case "twice":
                hurt = [each for each in hurt for _ in range(2)]
            case "swapped":
                hurt = [
                    other._replace(at_ns=each.at_ns)
                    for each, other in zip(hurt, hurt[::-1], strict=True)
                ]
            case "jump" if hurt[0].pts is not None:
                jump = round((by - 0.7) * rate)
                frames[first:] = [
                    each._replace(pts=max(0, (each.pts or 0) + jump)) for each in frames[first:]
                ]
                hurt = frames[first:last]
            case "stereo":
                hurt = [each._replace(pcm=_stereo(each.pcm)) for each in hurt]
            case "other rate":
                hurt = [
                    each._replace(rate_hz=24000, pts=None if each.pts is None else 3 * each.pts)
                    for each in hurt
                ]
        frames[first:last] = hurt
    return frames


def _stereo(pcm: Pcm) -> Pcm:
    return pcm if pcm.ndim == 2 else np.stack([pcm, pcm // 3], axis=1)


@pytest.mark.slow
@examples(60)
@given(st.lists(a_stream(), min_size=1, max_size=5), st.sampled_from([0.05, 0.2, 0.4]), st.data())
def test_whatever_comes_python_and_the_accelerator_agree(
    streams: list[list[Frame]], tick_s: float, data: st.DataObject
) -> None:
    parts = {
        str(number): Part(
            frames,
            left_s=data.draw(st.sampled_from([None, 4.0])),
            mutes=data.draw(st.sampled_from([(), ((2.0, True), (3.5, False))])),
        )
        for number, frames in enumerate(streams)
    }
    run(parts, 8, rate_hz=RATE, tick_s=tick_s)


@pytest.mark.parametrize("most_jitter_s", [0, 0.06])
@pytest.mark.parametrize("ppm", [300, -300, 40])
@pytest.mark.parametrize("pauses", [False, True])
def test_a_clock_that_runs_away_is_followed_at_the_same_moments(
    ppm: int, most_jitter_s: float, pauses: bool
) -> None:
    voice = noise(1, 90, RATE) // 4
    if pauses:
        voice.reshape(-1, RATE // 2)[1::3] = 0
    frames = spoken(
        voice, RATE, start_s=0.3, frame_s=0.03, ppm=ppm, jitter=uniform(most_jitter_s), seed=3
    )
    part = {"alice": Part(sorted(frames, key=lambda frame: frame.at_ns))}
    accelerated = run(part, 92, rate_hz=RATE)
    with without_accelerator():
        assert run(part, 92, rate_hz=RATE) == accelerated
    assert accelerated[1][0].drift_ppm == pytest.approx(ppm, abs=20)


def test_meters_and_warnings_are_told_the_same_at_every_tick() -> None:
    voice = (noise(1, 20, RATE) * np.linspace(0.1, 0.9, 20 * RATE)).astype(np.int16)
    voice[5 * RATE : 8 * RATE] = 0
    voice[11 * RATE : 12 * RATE] //= 4000
    frames = spoken(voice, RATE, start_s=0.1)

    def told() -> list[tuple[int, ...]]:
        seen: list[tuple[int, ...]] = []

        def look(session: RecordingSession) -> None:
            for source in session.sources:
                seen.append((source.level, source.last_sound_ns, source.queued_ns))

        run({"alice": Part(frames)}, 20, rate_hz=RATE, each_tick=look)
        return seen

    accelerated = told()
    with without_accelerator():
        assert told() == accelerated
    levels, sounds, _ = zip(*accelerated, strict=True)
    assert len(set(levels)) > 50
    assert len(set(sounds)) > 50


def test_what_other_threads_push_meanwhile_is_all_there() -> None:
    session = SoloSession(
        rate_hz=RATE, audio_format=AudioFormat.WAV, quality=AudioRecordingQuality.LOW
    )
    sources = [session.add_source(str(n), local=False, joined_ns=0) for n in range(4)]
    voices = [noise(n, 8, RATE) // 8 for n in range(4)]
    pushed = [0] * 4
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def talk(index: int) -> None:
        for at in range(0, len(voices[0]), STEP):
            frame, at_ns = voices[index][at : at + STEP], at * NS_PER_S // RATE
            push(sources[index], Frame(at_ns, frame, RATE, at))
            pushed[index] = at

    threads = [threading.Thread(target=talk, args=(n,)) for n in range(4)]
    units: list[bytes] = []
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            units += session.advance(min(pushed) * NS_PER_S // RATE)
    finally:
        sys.setswitchinterval(interval)
    units += session.finish(8 * NS_PER_S)
    assert np.array_equal(pcm_of(b"".join(units)), sum(voices))


def test_only_plain_frames_of_its_rate_are_taken() -> None:
    path, frame = new_path(), noise(1, 0.02, RATE)
    refused = [
        frame.astype(np.int32),
        frame.astype(">i2"),
        frame[::2],
        frame[:0],
        np.stack([frame] * 3, axis=1),
        np.zeros(11 * RATE, np.int16),
        "no audio",
        None,
    ]
    assert not any(offer(path, each) for each in refused)  # type: ignore[arg-type]
    assert not offer(path, frame, rate=48000)
    assert not offer(path, frame, pts=0.5)  # type: ignore[arg-type]
    assert not offer(path, frame, pts=1 << 64)
    assert path.pushed == 0
    assert offer(path, frame)
    path.open = False
    assert not offer(path, frame)
    assert path.pushed == len(frame)


def test_arrivals_are_the_positions_that_python_makes_of_them() -> None:
    path, frame = new_path(), noise(1, 0.02, RATE)
    times_ns = [0, 1, 999_999_999, 10**9, 86_400 * 10**9 + 123_456_789, -1, -(10**9) - 1]
    for at_ns in times_ns:
        assert offer(path, frame, pts=7, at_ns=at_ns)
    taken = path.take()
    assert [at for _, at, _, _ in taken] == [at_ns * RATE // NS_PER_S for at_ns in times_ns]
    assert all(pcm == frame.tobytes() and pts == 7 and not gap for pcm, _, pts, gap in taken)


def test_it_holds_ten_seconds_and_no_more_than_was_read_in_two() -> None:
    path, frame = new_path(), noise(1, 0.5, RATE)
    path.begin(frame, 0, len(frame), 0, 0, None)
    pushed = 0
    while offer(path, frame, pts=len(frame) * (pushed + 1), at_ns=pushed * NS_PER_S // 2):
        pushed += 1
    assert pushed == 20
    assert path.place(10 * RATE) == (Left.NOTHING, (0, -len(frame)))
    total = np.zeros(10 * RATE, np.float32)
    assert not path.add_to(total)
    ends, peaks = zip(*path.heard(), strict=True)
    assert ends == tuple(range(RATE // 10, 10 * RATE + 1, RATE // 10))
    assert max(peaks) == np.abs(frame.astype(int)).max()
    assert path.level == peaks[-1]
    assert path.heard() == []
    assert np.array_equal(total, np.tile(frame, 20))
    kept, read, head, next_pts, _ = path.end()
    assert (read, head, next_pts) == (2 * RATE, 10 * RATE, 21 * len(frame))
    assert kept == np.tile(frame, 5).tobytes()


def test_nothing_is_lost_where_the_ring_goes_round_or_grows() -> None:
    path, dice = new_path(), np.random.default_rng(5)
    said, heard = np.zeros(0, np.int16), 0
    path.begin(said, 0, 0, 0, 0, None)
    for number in range(300):
        for _ in range(3):
            frame = dice.integers(-30000, 30000, (int(dice.integers(1, 4 * STEP)), 2), np.int16)
            pcm = frame if number % 2 else np.ascontiguousarray(frame[:, 0])
            assert offer(path, pcm, pts=len(said), at_ns=0)
            said = np.concatenate([said, mixed_down(pcm) if pcm.ndim == 2 else pcm])
        path.place(0)
        if number % 50 > 19:  # what waits until then is more than there was room for
            stop = min(len(said), heard + 3 * RATE)
            total = np.zeros(stop - heard, np.float32)
            path.add_to(total)
            assert np.array_equal(total, said[heard:stop])
            heard = stop
        if number % 70 == 69:
            kept, read, head, next_pts, last_at = path.end()
            assert (head, next_pts) == (heard, len(said))
            assert kept == said[heard - read :].tobytes()
            assert read == min(heard, 2 * RATE)
            offer(path, said[:STEP], pts=len(said))  # between the two
            said = np.concatenate([said, said[:STEP]])
            path.begin(said[heard:-STEP], heard, next_pts, 0, 0, last_at)
    assert len(said) > 10 * RATE


def test_what_cannot_be_asked_for_is_refused_in_words() -> None:
    path = new_path()
    with pytest.raises(ValueError, match="no more than waits"):
        path.add_to(np.zeros(1, np.float32))
    with pytest.raises(ValueError, match="float32"):
        path.add_to(np.zeros(0, np.float64))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        path.push(np.zeros(3, np.int16))  # type: ignore[call-arg]


def test_nothing_of_it_outlives_its_timeline() -> None:
    frame = noise(1, 0.02, RATE)
    before = sys.getrefcount(frame)
    for _ in range(100):
        path = new_path()
        path.begin(frame, 0, len(frame), 0, 0, 0)
        for number in range(5):
            offer(path, frame, pts=len(frame) * (number + 1), at_ns=number)
        path.place(0)
        path.add_to(np.zeros(len(frame), np.float32))
        path.end()
    assert sys.getrefcount(frame) == before
