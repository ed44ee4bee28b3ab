"""What may be pushed, and where it stands."""

from __future__ import annotations

import array
import fractions
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from roomtape import AudioFrame
from roomtape.types import (
    IntervalKind,
    Pcm,
)
from support.one_source import RATE, recording
from support.scripted import spans
from support.signals import noise, offset_of


class LiveKitFrame:
    """As ``livekit.rtc.AudioFrame`` has it."""

    def __init__(self, pcm: Pcm, sample_rate: int) -> None:
        self.data = memoryview(bytearray(pcm.tobytes())).cast("h")
        self.sample_rate = sample_rate
        self.num_channels = 1 if pcm.ndim == 1 else pcm.shape[1]
        self.samples_per_channel = len(pcm)


def av_frame(
    pcm: Pcm, sample_rate: int, kind: str = "s16", pts: int | None = None
) -> av.AudioFrame:
    layout = "mono" if pcm.ndim == 1 else "stereo"
    samples = pcm.reshape(1, -1)
    if kind == "fltp":
        samples = np.ascontiguousarray(pcm.reshape(len(pcm), -1).T.astype(np.float32) / 32768)
    frame = av.AudioFrame.from_ndarray(samples, format=kind, layout=layout)
    frame.sample_rate = sample_rate
    if pts is not None:
        frame.pts, frame.time_base = pts, fractions.Fraction(1, 1000)
    return frame


MONO = noise(1, 0.1, RATE, dbfs=-13)
STEREO = np.stack([MONO, MONO], axis=1)

FORMS = {
    "int16": ((MONO, RATE), {}),
    "one channel": ((MONO[:, None], RATE), {}),
    "stereo": ((STEREO, RATE), {}),
    "another byte order": ((MONO.astype(">i2"), RATE), {}),
    "float32": ((MONO.astype(np.float32) / 32768, RATE), {}),
    "float64": ((STEREO / 32768, RATE), {}),
    "interleaved array": ((STEREO.reshape(-1), RATE), {"channels": 2}),
    "interleaved floats": ((STEREO.reshape(-1).astype(np.float32) / 32768, RATE), {"channels": 2}),
    "bytes": ((MONO.tobytes(), RATE), {}),
    "bytearray": ((bytearray(MONO.tobytes()), RATE), {}),
    "memoryview": ((memoryview(MONO.tobytes()), RATE), {}),
    "memoryview of int16": ((memoryview(MONO), RATE), {}),
    "array of the standard library": ((array.array("h", MONO.tolist()), RATE), {}),
    "interleaved bytes": ((STEREO.tobytes(), RATE), {"channels": 2}),
    "a float's rate": ((MONO, 16000.0), {}),
    "NumPy's rates": ((MONO, np.float64(16000)), {}),
    "PyAV": ((av_frame(MONO, RATE),), {}),
    "PyAV, stereo": ((av_frame(STEREO, RATE),), {}),
    "PyAV, planes of floats": ((av_frame(STEREO, RATE, "fltp"),), {}),
    "PyAV, with its rate": ((av_frame(MONO, RATE), RATE), {}),
    "LiveKit": ((LiveKitFrame(MONO, RATE),), {}),
    "LiveKit, stereo": ((LiveKitFrame(STEREO, RATE),), {}),
    "our own": ((AudioFrame(MONO, RATE),), {}),
}


@pytest.mark.parametrize(("args", "options"), FORMS.values(), ids=FORMS)
async def test_each_form_of_audio_is_the_same_audio(
    tmp_path: Path, args: tuple[Any, ...], options: dict[str, Any]
):
    here = await recording(tmp_path)
    bot = here.recorder.add_playout("bot")
    await here.until(0.1)
    here.source.push(*args, **options)
    await here.until(1.0)
    bot.push(*args, **options)
    await here.until(2.0)
    pcm, _ = await here.finish()
    assert np.array_equal(pcm[:1600], MONO)
    assert np.array_equal(pcm[16000:17600], MONO)


