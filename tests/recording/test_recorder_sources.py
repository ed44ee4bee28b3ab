"""Sources: pushed from anywhere, or pulled from aiortc tracks."""

from __future__ import annotations

import asyncio
import fractions
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
from aiortc import AudioStreamTrack, MediaStreamTrack, RTCPeerConnection, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.media.frames import pcm_of
from roomtape.types import (
    AudioRecordingPosition,
    AudioRecordingWarning,
    IntervalKind,
    Pcm,
    RecordingEvent,
)
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import StateError
from support.lag import Lag
from support.readers import read_all
from support.signals import noise, offset_of, silence, speech


def scripted(path: Path, **config: object) -> tuple[AudioRecorder, ScriptedClock]:
    clock = ScriptedClock()
    full = AudioRecordingConfiguration(path, **{"sample_rate": 48000, **config})  # type: ignore[arg-type]
    return AudioRecorder(full, clock=clock), clock


async def test_two_sources_pushed_from_threads_are_summed(tmp_path: Path):
    alice_said, bob_said = noise(1, 2.0, dbfs=-14), noise(2, 2.0, dbfs=-14)
    recorder, clock = scripted(tmp_path / "a.wav")
    async with recorder:
        sources = [recorder.add_source(name) for name in ("alice", "bob")]
        for start in range(0, 96000, 4800):
            await clock.advance(0.1)
            threads = [
                threading.Thread(target=source.push, args=(said[start : start + 4800], 48000))
                for source, said in zip(sources, (alice_said, bob_said), strict=True)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert np.array_equal(read_all(tmp_path / "a.wav")[0], alice_said + bob_said)


@pytest.mark.realtime
def test_pushing_never_waits_for_the_event_loop(tmp_path: Path):
    async def main() -> tuple[int, Pcm]:
        pushed = 0
        over = threading.Event()
        async with AudioRecorder(AudioRecordingConfiguration(tmp_path / "a.wav")) as recorder:
            source = recorder.add_source("alice")

            def push() -> None:
                nonlocal pushed
                while not over.wait(0.02):
                    source.push(np.full(640, 500, np.int16), 32000)
                    pushed += 1

            thread = threading.Thread(target=push)
            thread.start()
            await asyncio.sleep(0.2)
            # The loop is blocked until the thread, which is not, has gone on for long enough.
            while pushed < 40:
                time.sleep(0.01)  # noqa: ASYNC251
            over.set()
            thread.join()
        return pushed, read_all(tmp_path / "a.wav")[0]

    pushed, pcm = asyncio.run(main())
    # All of it is there, but for the very last of it, which was yet to be heard.
    assert (pushed - 3) * 640 <= (pcm == 500).sum() <= pushed * 640


async def test_a_source_may_be_added_before_the_start_and_speaks_from_the_start_on(tmp_path: Path):
    recorder, clock = scripted(tmp_path / "a.wav")
    alice = recorder.add_source("alice", local=True)
    alice.push(noise(9, 1.0), 48000)  # nobody records yet: dropped
    await clock.advance(5)
    said = noise(1, 1.0)
    async with recorder:
        alice.push(said, 48000)
        await clock.advance(1)
        alice.close()
        alice.push(said, 48000)  # after its end: dropped
        await clock.advance(1)
    assert np.array_equal(read_all(tmp_path / "a.wav")[0], np.concatenate([said, silence(1)]))
    assert recorder.report is not None
    (report,) = recorder.report.sources
    assert (report.name, report.local) == ("alice", True)
    assert (report.joined_s, report.left_s, report.received_s) == (0, 1, 1)


async def test_positions_on_the_sources_own_clock_place_its_audio(tmp_path: Path):
    said = noise(1, 1.0)
    recorder, clock = scripted(tmp_path / "a.wav")
    async with recorder:
        alice = recorder.add_source("alice")
        # Anchored by what comes first; a gap of 0.1 s; then two frames in the wrong order.
        places = [0, 960, 1920, 1920 + 4800, 8640 + 960, 8640]
        for index, place in enumerate(places):
            pts = 96000 + place
            piece = said[index * 960 : (index + 1) * 960]
            await clock.advance(max(0, place / 48000 - clock.now_ns() / 1e9))
            alice.push(piece, sample_rate=48000, pts=pts)
        alice.push(said[:960], sample_rate=48000, pts=96000)  # a duplicate
        await clock.advance(1.0 - clock.now_ns() / 1e9)
    pcm, _ = read_all(tmp_path / "a.wav")
    wanted = silence(1.0)
    for index, place in enumerate(places):
        wanted[place : place + 960] = said[index * 960 : (index + 1) * 960]
    assert np.array_equal(pcm, wanted)
    assert recorder.report is not None
    (report,) = recorder.report.sources
    assert report.received_s == pytest.approx(6 * 0.02)
    assert report.lost_s == pytest.approx((4800 - 960 + 960 + 0) / 48000, abs=0.03)
    assert report.duplicate_s == pytest.approx(0.02)


async def test_the_report_counts_what_was_done(tmp_path: Path):
    recorder, clock = scripted(tmp_path / "a.wav")
    said = np.full(48000, 16384, np.int16)
    async with recorder:
        await clock.advance(1)
        alice = recorder.add_source("alice")
        for start in range(0, 48000, 960):
            if not 19200 <= start < 28800:  # 0.2 s are lost
                alice.push(said[start : start + 960], 48000, start)
            await clock.advance(0.02)
        alice.set_muted(True)
        await clock.advance(1)
        alice.set_muted(False)
        alice.push(said[:24000], 48000, 96000)
        await clock.advance(0.5)
        alice.close()
        await clock.advance(1)
    assert recorder.report is not None
    (report,) = recorder.report.sources
    assert (report.joined_s, report.left_s) == (1.0, 3.5)
    assert report.received_s == pytest.approx(0.8 + 0.5)
    assert report.lost_s == pytest.approx(0.2)
    assert (report.late_s, report.duplicate_s, report.reanchored) == (0, 0, 0)
    assert report.drift_ppm == 0
    assert report.peak_dbfs == pytest.approx(-6.02, abs=0.01)

    def spans(kind: IntervalKind) -> list[tuple[float, float]]:
        return [
            (round(each.start_s, 2), round(each.end_s, 2))
            for each in report.intervals
            if each.kind is kind
        ]

    assert spans(IntervalKind.LOST) == [(1.4, 1.6)]
    assert spans(IntervalKind.MUTED) == [(2.0, 3.0)]
    assert spans(IntervalKind.ABSENT) == [(0.0, 1.0), (3.5, 4.5)]
    assert spans(IntervalKind.SPOKE)[0][0] == 1.0


@pytest.mark.parametrize(
    ("pcm", "rate", "words"),
    [
        (np.zeros(10, np.int32), 48000, "int32"),
        (np.zeros((2, 2, 2), np.int16), 48000, "shape"),
        (np.zeros((10, 0), np.int16), 48000, "0 channels"),
        (np.zeros(10, np.int16), 0, "sample_rate is 0"),
        (np.zeros(10, np.int16), 10**6, "1000000"),
    ],
    ids=["int32", "three-axes", "no-channel", "rate-0", "rate-1MHz"],
)
async def test_a_bad_push_is_a_value_error_and_harms_nothing(
    tmp_path: Path, pcm: Pcm, rate: int, words: str
):
    recorder, clock = scripted(tmp_path / "a.wav")
    async with recorder:
        alice = recorder.add_source("alice")
        with pytest.raises(ValueError, match=words):
            alice.push(pcm, rate)
        alice.push(np.zeros(0, np.int16), 48000)
        alice.push(np.array([[5, 5]] * 48000, np.int16), 48000)
        await clock.advance(1)
    assert (read_all(tmp_path / "a.wav")[0] == 5).all()


async def test_what_is_pushed_may_be_written_over_at_once(tmp_path: Path):
    recorder, clock = scripted(tmp_path / "a.wav")
    async with recorder:
        alice, buffer = recorder.add_source("alice"), np.zeros(4800, np.int16)
        for value in (100, 200, 300):
            buffer[:] = value
            await clock.advance(0.1)
            alice.push(buffer, 48000)
            buffer[:] = -1
    assert set(read_all(tmp_path / "a.wav")[0].tolist()) == {100, 200, 300}


async def test_a_position_leaves_out_pushed_sources_too(tmp_path: Path):
    recorder, clock = scripted(tmp_path / "a.wav", position=AudioRecordingPosition.MIXED_PLAYBACK)
    async with recorder:
        recorder.add_source("me", local=True).push(np.full(48000, 7, np.int16), 48000)
        recorder.add_source("bob").push(np.full(48000, 9, np.int16), 48000)
        await clock.advance(1)
    assert (read_all(tmp_path / "a.wav")[0] == 9).all()


# -- aiortc tracks --------------------------------------------------------------------------------


class Saying(MediaStreamTrack):
    """Says ``pcm`` in real time, then ends; or fails with ``failure``."""

    kind = "audio"

    def __init__(self, pcm: Pcm, rate: int = 48000, failure: Exception | None = None) -> None:
        super().__init__()
        self._pcm, self._rate, self._at, self._failure = pcm, rate, 0, failure
        self._start = 0.0
        self.over = False

    async def recv(self) -> av.AudioFrame:
        self._start = self._start or time.monotonic()
        await asyncio.sleep(self._start + self._at / self._rate - time.monotonic())
        if self._at >= len(self._pcm):
            self.over = True
            raise self._failure or MediaStreamError
        piece = self._pcm[self._at : self._at + self._rate // 50]
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(piece)[None, :], format="s16", layout="mono"
        )
        frame.sample_rate, frame.time_base = self._rate, fractions.Fraction(1, self._rate)
        frame.pts = self._at
        self._at += len(piece)
        return frame


@pytest.mark.realtime
async def test_a_track_is_recorded_until_it_ends(tmp_path: Path, lag: Lag):
    said = noise(1, 1.0)
    config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=48000)
    async with AudioRecorder(config) as recorder:
        source = recorder.add_track(Saying(said), name="bob")
        failing = recorder.add_track(Saying(silence(0.1), failure=RuntimeError("unplugged")))
        async with asyncio.timeout(120):
            while not (source.closed and failing.closed):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    pcm, _ = read_all(tmp_path / "a.wav")
    begin = int(np.flatnonzero(pcm)[0])
    lag.look()
    assert begin < 4800 + lag.worst_s * 48000
    assert np.array_equal(pcm[begin : begin + len(said)], said[-len(said) :])
    assert recorder.report is not None
    bob = recorder.report.sources[0]
    assert bob.name == "bob"
    assert bob.received_s == pytest.approx(1.0)
    assert bob.left_s == pytest.approx(bob.joined_s + 1.0, abs=0.3 + lag.worst_s)


