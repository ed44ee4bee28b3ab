"""Several channels to one."""

from __future__ import annotations

import numpy as np

from ..types import Pcm


def mixed_down(pcm: Pcm) -> Pcm:
    """The mean of the channels; where they are equal, each sample comes out as it went in.

    Args:
        pcm: int16, shape ``(frames,)`` or ``(frames, channels)``.

    Returns:
        int16, shape ``(frames,)``.
    """
    if pcm.ndim == 1:
        return pcm
    if pcm.shape[1] == 1:
        return pcm[:, 0]
    if pcm.shape[1] == 2:
        # int32 keeps the sum; the shift is exact where left and right are equal.
        mono: Pcm = ((pcm[:, 0].astype(np.int32) + pcm[:, 1]) >> 1).astype(np.int16)
    else:
        mono = np.rint(pcm.mean(axis=1)).astype(np.int16)
    return mono
