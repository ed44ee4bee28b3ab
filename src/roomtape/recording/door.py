"""What a program may push: checked, and turned into our own types, before anything else sees it."""

from __future__ import annotations

import operator
from typing import SupportsIndex

import numpy as np

from ..types import Pcm

RATES_HZ = range(4000, 384001)
MOST_CHANNELS = 32
MOST_PTS = 1 << 62
"""Timestamps beyond it are no position on any clock, and sums with them would not fit 64 bits."""

_INT16 = np.dtype(np.int16)


def checked_frame(pcm: object, sample_rate: object, pts: object) -> tuple[Pcm, int, int | None]:
    """A pushed frame in our own types.

    Args:
        pcm: int16, shape ``(frames,)`` or ``(frames, channels)``, in this machine's byte order.
        sample_rate: Any integer-like number; a float if it is a whole one.
        pts: Any integer-like number, or None.

    Raises:
        ValueError: One of them cannot be taken as such.
    """
    if not isinstance(pcm, np.ndarray):
        raise ValueError(
            f"pushed audio is of type {type(pcm).__name__}; it must be a NumPy array of int16"
        )
    if pcm.dtype != _INT16 or pcm.ndim not in (1, 2):
        raise ValueError(
            f"pushed audio is {pcm.dtype} of shape {pcm.shape}; it must be int16 of shape "
            "(frames,) or (frames, channels)"
        )
    if pcm.ndim == 2 and not 1 <= pcm.shape[1] <= MOST_CHANNELS:
        raise ValueError(
            f"pushed audio has {pcm.shape[1]} channels; the shape must be (frames, channels)"
        )
    return pcm, checked_rate(sample_rate), None if pts is None else _checked_pts(pts)


def checked_rate(given: object) -> int:
    """A sample rate in Hz.

    Raises:
        ValueError: It is none.
    """
    rate = _whole(given)
    if rate is None and isinstance(given, float | np.floating) and given.is_integer():
        rate = int(given)
    if rate is None or rate not in RATES_HZ:
        raise ValueError(
            f"sample_rate is {_short(given)}; it must be {RATES_HZ[0]} to {RATES_HZ[-1]}"
        )
    return rate


def _checked_pts(given: object) -> int:
    pts = _whole(given)
    if pts is None:
        raise ValueError(f"pts is {_short(given)}; it must be a whole number of samples, or None")
    if not -MOST_PTS < pts < MOST_PTS:
        raise ValueError(f"pts is {_short(given)}; no clock has come so far (2**62 is the most)")
    return pts


def _whole(given: object) -> int | None:
    if isinstance(given, SupportsIndex) and not isinstance(given, bool):
        try:
            return operator.index(given)
        except TypeError:  # an array of several, say
            return None
    return None


def _short(given: object) -> str:
    try:
        text = repr(given)
    except Exception as error:  # ten thousand digits, say
        text = f"{type(given).__name__} ({error})"
    return text if len(text) <= 60 else f"{text[:57]}..."
