"""Loops over samples: in C where the accelerator was built, else in NumPy."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from ..types import Pcm

Samples = npt.NDArray[np.float32]
"""Mono, shape ``(frames,)``, in units of int16: full scale is -32768 to 32767."""


NATIVE: Any
"""The accelerator, or None: it was not built, which it is where a C compiler was at hand."""
try:
    NATIVE = import_module(".timing._native", __package__)
except ImportError:
    NATIVE = None


_SILENCE: Samples = np.zeros(1 << 16, np.float32)
_SILENCE.flags.writeable = False


def silence(count: int) -> Samples:
    """So many zeros, which nobody changes: of silence, nothing need be made or copied."""
    return _SILENCE[:count] if count <= len(_SILENCE) else np.zeros(count, np.float32)


def is_silence(samples: Samples | Pcm) -> bool:
    """Whether :func:`silence` gave them; other zeros are not looked for."""
    return samples.base is _SILENCE


def add(total: Samples, pcm: Pcm) -> None:
    """``total += pcm``, for arrays of one length, contiguous both."""
    if NATIVE is not None:
        NATIVE.add(total, pcm)
    else:
        total += pcm.astype(np.float32)  # twice as quick as to let += convert it


def within_full_scale(samples: Samples) -> bool:
    """Whether no sample of a contiguous array is out of int16."""
    if NATIVE is not None:
        within: bool = NATIVE.within_full_scale(samples)
        return within
    return not len(samples) or bool(samples.max() <= 32767 and samples.min() >= -32768)


def round_off(pcm: Pcm, samples: Samples, carried: Samples) -> None:
    """``samples + carried`` as whole numbers in ``pcm``, and in ``carried`` what that leaves. A
    sample that is whole stays as it is, and leaves what is carried to the next one.

    All three have one length, and are contiguous. No sample is out of int16, and of what is carried
    none is more than a half.
    """
    if NATIVE is not None:
        NATIVE.round_off(pcm, samples, carried)
        return
    exact = samples + carried
    is_whole = np.rint(samples) == samples
    whole = np.where(is_whole, samples, np.rint(exact))
    carried[:] = np.where(is_whole, carried, exact - whole)
    pcm[:] = np.clip(whole, -32768, 32767)  # a half too much is one too much


def block_peaks(pcm: Pcm, block: int) -> list[tuple[int, int]]:
    """Of each ``block`` samples, and of the rest: where it ends, and its largest absolute one."""
    starts = range(0, len(pcm), block)
    high, low = np.maximum.reduceat(pcm, starts), np.minimum.reduceat(pcm, starts)
    both = zip(high.tolist(), low.tolist(), strict=True)
    peaks = (max(up, -down) for up, down in both)
    return list(zip([*starts[1:], len(pcm)], peaks, strict=True))


def joined(pieces: list[tuple[int, Pcm | None]]) -> Pcm | None:
    """One behind the other; None, which is So many zeros, if that is all there is."""
    if len(pieces) == 1:
        return pieces[0][1]
    if all(pcm is None for _, pcm in pieces):
        return None
    return np.concatenate(
        [np.zeros(length, np.int16) if pcm is None else pcm for length, pcm in pieces]
    )