@pytest.mark.parametrize(
    ("args", "options", "words"),
    [
        (("audio", RATE), {}, r"of type str; it must be an array .* PyAV or LiveKit"),
        ((None, RATE), {}, "NoneType"),
        (([1, 2, 3], RATE), {}, "of type list"),
        ((MONO.astype(np.int32), RATE), {}, "int32 of shape"),
        ((MONO.astype(np.complex64), RATE), {}, "complex64"),
        ((STEREO.T, RATE), {}, r"1600 channels; the shape must be \(frames, channels\)"),
        ((MONO, None), {}, "sample_rate is None"),
        ((MONO, 16000.5), {}, "sample_rate is 16000.5"),
        ((MONO, float("nan")), {}, "sample_rate is nan"),
        ((MONO, "16000"), {}, "sample_rate is '16000'"),
        ((MONO.tobytes(), None), {}, "sample_rate is None"),
        ((av_frame(MONO, RATE), 48000), {}, "the frame is of 16000 Hz, and sample_rate says 48000"),
        ((MONO, RATE), {"channels": 3}, "1600 samples, which are no whole frames of 3"),
        ((STEREO, RATE), {"channels": 1}, "2 channels, not 1"),
        ((MONO, RATE), {"channels": 0}, "channels is 0"),
        ((MONO, RATE), {"channels": 10**9}, "channels is 1000000000"),
        ((MONO, RATE, 1.5), {}, "pts is 1.5"),
        ((MONO, RATE, 0), {"pts_rate": 0}, "pts_rate is 0; it must be 1 to 1000000000"),
        ((MONO, RATE, 0), {"pts_rate": 1.5}, "pts_rate is 1.5"),
        ((MONO, RATE), {"captured_ns": 10**18}, "cannot have been captured"),
        ((MONO, RATE), {"captured_ns": "now"}, "captured_ns is 'now'"),
        ((MONO, RATE), {"captured_at": datetime(2026, 1, 1)}, "captured_at has no time zone"),
        ((MONO, RATE), {"captured_at": "now"}, "captured_at is 'now'"),
        ((MONO, RATE), {"captured_at": 0.0, "captured_ns": 0}, "give one of them"),
    ],
)
async def test_what_cannot_be_taken_is_one_line_and_harms_nothing(
    tmp_path: Path, args: tuple[Any, ...], options: dict[str, Any], words: str
):
    here = await recording(tmp_path)
    await here.until(0.1)
    with pytest.raises(ValueError, match=rf"^alice: .*{words}") as caught:
        here.source.push(*args, **options)
    assert "\n" not in str(caught.value)
    here.source.push(MONO, RATE)
    pcm, _ = await here.finish()
    assert np.array_equal(pcm, MONO)


async def test_floats_that_are_none_are_silence_and_loud_ones_as_loud_as_can_be(tmp_path: Path):
    here = await recording(tmp_path)
    odd = np.array([np.nan, np.inf, -np.inf, 1.0, -1.0, 2.0, 0.5] * 100, np.float32)
    await here.until(700 / RATE)
    here.source.push(odd, RATE)
    pcm, _ = await here.finish()
    assert pcm[:7].tolist() == [0, 32767, -32768, 32767, -32768, 32767, 16384]


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("chunk", [1, 3, 37, 641])
async def test_bytes_may_be_cut_anywhere(tmp_path: Path, chunk: int, channels: int):
    here = await recording(tmp_path)
    said = np.repeat(MONO[:, None], channels, axis=1).tobytes()
    bot = here.recorder.add_playout("bot")
    for low in range(0, len(said), chunk):
        bot.push(said[low : low + chunk], RATE, channels=channels)
        here.source.push(
            said[low : low + chunk], RATE, pts=low // (2 * channels), channels=channels
        )
    await here.until(1.0)
    pcm, _ = await here.finish()
    assert np.array_equal(pcm[:1600], 2 * MONO)


async def test_an_interrupted_bot_forgets_half_a_sample(tmp_path: Path):
    here = await recording(tmp_path)
    bot = here.recorder.add_playout("bot")
    bot.push(MONO.tobytes()[:-1], RATE)
    bot.clear()
    bot.push(MONO.tobytes(), RATE)
    await here.until(1.0)
    pcm, _ = await here.finish()
    assert np.array_equal(pcm[:1600], MONO)


