"""The outline and the spectrum of audio of any length, in as many columns as a picture has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..types import Block

Columns = npt.NDArray[np.float32]
"""Shape ``(columns, values)``."""

Outline = tuple[Columns, Columns, Columns]
"""Where each column begins (in samples), its lowest and its highest sample; one-dimensional."""

_MOST_COLUMNS = 2048
"""A picture is hardly wider. Where more come up, neighbours are merged."""
_OUTLINE_SAMPLES = 64
SPECTRUM_WINDOW = 1024


class _Folding:
    """Collects columns; merges them in pairs whenever there are too many.

    Memory is bounded: columns stand for more time as the audio grows.
    """

    def __init__(self, values: int, merge: Callable[[Columns], Columns]) -> None:
        self.folded: Columns = np.zeros((0, values), np.float32)
        self.fold = 1
        self._merge = merge
        self._pending = self.folded

    def add(self, columns: Columns) -> None:
        self._pending = np.concatenate([self._pending, columns])
        self._fold_pending()
        while len(self.folded) > _MOST_COLUMNS:
            # What has no partner waits as what it was made of; merging that again is lossless.
            odd = self.folded[len(self.folded) // 2 * 2 :]
            self._pending = np.concatenate([np.repeat(odd, self.fold, axis=0), self._pending])
            pairs = self.folded[: len(self.folded) // 2 * 2]
            self.folded = self._merge(pairs.reshape(len(pairs) // 2, 2, -1))
            self.fold *= 2
            self._fold_pending()

    def finish(self) -> Columns:
        if len(self._pending):
            self.folded = np.concatenate([self.folded, self._merge(self._pending[None])])
            self._pending = self._pending[:0]
        return self.folded

    def _fold_pending(self) -> None:
        whole = len(self._pending) // self.fold
        if whole:
            groups = self._pending[: whole * self.fold].reshape(whole, self.fold, -1)
            self.folded = np.concatenate([self.folded, self._merge(groups)])
            self._pending = self._pending[whole * self.fold :]


class Envelope:
    """The lowest and the highest sample of each column, over all channels."""

    def __init__(self) -> None:
        self.frames = 0
        self._columns = _Folding(2, lambda groups: groups.max(axis=1))
        self._rest = np.zeros((0, 2), np.float32)

    def add(self, block: Block) -> None:
        """Account for the next ``(frames, channels)`` samples."""
        self.frames += len(block)
        # The lowest, negated, so that "merge" is max for both.
        extremes = np.column_stack([-block.min(axis=1), block.max(axis=1)])
        pending = np.concatenate([self._rest, extremes])
        whole = len(pending) // _OUTLINE_SAMPLES
        self._rest = pending[whole * _OUTLINE_SAMPLES :]
        if whole:
            shaped = pending[: whole * _OUTLINE_SAMPLES].reshape(whole, _OUTLINE_SAMPLES, 2)
            self._columns.add(shaped.max(axis=1))

    def finish(self) -> Outline:
        """Account for the last, shorter column."""
        if len(self._rest):
            self._columns.add(self._rest.max(axis=0)[None])
        columns = self._columns.finish()
        starts = np.arange(len(columns), dtype=np.float32) * self._columns.fold * _OUTLINE_SAMPLES
        return starts, -columns[:, 0], columns[:, 1]


class Spectrum:
    """Power by frequency of each column: a spectrogram, of the mean of all channels."""

    def __init__(self) -> None:
        self._columns = _Folding(SPECTRUM_WINDOW // 2 + 1, lambda groups: groups.mean(axis=1))
        self._rest = np.zeros(0, np.float32)
        self._window = np.hanning(SPECTRUM_WINDOW).astype(np.float32)

    def add(self, block: Block) -> None:
        """Account for the next ``(frames, channels)`` samples."""
        pending = np.concatenate([self._rest, block.mean(axis=1)])
        hop = SPECTRUM_WINDOW // 2
        if len(pending) < SPECTRUM_WINDOW:
            self._rest = pending
            return
        windows = np.lib.stride_tricks.sliding_window_view(pending, SPECTRUM_WINDOW)[::hop]
        self._rest = pending[len(windows) * hop :]
        # Scaled so that a full-scale sine has power 1 (0 dBFS) in its bin.
        spectrum = np.fft.rfft(windows * self._window) / (self._window.sum() / 2)
        self._columns.add((np.abs(spectrum) ** 2).astype(np.float32))

    def finish_dbfs(self) -> Columns:
        """``(columns, SPECTRUM_WINDOW // 2 + 1)`` dBFS, from 0 Hz to half the sample rate."""
        if len(self._rest):
            padded = np.zeros(SPECTRUM_WINDOW, np.float32)
            padded[: len(self._rest)] = self._rest
            self._rest = padded[:0]
            self.add(padded[:, None])
        return 10 * np.log10(np.maximum(self._columns.finish(), 1e-12))
