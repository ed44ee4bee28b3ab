"""A look-ahead peak limiter: it does nothing until the sum exceeds full scale.

The signal is cut into blocks of a millisecond. Each block has the largest gain at which its peak
stays below the ceiling; the gain at a block's borders is no larger than either neighbour allows,
and runs in a straight line between them, so no sample can exceed the ceiling. Five blocks are
looked at in advance, so that the gain comes down in a ramp and not in a step; it recovers
exponentially. Where the gain is 1, samples pass bit by bit.

(The structure is the usual one of a brick-wall limiter: see Giannoulis, Massberg and Reiss,
"Digital Dynamic Range Compressor Design", JAES 60(6), 2012.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .arrays import Samples, is_silence, silence, within_full_scale

_LOOKAHEAD = 5  # blocks of 1 ms: short enough to stay inaudible, long enough not to click
_RELEASE = 1 / 150  # a time constant of 150 ms; shorter ones distort low voices
_CEILING = 0.99  # 0.09 dB below full scale, so that what was limited never looks like clipping
_TRANSPARENT = 0.9999


class Limiter:
    """Feed blocks of any length; the output lags by up to 6 ms until :meth:`flush`."""

    def __init__(self, rate_hz: int) -> None:
        self._block = rate_hz // 1000
        self._waiting = silence(0)
        self._gain = 1.0  # at the border before the first waiting sample
        self.limited_samples = 0
        """How many samples came out turned down."""

    def process(self, samples: Samples) -> Samples:
        """Take ``samples`` in; give out what need not wait any longer."""
        length = len(self._waiting) + len(samples)
        ready = max(0, length // self._block - _LOOKAHEAD)
        if self._gain == 1.0 and is_silence(samples) and is_silence(self._waiting):
            count = ready * self._block
            self._waiting = silence(length - count)
            return silence(count)
        self._waiting = np.concatenate([self._waiting, samples])
        released = self._release(ready)
        if is_silence(samples) and len(samples) >= len(self._waiting):
            self._waiting = silence(len(self._waiting))
        return released

    def flush(self) -> Samples:
        """Give out the rest."""
        missing = -len(self._waiting) % self._block
        end = len(self._waiting)
        self._waiting = np.concatenate(
            [self._waiting, np.zeros(missing + _LOOKAHEAD * self._block, np.float32)]
        )
        rest = self._release((end + missing) // self._block)[:end]
        self._waiting = np.zeros(0, np.float32)
        return rest

    def _release(self, blocks: int) -> Samples:
        if blocks == 0:
            return np.zeros(0, np.float32)
        count = blocks * self._block
        seen = self._waiting[: (blocks + _LOOKAHEAD) * self._block]
        out, self._waiting = self._waiting[:count], self._waiting[count:]
        if self._gain == 1.0 and within_full_scale(seen):
            return out
        gains = self._border_gains(seen.reshape(-1, self._block), blocks)
        self.limited_samples += self._block * int(
            np.count_nonzero(np.minimum(gains[1:], gains[:-1]) < _TRANSPARENT)
        )
        ramp = np.arange(self._block, dtype=np.float32) / self._block
        per_sample = gains[:-1, None] + (gains[1:] - gains[:-1])[:, None] * ramp
        return out * per_sample.reshape(-1).astype(np.float32)

    def _border_gains(self, blocks: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.float64]:
        """The gain at the ``count + 1`` borders of the first ``count`` blocks."""
        high = np.maximum(blocks.max(axis=1), 1).astype(np.float64)
        low = np.maximum(-blocks.min(axis=1), 1).astype(np.float64)
        over = (high > 32767) | (low > 32768)
        allowed = np.where(over, _CEILING * np.minimum(32767 / high, 32768 / low), 1.0)
        # A border comes down in time for each of the blocks ahead of it ...
        borders = np.ones(count)
        for ahead in range(_LOOKAHEAD):
            coming = allowed[1 + ahead : 1 + ahead + count]
            borders = np.minimum(borders, coming + (1 - coming) * (ahead / _LOOKAHEAD))
        # ... and not before the block behind it is over.
        borders = np.minimum(borders, allowed[:count])
        gains = [min(self._gain, float(allowed[0]))]
        for border in borders:
            recovered = gains[-1] + (1 - gains[-1]) * _RELEASE
            gains.append(min(float(border), recovered if recovered < _TRANSPARENT else 1.0))
        self._gain = gains[-1]
        return np.array(gains)
