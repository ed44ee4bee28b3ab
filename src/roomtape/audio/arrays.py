"""Loops over samples: in C where the accelerator was built (``_native.c``), else in NumPy."""

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
    NATIVE = import_module("._native", __package__)
except ImportError:
    NATIVE = None


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
