"""Brings quiet and loud speakers together before they are summed.

How loud somebody speaks is measured as in ITU-R BS.1770-5: the signal is K-weighted, its mean
square taken over blocks, and only blocks count that are above an absolute gate, and not more than
10 LU below what has counted so far. Blocks are of a tenth of a second, and weighted by their
spectrum. So that a fan is not taken for a voice, a block must also stand out from the quietest one
of the last seconds (the idea of Martin's minimum statistics, IEEE Trans. SAP 9(5), 2001).

The gain goes slowly to where that loudness would be -23 LUFS (EBU R 128), while somebody speaks;
in pauses it stays. It is made of samples alone: in how many pieces they come makes no difference.
"""

from __future__ import annotations

import math
from collections import deque
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .arrays import Samples
from .mixing.mixer import Voice

TARGET_LUFS = -23.0
MOST_GAIN_DB = 18.0
"""Up or down: a voice that needs more is nearly noise, or clipped."""
STEP_DB = 0.5
"""In a block: 5 dB in a second of speech."""
BLOCK_HZ = 10
_OFFSET_DB = -0.691  # of BS.1770: a sine of 997 Hz at full scale is at -3.01 LKFS
_GATE = 10 ** ((-55.0 - _OFFSET_DB) / 10)  # the absolute one; a microphone's noise is below
_RELATIVE_GATE = 0.1
_ABOVE_FLOOR = 10**0.9
_FLOOR_BLOCKS = 5 * BLOCK_HZ
_FIRST_BLOCKS = 5
"""So much speech is heard before anything is turned up or down."""
_REMEMBERED_BLOCKS = 10 * BLOCK_HZ


class Level:
    """What is known of one participant's loudness, at whatever rate it speaks."""

    def __init__(self) -> None:
        self.gain_db = 0.0
        """What it is to be turned up by."""
        self._recent = deque[float](maxlen=_FLOOR_BLOCKS)
        self._speech = 0.0  # mean square
        self._blocks = 0

    def hear(self, mean_square: float) -> float:
        """Take in one block of a tenth of a second.

        Args:
            mean_square: K-weighted; of full scale, 1.

        Returns:
            The gain at the end of the next block, in dB.
        """
        self._recent.append(mean_square)
        if self._is_speech(mean_square):
            self._blocks += 1
            share = 1 / min(self._blocks, _REMEMBERED_BLOCKS)
            self._speech += (mean_square - self._speech) * share
            if self._blocks >= _FIRST_BLOCKS:
                wanted = TARGET_LUFS - (_OFFSET_DB + 10 * math.log10(self._speech))
                wanted = min(max(wanted, -MOST_GAIN_DB), MOST_GAIN_DB)
                self.gain_db += min(max(wanted - self.gain_db, -STEP_DB), STEP_DB)
        return self.gain_db

    def _is_speech(self, mean_square: float) -> bool:
        floor = min(self._recent)
        return mean_square > max(_GATE, _RELATIVE_GATE * self._speech, _ABOVE_FLOOR * floor)


class LevelledVoice:
    """A voice, turned up or down by its level. Positions and lengths stay as they are.

    Args:
        voice: Read by this one alone.
        level: The participant's, who may have had other voices before.
    """

    steady = None

    def __init__(self, voice: Voice, level: Level) -> None:
        self._voice = voice
        self._level = level
        self.rate_hz = voice.rate_hz
        self._size = voice.rate_hz // BLOCK_HZ
        self._block = np.zeros(self._size, np.float32)
        self._weights = _k_weights(self._size, voice.rate_hz)
        self._share = np.arange(self._size, dtype=np.float32) / np.float32(self._size)
        self._from_db = self._to_db = level.gain_db

    @property
    def done(self) -> bool:
        return self._voice.done

    def add_to(self, total: Samples, stop: int) -> None:
        """As :meth:`.mixing.mixer.Voice.add_to`."""
        own = np.zeros(len(total), np.float32)
        self._voice.add_to(own, stop)
        start = stop - len(own)
        at = 0
        while at < len(own):
            within = (start + at) % self._size  # blocks begin where they would for everybody
            piece = own[at : at + self._size - within]
            self._block[within : within + len(piece)] = piece
            total[at : at + len(piece)] += self._turned(piece, within)
            at += len(piece)
            if within + len(piece) == self._size:
                self._from_db = self._to_db
                self._to_db = self._level.hear(self._mean_square())
                self._block[:] = 0

    def _turned(self, piece: Samples, within: int) -> Samples:
        first, last = (np.float32(10 ** (db / 20)) for db in (self._from_db, self._to_db))
        if first == last:
            return piece if first == 1 else piece * first
        return piece * (first + (last - first) * self._share[within : within + len(piece)])

    def _mean_square(self) -> float:
        if not self._block.any():
            return 0.0
        parts = np.fft.rfft(self._block / np.float32(32768 * self._size)).view(np.float32)
        return float(np.dot(parts * parts, self._weights))


@lru_cache(maxsize=8)
def _k_weights(size: int, rate_hz: int) -> npt.NDArray[np.float32]:
    """What the parts of each bin of a spectrum of ``size`` real samples, the real and the imaginary
    one, count for the sum of squares.

    The two filters of BS.1770, annex 1, are given for 48 kHz; for other rates they are made anew
    from the analogue ones that they come from.
    """
    angle = 2 * np.pi * np.arange(size // 2 + 1) / size
    z = np.exp(-1j * angle)
    k = math.tan(math.pi * 1681.974450955533 / rate_hz)
    high, q = 10 ** (3.999843853973347 / 20), 0.7071752369554196
    band = high**0.4996667741545416
    shelf = (
        high + band * k / q + k * k + 2 * (k * k - high) * z + (high - band * k / q + k * k) * z**2
    ) / (1 + k / q + k * k + 2 * (k * k - 1) * z + (1 - k / q + k * k) * z**2)
    k, q = math.tan(math.pi * 38.13547087602444 / rate_hz), 0.5003270373238773
    scale = 1 + k / q + k * k
    low_cut = (1 - 2 * z + z**2) / (1 + (2 * (k * k - 1) * z + (1 - k / q + k * k) * z**2) / scale)
    weights = np.abs(shelf * low_cut) ** 2
    weights[1 : (size + 1) // 2] *= 2  # each but the first, and the last of an even number, is two
    return np.repeat(weights, 2).astype(np.float32)