@pytest.mark.parametrize(
    ("rate_hz", "out_hz", "chunk_s"),
    [
        (8000, 48000, 0.02),
        (8000, 16000, 0.4),
        (8000, 48000, 0.5),
        (16000, 16000, 0.5),
        (16000, 32000, 0.333),
        (44100, 48000, 0.25),
        (48000, 48000, 0.01),
        (48000, 48000, 0.1),
        (48000, 32000, 0.5),
    ],
)
async def test_a_chunk_ended_when_it_was_pushed(
    tmp_path: Path, chunk_s: float, out_hz: int, rate_hz: int
):
    here = await recording(tmp_path, out_hz)
    rng = np.random.default_rng(round(chunk_s * 1000))
    said = np.zeros(6 * rate_hz, np.int16)
    said[rate_hz // 2 :: rate_hz] = 20000
    size = round(chunk_s * rate_hz)
    begun_s = 1.0 + rng.uniform(0, 0.2)
    for low in range(0, len(said), size):
        piece = said[low : low + size]
        await here.until(begun_s + (low + len(piece)) / rate_hz + rng.uniform(0, 0.005))
        here.source.push(piece, rate_hz)
    await here.until(9.0)
    pcm, report = await here.finish()
    for second in range(6):
        at = round((begun_s + second + 0.5) * out_hz)
        around = np.abs(pcm[at - out_hz // 3 : at + out_hz // 3].astype(int))
        assert abs(int(around.argmax()) - out_hz // 3) < 0.02 * out_hz
        assert around.max() > 2000
    assert report.received_s == pytest.approx(6.0, abs=0.001)
    assert (report.lost_s, report.late_s) == (0, 0)


async def test_a_longer_chunk_was_made_before_it_is_heard(tmp_path: Path):
    here = await recording(tmp_path)
    said = noise(2, 3.0, RATE)
    await here.until(1.0)
    here.source.push(said, RATE)
    await here.until(5.0)
    pcm, _ = await here.finish()
    assert np.array_equal(pcm[RATE : 4 * RATE], said)


@pytest.mark.parametrize("chunk_s", [0.02, 0.25, 0.7])
@pytest.mark.parametrize("by", ["captured_ns", "datetime", "time"])
async def test_what_says_when_it_was_heard_stands_there(tmp_path: Path, chunk_s: float, by: str):
    here = await recording(tmp_path)
    await here.until(3.0)
    said = noise(3, 7.0, RATE)
    size = round(chunk_s * RATE)
    rng = np.random.default_rng(1)
    utc_0 = here.clock.utc() - timedelta(microseconds=here.clock.now_ns() / 1000)
    for low in range(0, len(said), size):
        piece = said[low : low + size]
        heard_s = 3.1 + low / RATE
        await here.until(heard_s + len(piece) / RATE + rng.uniform(0.0, 0.05))  # on its way
        match by:
            case "captured_ns":
                given: dict[str, Any] = {"captured_ns": round(heard_s * 1e9)}
            case "datetime":
                given = {"captured_at": utc_0 + timedelta(seconds=heard_s)}
            case _:
                given = {"captured_at": utc_0.timestamp() + heard_s}
        here.source.push(piece, RATE, **given)
    await here.until(12.0)
    pcm, report = await here.finish()
    # The mix waits for long chunks as soon as it has seen one.
    first = 0 if chunk_s < 0.5 else size
    at = round(3.1 * RATE)
    tail = said[first:]
    near = [pcm[at + first + shift : at + len(said) + shift] for shift in (-1, 0, 1)]
    assert any(np.array_equal(each, tail) for each in near)
    assert report.late_s <= (0 if chunk_s < 0.5 else 0.5)


@pytest.mark.parametrize("chunk_s", [0.008, 0.02, 0.1])
async def test_a_clock_that_is_read_late_loses_nothing(tmp_path: Path, chunk_s: float):
    """As PortAudio's is: off by up to 17 ms, for chunks of 8 ms."""
    here = await recording(tmp_path)
    said = noise(3, 7.0, RATE)
    size = round(chunk_s * RATE)
    rng = np.random.default_rng(1)
    for low in range(0, len(said), size):
        piece, heard_s = said[low : low + size], 1.0 + low / RATE
        await here.until(heard_s + len(piece) / RATE + 0.02)
        off_s = rng.uniform(-0.017, 0.017) if low else 0.0
        here.source.push(piece, RATE, captured_ns=round((heard_s + off_s) * 1e9))
    await here.until(9.0)
    pcm, report = await here.finish()
    assert report.lost_s == report.late_s == report.duplicate_s == 0
    first_s, _ = offset_of(said[:RATE], pcm, RATE)
    assert first_s == pytest.approx(1.0, abs=0.002)
    first = round(first_s * RATE)
    assert np.array_equal(pcm[first : first + len(said)], said)


@pytest.mark.parametrize("off_ppm", [-150, 150])
async def test_a_capture_clock_that_runs_off_is_followed(tmp_path: Path, off_ppm: int):
    here = await recording(tmp_path)
    said, size = noise(3, 300.0, RATE), RATE // 10
    for low in range(0, len(said), size):
        heard_s = 1.0 + low / RATE * (1 + off_ppm / 1e6)
        await here.until(heard_s + 0.12)
        here.source.push(said[low : low + size], RATE, captured_ns=round(heard_s * 1e9))
    await here.until(305.0)
    pcm, report = await here.finish()
    assert report.lost_s == report.late_s == report.duplicate_s == 0
    for at_s in (0, 100, 200, 298):
        expected_s = 1.0 + at_s * (1 + off_ppm / 1e6)
        words = said[at_s * RATE : (at_s + 1) * RATE]
        low = round((expected_s - 0.1) * RATE)
        found_s, likeness = offset_of(words, pcm[low : low + round(1.2 * RATE)], RATE)
        assert likeness > 0.5, at_s
        assert found_s == pytest.approx(0.1, abs=0.02), at_s


async def test_a_pause_in_the_capture_is_a_pause(tmp_path: Path):
    here = await recording(tmp_path)
    for heard_s in (1.0, 1.02, 1.04, 1.5, 1.52, 3.0):
        await here.until(heard_s + 0.03)
        here.source.push(MONO[:320], RATE, captured_ns=round(heard_s * 1e9))
    await here.until(5.0)
    pcm, _ = await here.finish()
    for heard_s in (1.0, 1.02, 1.04, 1.5, 1.52, 3.0):
        at = round(heard_s * RATE)
        assert np.array_equal(pcm[at : at + 320], MONO[:320])


@pytest.mark.parametrize("expects_silence", [False, True])
async def test_who_only_listens_is_not_warned_of(tmp_path: Path, expects_silence: bool):
    here = await recording(tmp_path, expects_silence=expects_silence)
    here.source.push(MONO, RATE, 0)
    await here.until(30.0)
    for second in range(30):
        here.source.push(np.zeros(RATE, np.int16), RATE, (30 + second) * RATE, gap_is_silence=True)
        await here.until(31.0 + second)
    await here.finish()
    wanted = [] if expects_silence else ["NO_AUDIO", "SILENT_AUDIO"]
    assert [each.name for each in here.warnings] == wanted


async def test_who_expects_silence_is_not_stalled_in_it(tmp_path: Path):
    here = await recording(tmp_path, expects_silence=True)
    here.source.push(MONO, RATE, 0)
    await here.until(30.0)
    _, report = await here.finish()
    assert not spans(report, IntervalKind.STALLED)


async def test_a_frame_of_pyav_brings_its_timestamp(tmp_path: Path):
    here = await recording(tmp_path)
    for index in (0, 1, 3):
        await here.until(1.0 + index * 0.1)
        here.source.push(av_frame(MONO, RATE, pts=5000 + 100 * index))
    await here.until(3.0)
    pcm, report = await here.finish()
    for index in (0, 1, 3):
        at = RATE + index * 1600
        assert np.array_equal(pcm[at : at + 1600], MONO)
    assert report.lost_s == pytest.approx(0.1)
