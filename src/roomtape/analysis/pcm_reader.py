"""PCM in WAV files, read without a decoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from ..types import Block, Pcm
from .audio_reader import AudioReader
from .wav_walk import WavLayout

_MOST_BLOCK_BYTES = 1 << 22
"""However many channels there are."""


class PcmReader(AudioReader):
    """A WAV file of integers or floats of any width."""

    def __init__(self, path: Path, file: BinaryIO, layout: WavLayout) -> None:
        super().__init__(path)
        self.format = f"{layout.container} {layout.format.codec}"
        self.sample_rate = layout.format.sample_rate
        self.channels = layout.format.channels
        self.speakers = layout.format.speakers
        if layout.declared_frames is not None:
            self.declared_s = layout.declared_frames / self.sample_rate
        self.damage = list(layout.damage)
        self.notes = list(layout.notes)
        self._file = file
        self._layout = layout

    def close(self) -> None:
        self._file.close()

    def _raw_blocks(self) -> Iterator[Pcm | Block]:
        fmt = self._layout.format
        left, most = self._layout.frames, max(1, _MOST_BLOCK_BYTES // fmt.frame_bytes)
        self._file.seek(self._layout.data_start)
        while left:
            data = self._file.read(min(left, self.block_frames, most) * fmt.frame_bytes)
            frames = len(data) // fmt.frame_bytes
            if not frames:
                self.damage.append(f"the file became shorter while it was read, by {left} samples")
                return
            samples = _samples(data[: frames * fmt.frame_bytes], fmt.dtype)
            yield samples.reshape(frames, self.channels)
            left -= frames


def _samples(data: bytes, dtype: str) -> Pcm | Block:
    """int16 where the file has that, and otherwise float32 with a full scale of 1.0."""
    if dtype == "<i2":
        return np.frombuffer(data, "<i2")
    if dtype == ">i2":
        return np.frombuffer(data, ">i2").astype(np.int16)
    if dtype == "u1":
        # Eight bits have no sign in WAV files.
        return (np.frombuffer(data, "u1").astype(np.int16) - 128) << 8
    if dtype[1:] == "i3":
        return _scaled(_widened(data, big_endian=dtype[0] == ">"), 2**-31)
    if dtype[1] == "f":
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number is dealt with later
            return np.frombuffer(data, dtype).astype(np.float32)
    return _scaled(np.frombuffer(data, dtype), 2.0 ** (1 - 8 * int(dtype[2:])))


def _widened(data: bytes, *, big_endian: bool) -> npt.NDArray[np.int32]:
    """24 bits in the upper part of 32."""
    given = np.frombuffer(data, "u1").reshape(-1, 3)
    wide = np.zeros((len(given), 4), np.uint8)
    wide[:, 1:] = given[:, ::-1] if big_endian else given
    return wide.view("<i4")[:, 0]


def _scaled(samples: npt.NDArray[np.signedinteger], full_scale: float) -> Block:
    # float32 has 24 bits; more than that are rounded once, here.
    return (samples * np.float64(full_scale)).astype(np.float32)
