"""Peak, RMS, DC, clipping and silence of audio that comes in blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..types import Block

FULL_SCALE = 32767 / 32768
"""The largest positive value of 16-bit PCM: nothing above it survives in a WAV file."""
CLIP_RUN = 3
"""A flat top needs three samples: one or two at full scale are a peak that just fits."""
SILENCE_DBFS = -60.0
LISTED_SILENCE_S = 1.0
MOST_SILENCES = 10_000
"""A day with one in every nine seconds; more are counted, not listed."""
COUNTED_SILENCE_S = 0.01
"""Shorter than this, a wave is just passing through zero."""


@dataclass(frozen=True, slots=True)
class Silence:
    """``[start_s, end_s)`` seconds without a sample above -60 dBFS."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class ChannelLevels:
    """One channel's loudest sample, and its mean level; -inf if all is digital zero."""

    peak_dbfs: float
    rms_dbfs: float


@dataclass
class Levels:
    """Feed it every block with :meth:`add`, then :meth:`finish`, then read.

    Memory does not grow with the length, but for one entry a stretch of silence.

    Attributes:
        sample_rate: Hz.
        frames: Samples a channel so far.
        peak: The largest magnitude; 1.0 is full scale.
        channel_peaks: The same of each channel.
        clipped_samples: Samples in runs of 3 or more at full scale, over all channels.
        clipped_runs: How many such runs.
        silent_frames: Frames in stretches of 10 ms or more below -60 dBFS in all channels.
        silences: Such stretches of a second or more; the first 10,000.
    """

    sample_rate: int
    frames: int = 0
    peak: float = 0.0
    clipped_samples: int = 0
    clipped_runs: int = 0
    silent_frames: int = 0
    silences: list[Silence] = field(default_factory=list)
    _sums: npt.NDArray[np.float64] | None = None
    channel_peaks: npt.NDArray[np.float32] | None = None
    _squares: npt.NDArray[np.float64] | None = None
    _open_runs: dict[tuple[int, int], int] = field(default_factory=dict)
    _last_loud: int = -1

    def add(self, block: Block) -> None:
        """Account for the next block."""
        if not len(block):
            return
        channels = block.shape[1]
        if self._sums is None or self._squares is None or self.channel_peaks is None:
            self._sums, self._squares = np.zeros(channels), np.zeros(channels)
            self.channel_peaks = np.zeros(channels, np.float32)
        self._sums += block.sum(axis=0, dtype=np.float64)
        # einsum sums squares without a float64 copy of the block; float32 would lose precision.
        self._squares += [float(np.einsum("i,i->", one, one, dtype=np.float64)) for one in block.T]
        magnitudes = np.abs(block)
        magnitude = magnitudes.max(axis=1)
        peak = float(magnitude.max())
        self.peak = max(self.peak, peak)
        self.channel_peaks = np.maximum(
            self.channel_peaks, magnitudes.max(axis=0) if channels > 1 else peak
        )
        for channel in range(channels):
            for sign in (1, -1):
                self._count_clipping(block[:, channel], channel, sign, peak)
        loud = np.flatnonzero(magnitude > 10 ** (SILENCE_DBFS / 20))
        self._count_silence(self.frames + loud)
        self.frames += len(block)

    def finish(self) -> None:
        """Account for what lasts until the end."""
        for length in self._open_runs.values():
            self._close_run(length)
        self._open_runs.clear()
        self._count_silence(np.array([self.frames]))

    @property
    def peak_dbfs(self) -> float:
        """-inf for digital zero."""
        return decibel(self.peak)

    @property
    def rms_dbfs(self) -> float:
        """Over all channels; a full-scale sine has -3.01. -inf for digital zero."""
        if self._squares is None:
            return -math.inf
        return decibel(math.sqrt(self._squares.sum() / self._squares.size / self.frames))

    @property
    def channels(self) -> tuple[ChannelLevels, ...]:
        """Each channel's own; none before the first block."""
        if self._squares is None or self.channel_peaks is None:
            return ()
        return tuple(
            ChannelLevels(decibel(float(peak)), decibel(math.sqrt(squares / self.frames)))
            for peak, squares in zip(self.channel_peaks, self._squares, strict=True)
        )

    @property
    def dc_offset(self) -> float:
        """The mean of the channel that is farthest off; 1.0 is full scale."""
        if self._sums is None:
            return 0.0
        means = self._sums / self.frames
        return float(means[np.abs(means).argmax()])

    def _count_clipping(self, samples: Block, channel: int, sign: int, peak: float) -> None:
        key = (channel, sign)
        carried = self._open_runs.pop(key, 0)
        if peak < FULL_SCALE:
            self._close_run(carried)
            return
        at_top = samples * sign >= FULL_SCALE
        edges = np.flatnonzero(np.diff(at_top, prepend=False, append=False))
        starts, ends = edges[::2], edges[1::2]
        if not len(starts):
            self._close_run(carried)
            return
        lengths = ends - starts
        if starts[0] == 0:
            lengths[0] += carried
        else:
            self._close_run(carried)
        if at_top[-1]:
            self._open_runs[key] = int(lengths[-1])
            lengths = lengths[:-1]
        runs = lengths[lengths >= CLIP_RUN]
        self.clipped_runs += len(runs)
        self.clipped_samples += int(runs.sum())

    def _close_run(self, length: int) -> None:
        if length >= CLIP_RUN:
            self.clipped_runs += 1
            self.clipped_samples += length

    def _count_silence(self, loud: npt.NDArray[np.intp]) -> None:
        """``loud``: positions of samples above the threshold, or of the end."""
        if not len(loud):
            return
        starts = np.concatenate(([self._last_loud], loud[:-1])) + 1
        lengths = loud - starts
        counted = lengths >= max(1, COUNTED_SILENCE_S * self.sample_rate)
        self.silent_frames += int(lengths[counted].sum())
        listed = np.flatnonzero(lengths >= LISTED_SILENCE_S * self.sample_rate)
        for index in listed[: MOST_SILENCES - len(self.silences)]:
            start = int(starts[index])
            self.silences.append(
                Silence(start / self.sample_rate, (start + int(lengths[index])) / self.sample_rate)
            )
        self._last_loud = int(loud[-1])


def decibel(amplitude: float) -> float:
    """20 log10; -inf for zero."""
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf
