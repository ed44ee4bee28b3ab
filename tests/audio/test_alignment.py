"""Resampling and AAC move nothing: an impulse comes out where it went in, first to last."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from roomtape.types import AudioFormat
from support.scripted import Part, decoded_aac, pcm_of, run, spoken

pytestmark = pytest.mark.slow

MINUTES = 30


def impulse_offsets(
    signal: npt.NDArray[np.generic], rate_hz: int, seconds: range
) -> npt.NDArray[np.int64]:
    """How many samples each second's impulse, half a second after the whole one, is off."""
    seen = np.abs(signal[seconds.start * rate_hz : seconds.stop * rate_hz].astype(np.float32))
    return seen.reshape(-1, rate_hz).argmax(axis=1) - rate_hz // 2


def impulse_each_second(rate_hz: int, seconds: int, peak: int = 20000) -> npt.NDArray[np.int16]:
    train = np.zeros(seconds * rate_hz, np.int16)
    train[rate_hz // 2 :: rate_hz] = peak
    return train


@pytest.mark.parametrize(
    ("rate", "rate_hz"),
    [(48000, 16000), (48000, 32000), (48000, 44100), (44100, 48000), (16000, 44100), (8000, 16000)],
)
@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_impulses_keep_their_place_first_to_last(
    rate: int, rate_hz: int, audio_format: AudioFormat
) -> None:
    # Half an hour at the odd ratio; the others show the same in three minutes.
    minutes = MINUTES if (rate, rate_hz) == (48000, 44100) and audio_format == "wav" else 3
    seconds = minutes * 60
    frames = spoken(impulse_each_second(rate, seconds), rate, start_s=1, frame_s=0.1)
    data, _ = run({"alice": Part(frames)}, seconds + 2, rate_hz=rate_hz, audio_format=audio_format)
    if audio_format is AudioFormat.WAV:
        signal: npt.NDArray[np.generic] = pcm_of(data)
        assert len(signal) == (seconds + 2) * rate_hz
    else:
        signal = decoded_aac(data)
        assert 0 <= len(signal) - (seconds + 2) * rate_hz < 2 * 1024
    offsets = impulse_offsets(signal, rate_hz, range(1, seconds + 1))
    assert np.abs(offsets).max() <= 1


@pytest.mark.parametrize("rate_hz", [16000, 32000, 44100, 48000])
def test_a_rate_that_joins_in_mid_call_is_aligned_to_the_sample(rate_hz: int) -> None:
    rates = {"bob": (44100, 2.0), "carol": (16000, 5.37), "dave": (8000, 9.91), "eve": (48000, 0)}
    for name, (rate, joined_s) in rates.items():
        start = int(joined_s) + 1
        frames = spoken(impulse_each_second(rate, 10), rate, start_s=start)
        parts = {
            "alice": Part(spoken(np.zeros(20 * 24000, np.int16), 24000, start_s=0)),
            name: Part(frames, joined_s=joined_s),
        }
        data, _ = run(parts, 22, rate_hz=rate_hz)
        offsets = impulse_offsets(pcm_of(data), rate_hz, range(start, start + 10))
        assert not offsets.any()


@pytest.mark.parametrize("audio_format", list(AudioFormat))
@pytest.mark.parametrize("ms", [0, 1, 40, 1000, 1001])
def test_a_recording_is_as_long_as_it_ran(audio_format: AudioFormat, ms: int) -> None:
    data, _ = run({}, ms / 1000, rate_hz=48000, audio_format=audio_format)
    samples = 48 * ms
    if audio_format is AudioFormat.WAV:
        assert len(data) == 2 * samples
    elif samples:
        assert 0 <= len(decoded_aac(data)) - samples < 2 * 1024
    else:
        assert data == b""
