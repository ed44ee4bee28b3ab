"""Signals to record, and how to find them again in a recording."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from roomtape.media.voices import load_voice
from roomtape.types import Pcm

Signal = npt.NDArray[np.float64]


def speech(name: str, seconds: float | None = None, rate: int = 48000) -> Pcm:
    """What the voice ``name`` says; cut, or said again and again, where ``seconds`` is given."""
    voice = _voice(name, rate)
    return voice.copy() if seconds is None else np.resize(voice, round(seconds * rate))


@functools.cache
def _voice(name: str, rate: int) -> Pcm:
    """It is decoded once: that takes as long as recording some seconds of it."""
    return load_voice(name, rate)


def silence(seconds: float, rate: int = 48000) -> Pcm:
    """Digital zero."""
    return np.zeros(round(seconds * rate), np.int16)


def tone(hz: float, seconds: float, rate: int = 48000, dbfs: float = -6.0) -> Pcm:
    """A sine whose peak is at ``dbfs``; it begins with phase zero."""
    time_s = np.arange(round(seconds * rate)) / rate
    return np.rint(32767 * 10 ** (dbfs / 20) * np.sin(2 * np.pi * hz * time_s)).astype(np.int16)


def impulses(period_s: float, seconds: float, rate: int = 48000, peak: int = 24000) -> Pcm:
    """One sample of ``peak`` at every multiple of ``period_s``, zero included."""
    train = silence(seconds, rate)
    count = int(np.ceil(seconds / period_s))
    positions = np.rint(np.arange(count) * period_s * rate).astype(int)
    train[positions[positions < len(train)]] = peak
    return train


def noise(seed: int, seconds: float, rate: int = 48000, dbfs: float = -12.0) -> Pcm:
    """White noise, uniform up to ``dbfs``; the same for the same seed."""
    peak = 32767 * 10 ** (dbfs / 20)
    samples = np.random.default_rng(seed).uniform(-peak, peak, round(seconds * rate))
    return np.rint(samples).astype(np.int16)


def offset_of(
    needle: Pcm, haystack: Pcm, rate: int, *, known: npt.NDArray[np.bool_] | None = None
) -> tuple[float, float]:
    """Where ``needle`` stands in ``haystack``.

    Both are mono. The needle may begin before the haystack or end after it.

    Args:
        needle: What is looked for.
        haystack: Where.
        rate: Of both, in Hz.
        known: Which samples of the needle count, as many as it has; all without it.

    Returns:
        The offset in seconds (negative: it began before), and the normalised cross-correlation
        there: 1.0 for the needle itself at any loudness, about 0 where it is not to be found.
    """
    pattern = needle.astype(np.float64) if known is None else needle * known.astype(np.float64)
    around = np.zeros(len(needle))
    field = np.concatenate([around, haystack.astype(np.float64), around])
    places = len(field) - len(pattern) + 1
    products = _sliding_products(field, pattern)[:places]
    if known is None or known.all():
        sums = np.concatenate([[0.0], np.cumsum(field**2)])
        energy = sums[len(needle) :] - sums[:places]
    else:
        energy = _sliding_products(field**2, known.astype(np.float64))[:places]
    norms = np.sqrt(np.maximum(energy, 0.0)) * np.linalg.norm(pattern)
    # Under a window that is nearly silent, rounding of the FFT would count as likeness.
    audible = norms > 1e-5 * norms.max(initial=0.0)
    likeness = np.divide(products, norms, out=np.zeros(places), where=audible)
    best = int(likeness.argmax())
    return (best - len(needle)) / rate, float(likeness[best])


def _sliding_products(field: Signal, window: Signal) -> Signal:
    """The sum of products of ``window`` with what lies under it, at each of its places."""
    # What wraps around lies beyond the places that anybody looks at.
    size = 1 << (len(field) - 1).bit_length()
    spectrum = np.fft.rfft(field, size) * np.conj(np.fft.rfft(window, size))
    return np.fft.irfft(spectrum, size)


def snr_db(reference: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """How far below ``reference`` the difference to ``actual`` is; inf if there is none."""
    wanted, got = np.asarray(reference, np.float64), np.asarray(actual, np.float64)
    assert wanted.shape == got.shape, f"{wanted.shape} cannot be compared with {got.shape}"
    error = float(((got - wanted) ** 2).sum())
    return float("inf") if error == 0 else 10 * float(np.log10((wanted**2).sum() / error))
