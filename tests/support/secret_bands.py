"""Voices that can be found again in whatever holds them: each says a constant of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

SECRET = -20000
"""What is said while it must not be recorded."""
QUIET = 20
"""What the others say."""
MOST_EPOCHS = 8
"""So many times it can be forgotten, and say something else."""
_WIDTH = 1400  # tones of two masks, and the others
_RUN = 16  # samples; nothing but PCM has so many alike


def band(epoch: int) -> int:
    """What somebody says from one time that it is forgotten to the next."""
    return 5000 + 3500 * (epoch % MOST_EPOCHS)


def holds(data: bytes, value: int) -> bool:
    """Whether that is said anywhere, in one channel or one of two. (In whatever we write, samples
    begin at even bytes; read from odd ones, each voice looks like another.)"""
    words = np.frombuffer(data[: len(data) // 2 * 2], "<i2")
    return any(
        _has_run(np.abs(samples.astype(np.int32) - value) <= _WIDTH)
        for samples in (words, words[0::2], words[1::2])
    )


def who_holds(directory: Path, value: int) -> list[Path]:
    """The files in which that is said."""
    files = [each for each in directory.rglob("*") if each.is_file()]
    return [each for each in files if holds(each.read_bytes(), value)]


def _has_run(near: npt.NDArray[np.bool_]) -> bool:
    if np.count_nonzero(near) < _RUN:
        return False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], near, [False]]).astype(np.int8)))
    return bool(np.max(edges[1::2] - edges[0::2]) >= _RUN)
