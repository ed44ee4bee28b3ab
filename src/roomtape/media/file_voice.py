"""A file as a voice of the mixer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np

from ..analysis.reader import AudioReader
from ..audio.arrays import Samples, add
from ..types import NS_PER_S, Block, Pcm
from ..types.errors import DamagedFileError, FileError
from .mono import mono, mono_weights

_LEAST_RATE_HZ, _MOST_RATE_HZ = 1000, 768000
"""Outside of these a number in a header is a mistake, and a few bytes would become days of audio,
or gigabytes of memory."""


class FileVoice:
    """Reads one file, once, as the mixer wants it.

    Args:
        reader: The file; closed by whoever opened it.
        start_ns: Where its first sample stands in the mix.

    Raises:
        FileError: It has a rate that cannot be mixed. DamagedFileError: There is no sample in it.
    """

    steady = None

    def __init__(self, reader: AudioReader, start_ns: int) -> None:
        self.reader = reader
        self.rate_hz = reader.sample_rate
        if not _LEAST_RATE_HZ <= self.rate_hz <= _MOST_RATE_HZ:
            raise FileError(
                f"{reader.path}: {self.rate_hz} Hz cannot be mixed; {_LEAST_RATE_HZ} to "
                f"{_MOST_RATE_HZ} Hz can"
            )
        self._weights = mono_weights(reader.channels, reader.speakers)
        self._blocks: Iterator[Pcm | Block] = reader.raw_blocks()
        self._start = round(start_ns * self.rate_hz / NS_PER_S)
        self._head = 0
        self._ended = False
        self._block = self._next_block()
        if not len(self._block):
            raise DamagedFileError(f"{reader.path}: there are no samples in it")
        self.end = self._start
        """Behind the last sample read so far."""

    @property
    def done(self) -> bool:
        return self._ended

    @property
    def start_s(self) -> float:
        """Where its first sample stands in the mix."""
        return self._start / self.rate_hz

    @property
    def expected_end_s(self) -> float | None:
        """Where it will end by its own word."""
        declared_s = self.reader.declared_s
        return None if declared_s is None else self.start_s + declared_s

    @property
    def duration_s(self) -> float:
        """How much of it was read."""
        return (self.end - self._start) / self.rate_hz

    def add_to(self, total: Samples, stop: int) -> None:
        at, self._head = max(0, self._start - self._head), stop
        while at < len(total) and not self._ended:
            if not len(self._block):
                self.reader.block_frames = len(total) - at  # then nothing is left over
                self._block = self._next_block()
                continue
            wanted = len(total) - at
            piece, self._block = self._block[:wanted], self._block[wanted:]
            if piece.dtype == np.int16:
                add(total[at : at + len(piece)], cast("Pcm", piece))
            else:
                total[at : at + len(piece)] += piece
            at += len(piece)
            self.end += len(piece)

    def _next_block(self) -> Pcm | Samples:
        """The next samples, mono: int16 as it stands in the file, or float32 in units of that."""
        for block in self._blocks:
            if len(block):
                plain = block.dtype == np.int16 and block.shape[1] == 1
                return block[:, 0] if plain else mono(block, self._weights)
        self._ended = True
        return np.zeros(0, np.int16)
