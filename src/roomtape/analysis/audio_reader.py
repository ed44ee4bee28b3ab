"""What every reader of audio has, whatever the file is."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ..types import Block, Pcm

_BLOCK_FRAMES = 1 << 16
_LOUDEST = 1e10
"""200 dB above full scale: a float beyond that is no sample."""


class AudioReader(ABC):
    """One file, read once: first the attributes, then :meth:`blocks` or :meth:`raw_blocks`, then
    ``damage``; then :meth:`close`, which may also come at any time, and twice.

    Attributes:
        path: The file.
        format: Container and codec, such as ``"wav pcm_s16le"``.
        sample_rate: Hz.
        channels: At least 1.
        speakers: The channels' names, by FFmpeg (``FL``, ``FR``, ...); empty where nobody knows.
        declared_s: The length that the file claims; None where it claims none.
        damage: What is missing or wrong, in words; complete when the blocks have ended.
        notes: What is merely odd, in words; the same.
        peak: The largest magnitude so far of what is not 16-bit; 1.0 is full scale.
        block_frames: How long the next block should be, where the format leaves that open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.format = ""
        self.sample_rate = 0
        self.channels = 0
        self.speakers: tuple[str, ...] = ()
        self.declared_s: float | None = None
        self.damage: list[str] = []
        self.notes: list[str] = []
        self.peak = 0.0
        self.block_frames = _BLOCK_FRAMES

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def raw_blocks(self) -> Iterator[Pcm | Block]:
        """The samples, ``(frames, channels)`` a block: int16 where the file has that, else float32
        with a full scale of 1.0; only once."""
        nonsense = 0
        for block in self._raw_blocks():
            if block.dtype != np.int16 and block.size:
                top = max(float(block.max()), -float(block.min()))
                if not top <= _LOUDEST:  # NaN is neither
                    sane = np.abs(block) <= _LOUDEST
                    nonsense += int(block.size - np.count_nonzero(sane))
                    block = np.where(sane, block, np.float32(0))  # noqa: PLW2901
                    top = float(np.abs(block).max())
                self.peak = max(self.peak, top)
            yield block
        if nonsense:
            self.damage.append(
                f"{nonsense:,} sample{'s' * (nonsense != 1)} are no numbers, or beyond all bounds: "
                "read as 0"
            )

    def blocks(self) -> Iterator[Block]:
        """The same, all as float32; instead of :meth:`raw_blocks`."""
        for block in self.raw_blocks():
            if block.dtype == np.int16:
                yield block.astype(np.float32) / np.float32(32768)
            else:
                yield block.astype(np.float32, copy=False)

    @property
    def peak_db(self) -> float:
        """:attr:`peak` in dB; -inf for none."""
        return 20 * math.log10(self.peak) if self.peak > 0 else -math.inf

    @abstractmethod
    def close(self) -> None:
        """Let go of the file, and of whoever decodes it."""

    @abstractmethod
    def _raw_blocks(self) -> Iterator[Pcm | Block]:
        """As :meth:`raw_blocks`, before what is no sample is taken out."""