async def test_a_video_track_is_left_alone_and_told_of(tmp_path: Path):
    events = list[RecordingEvent]()
    config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=48000)
    async with AudioRecorder(config, on_event=events.append, clock=ScriptedClock()) as recorder:
        # As on("track") does it: whatever there is.
        tracks = [recorder.add_track(VideoStreamTrack(), name="bob's camera"), AudioStreamTrack()]
        source = recorder.add_track(tracks[1], name="bob")
        assert not source.closed
        assert tracks[0].closed
        tracks[0].push(np.zeros(10, np.int16), 48000)  # as to any that has left
    (warning,) = [each for each in events if each.code is AudioRecordingWarning.TRACK_IGNORED]
    assert warning.detail == "bob's camera: a video track is not recorded, only audio is"
    assert recorder.report is not None
    assert [each.name for each in recorder.report.sources] == ["bob"]
    assert any("bob's camera" in words for words in recorder.report.warnings)


async def test_a_track_may_be_added_from_another_thread(tmp_path: Path):
    recorder = AudioRecorder(AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=48000))
    failed = list[str]()

    def too_early() -> None:
        try:
            recorder.add_track(AudioStreamTrack())
        except StateError as error:
            failed.append(str(error))

    await asyncio.to_thread(too_early)
    assert failed == [
        "no event loop runs on this thread: before start(), call add_track() where one does"
    ]
    assert not recorder.sources
    async with recorder:
        track = SilentTrack(10)
        bob = await asyncio.to_thread(recorder.add_track, track, name="bob")
        video = await asyncio.to_thread(recorder.add_track, VideoStreamTrack(), name="camera")
        assert video.closed
        async with asyncio.timeout(60):
            while not bob.closed:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert recorder.report is not None
    assert recorder.report.sources[0].name == "bob"
    assert len(recorder.report.warnings) == 1
    with pytest.raises(StateError):
        recorder.add_track(AudioStreamTrack())


