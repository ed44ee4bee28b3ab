"""Digital silence is not encoded; what follows is, byte by byte, what it would have been."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from roomtape.audio import aac
from roomtape.audio.aac import AacEncoder
from roomtape.audio.arrays import Samples, is_silence, silence
from roomtape.audio.encoder import PcmEncoder
from roomtape.audio.limiter import Limiter
from roomtape.types import AudioRecordingQuality
from support.signals import noise, speech

RATES_HZ = (16000, 32000, 44100, 48000)
PAUSES_S = (0.0, 0.05, 0.2, 0.31, 1.0, 7.3)


def pieces(rate_hz: int, channels: int) -> list[Samples]:
    """Speech and silence in turn, from silence to silence, in pieces of odd lengths."""
    dice, made = np.random.default_rng(rate_hz), [silence(round(2.7 * rate_hz))]
    for name, pause_s in zip(itertools.cycle(("alice", "bob")), PAUSES_S, strict=False):
        said = speech(name, 1.1, rate_hz).astype(np.float32)
        made += [said, np.zeros(round(pause_s * rate_hz), np.float32)]
    whole = np.concatenate([*made, silence(rate_hz)])
    if channels == 2:
        whole = np.stack([whole, np.roll(whole, rate_hz)], axis=1)
    cuts = np.cumsum(dice.integers(1, rate_hz // 2, 200))
    return [each for each in np.split(whole, cuts[cuts < len(whole)]) if len(each)]


def encoded(rate_hz: int, quality: AudioRecordingQuality, signal: list[Samples]) -> list[bytes]:
    channels = 1 if signal[0].ndim == 1 else signal[0].shape[1]
    made = AacEncoder(rate_hz, quality, channels=channels)
    return [unit for samples in signal for unit in made.encode(samples)] + made.finish()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("quality", AudioRecordingQuality)
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_aac_is_the_same_bytes(
    rate_hz: int,
    quality: AudioRecordingQuality,
    channels: int,
    monkeypatch: pytest.MonkeyPatch,
):
    signal = pieces(rate_hz, channels)
    without = encoded(rate_hz, quality, signal)
    monkeypatch.setattr(aac, "_SETTLES", 1 << 60)
    assert without == encoded(rate_hz, quality, signal)


def test_a_long_silence_is_not_encoded(monkeypatch: pytest.MonkeyPatch):
    made = AacEncoder(32000, AudioRecordingQuality.MEDIUM)
    encode, frames = made._encode_frames, []

    def counted(signal: Samples) -> list[bytes]:
        frames.append(len(signal) // 1024)
        return encode(signal)

    monkeypatch.setattr(made, "_encode_frames", counted)
    units = [unit for _ in range(100) for unit in made.encode(silence(32000))]
    assert len(units) == 100 * 32000 // 1024 - 2  # its priming, and one that is still in it
    assert sum(frames) == aac._SETTLES


def test_an_encoder_that_does_not_settle_goes_on_encoding(monkeypatch: pytest.MonkeyPatch):
    """As another version of it might."""
    made, numbers = AacEncoder(32000, AudioRecordingQuality.MEDIUM), itertools.count()
    monkeypatch.setattr(
        made,
        "_encode_frames",
        lambda signal: [bytes([next(numbers)]) for _ in range(len(signal) // 1024)],
    )
    assert made.encode(silence(40 * 1024)) == [bytes([number]) for number in range(40)]


@pytest.mark.parametrize("channels", [1, 2])
def test_pcm_is_the_same_bytes(channels: int):
    signal = pieces(48000, channels)
    known = [silence(len(each)) if not each.any() and channels == 1 else each for each in signal]
    made, other = PcmEncoder(48000, channels=channels), PcmEncoder(48000, channels=channels)
    units = [unit for samples in known for unit in made.encode(samples)] + made.finish()
    plain = [unit for samples in signal for unit in other.encode(samples.copy())] + other.finish()
    assert units == plain


def test_a_limiter_passes_silence_as_it_would_pass_zeros():
    loud = noise(1, 0.5, 48000).astype(np.float32) * 9
    signal = [
        silence(5000),
        silence(7),
        loud,
        silence(100),
        silence(3000),
        loud,
        *[silence(48000)] * 3,
    ]
    one, other = Limiter(48000), Limiter(48000)
    mine = [*map(one.process, signal), one.flush()]
    theirs = [*(other.process(each.copy()) for each in signal), other.flush()]
    assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
    assert one.limited_samples == other.limited_samples > 0
    assert is_silence(mine[0])
    assert not is_silence(mine[3])
    assert is_silence(mine[-2])
