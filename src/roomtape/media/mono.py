"""Files of any number of channels as one, for mixing.

The weights are those of ITU-R BS.775 for one channel (left and right 0.7071, centre 1, surround
0.5, no low-frequency effects), divided by their sum: so what is the same in all channels comes out
as it went in, and no file exceeds full scale that did not before. Two channels become their mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..audio.arrays import Samples
from ..types import Block, Pcm

Weights = npt.NDArray[np.float32]
"""One for each channel; their sum is 1."""

_FRONT, _CENTRE, _SURROUND = 0.5**0.5, 1.0, 0.5
_WEIGHTS = {
    "FL": _FRONT, "FR": _FRONT, "FC": _CENTRE, "LFE": 0.0, "LFE2": 0.0,
    "BL": _SURROUND, "BR": _SURROUND, "SL": _SURROUND, "SR": _SURROUND, "BC": _FRONT,
    "FLC": _FRONT, "FRC": _FRONT, "DL": _FRONT, "DR": _FRONT,
}  # fmt: skip
# What a file means that does not tell, by the number of its channels.
_USUAL = {
    3: ("FL", "FR", "FC"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}


def mono_weights(channels: int, speakers: Sequence[str] = ()) -> Weights:
    """How much of each channel goes into one.

    Args:
        channels: How many there are.
        speakers: Their names, by FFmpeg; empty where nobody knows. Channels of which any has
            another name than those of BS.775 count alike.
    """
    names = speakers or _USUAL.get(channels, ())
    known = len(names) == channels and all(name in _WEIGHTS for name in names)
    weights = np.array([_WEIGHTS[name] for name in names] if known else [1.0] * channels)
    if not weights.sum():
        weights = np.ones(channels)
    normalised: Weights = (weights / weights.sum()).astype(np.float32)
    return normalised


def mono(block: Pcm | Block, weights: Weights) -> Samples:
    """Mix a block down.

    Args:
        block: int16, or float32 with a full scale of 1.0; shape ``(frames, channels)``.
        weights: Of :func:`mono_weights`.

    Returns:
        float32 in units of int16; not rounded.
    """
    unit = np.float32(1 if block.dtype == np.int16 else 32768)
    if block.shape[1] == 1:
        return block[:, 0].astype(np.float32) * unit
    mixed: Samples = block.astype(np.float32, copy=False) @ (weights * unit)
    return mixed