class SilentTrack(MediaStreamTrack):
    """So many frames, and the end."""

    kind = "audio"

    def __init__(self, frames: int) -> None:
        super().__init__()
        self._left = frames

    async def recv(self) -> av.AudioFrame:
        if not self._left:
            raise MediaStreamError
        self._left -= 1
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), "s16", "mono")
        frame.sample_rate = 48000
        return frame


@pytest.mark.parametrize("form", ["u8", "s16", "s32", "flt", "dbl"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_frames_of_every_format_become_int16(layout: str, planar: bool, form: str):
    full = {"u8": 128, "s16": 32768, "s32": 2**31, "flt": 1.0, "dbl": 1.0}[form]
    dtype = {"u8": "u1", "s16": "i2", "s32": "i4", "flt": "f4", "dbl": "f8"}[form]
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    steps = np.linspace(-0.5, 0.5, 33)[:, None] * np.linspace(1.0, 0.5, channels)[None, :]
    steps = np.round(steps * 64) / 64  # exact in 8 bits
    data = (steps * full + (128 if form == "u8" else 0)).astype(dtype)
    shaped = data.T if planar else data.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(shaped), format=form + "p" * planar, layout=layout
    )
    wanted = (steps * 32768).astype(np.int16)
    pcm = pcm_of(frame)
    assert pcm.dtype == np.int16
    assert np.array_equal(pcm, wanted[:, 0] if channels == 1 else wanted)


@pytest.mark.network
async def test_an_aiortc_user_swaps_media_recorder_for_it(tmp_path: Path, lag: Lag):
    said = speech("bob", 5.0)
    path = tmp_path / "a.wav"
    recorder = AudioRecorder(AudioRecordingConfiguration(path, sample_rate=48000))
    caller, callee = RTCPeerConnection(), RTCPeerConnection()
    ended = asyncio.Event()

    @callee.on("track")
    def on_track(track: MediaStreamTrack) -> None:
        recorder.add_track(track, name="bob")
        track.on("ended", ended.set)

    mouth = Saying(said)
    caller.addTrack(mouth)
    try:
        await caller.setLocalDescription(await caller.createOffer())
        await callee.setRemoteDescription(caller.localDescription)
        await recorder.start()
        began = time.monotonic()
        await callee.setLocalDescription(await callee.createAnswer())
        await caller.setRemoteDescription(callee.localDescription)
        async with asyncio.timeout(120):
            while not mouth.over:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)  # the last of it is still on its way
        length_s = time.monotonic() - began
        report = await recorder.stop()
    finally:
        await asyncio.gather(caller.close(), callee.close())
    pcm, _ = read_all(path)
    assert abs(len(pcm) / 48000 - length_s) < 0.02 + lag.worst_s
    _, likeness = offset_of(said[: 4 * 48000], pcm, 48000)
    assert likeness > 0.8
    (bob,) = report.sources
    assert bob.name == "bob"
    assert bob.received_s > 4.5
    assert bob.lost_s < 0.2 + lag.late_s


@pytest.mark.network
async def test_the_default_name_of_a_track_is_its_id(tmp_path: Path):
    track = AudioStreamTrack()
    async with AudioRecorder(AudioRecordingConfiguration(tmp_path / "a.wav")) as recorder:
        assert recorder.add_track(track).name == track.id
        track.stop()
