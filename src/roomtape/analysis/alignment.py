"""Where in a recording is a voice? By normalised cross-correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import Pcm


@dataclass(frozen=True, slots=True)
class Match:
    """Where a reference fits best.

    Attributes:
        offset_s: Where its first sample stands in the recording.
        score: 0 (nothing alike) to 1 (the same up to loudness), against what is there.
    """

    offset_s: float
    score: float


def find_voice(recording: Pcm, voice: Pcm, rate_hz: int) -> Match:
    """Find ``voice`` in ``recording``, whatever else is in it.

    Args:
        recording, voice: int16, shape ``(frames,)``.
        rate_hz: Of both.
    """
    if not len(recording) or not len(voice) or not recording.any() or not voice.any():
        return Match(0.0, 0.0)
    signal = recording.astype(np.float64)
    template = voice.astype(np.float64)
    size = 1 << (len(signal) + len(template) - 1).bit_length()
    product = np.fft.rfft(signal, size) * np.conj(np.fft.rfft(template, size))
    # Lag k puts the template's first sample at k; negative lags stand at the end of the array.
    correlation = np.roll(np.fft.irfft(product, size), len(template) - 1)
    correlation = correlation[: len(signal) + len(template) - 1]
    lags = np.arange(len(correlation)) - (len(template) - 1)
    power = np.concatenate([[0.0], np.cumsum(signal**2)])
    low = np.clip(lags, 0, len(signal))
    high = np.clip(lags + len(template), 0, len(signal))
    heard = np.sqrt((power[high] - power[low]) * np.sum(template**2))
    # Where hardly anything is heard, the ratio says nothing.
    scores = np.abs(correlation) / np.maximum(heard, 0.05 * heard.max() + 1e-9)
    best = int(scores.argmax())
    return Match(float(lags[best]) / rate_hz, float(scores[best]))
