"""PCM and AAC, as bytes. Neither knows files.

An encoder turns mixed samples into *units*: pieces that a file may be cut between. For PCM that is
a tenth of a second, for AAC one ADTS frame of 1024 samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..types import AudioFormat, AudioRecordingQuality, Pcm
from .arrays import Samples, is_silence


class Encoder(Protocol):
    """Samples in, units out. Not thread-safe."""

    unit_samples: int
    """How many samples of each channel a unit holds; the last one may hold fewer."""
    most_unit_bytes: int
    """No unit is larger."""
    bytes_per_s: int
    """What it gives, about."""

    def encode(self, samples: Samples | Pcm) -> list[bytes]:
        """Take samples in units of int16, float32 or int16, within full scale, of shape
        ``(frames,)`` or ``(frames, channels)``; give the units that are complete."""
        ...

    def finish(self) -> list[bytes]:
        """Give the rest. Nothing may follow."""
        ...


class StemEncoder(Protocol):
    """The same for one participant's own file, of one channel. What it gives may be a view of what
    it was given."""

    unit_samples: int
    most_unit_bytes: int
    bytes_per_s: int

    def encode(self, samples: Pcm) -> Sequence[bytes | memoryview]: ...

    def finish(self) -> Sequence[bytes | memoryview]: ...


def make_stem_encoder(
    audio_format: AudioFormat, rate_hz: int, quality: AudioRecordingQuality
) -> StemEncoder:
    """The encoder of one participant's own file."""
    if audio_format is AudioFormat.WAV:
        return PcmStream(rate_hz)
    from .aac import AacEncoder  # noqa: PLC0415 (PyAV takes as long to load as all of ours)

    return AacEncoder(rate_hz, quality)


def make_encoder(
    audio_format: AudioFormat,
    rate_hz: int,
    quality: AudioRecordingQuality,
    *,
    channels: int = 1,
) -> Encoder:
    """The encoder of a format, for one channel or two."""
    if audio_format is AudioFormat.WAV:
        return PcmEncoder(rate_hz, channels=channels)
    from .aac import AacEncoder  # noqa: PLC0415 (PyAV takes as long to load as all of ours)

    return AacEncoder(rate_hz, quality, channels=channels)


class PcmEncoder:
    """Signed 16-bit little endian, rounded to nearest; channels interleaved."""

    def __init__(self, rate_hz: int, *, channels: int = 1) -> None:
        self.unit_samples = rate_hz // 10
        self.most_unit_bytes = self.unit_samples * 2 * channels
        self.bytes_per_s = rate_hz * 2 * channels
        self._waiting = np.zeros((0, channels) if channels > 1 else 0, "<i2")

    def encode(self, samples: Samples | Pcm) -> list[bytes]:
        if is_silence(samples) and not self._waiting.any():
            units, rest = divmod(len(self._waiting) + len(samples), self.unit_samples)
            self._waiting = np.zeros((rest, *self._waiting.shape[1:]), "<i2")
            return [bytes(self.most_unit_bytes)] * units
        pcm = np.concatenate([self._waiting, np.rint(samples).astype("<i2")])
        size = self.unit_samples
        whole = len(pcm) // size * size
        self._waiting = pcm[whole:]
        return [pcm[start : start + size].tobytes() for start in range(0, whole, size)]

    def finish(self) -> list[bytes]:
        rest, self._waiting = self._waiting, self._waiting[:0]
        return [rest.tobytes()] if len(rest) else []


class PcmStream:
    """The same in pieces as long as what comes: for a file that is not cut into units."""

    def __init__(self, rate_hz: int) -> None:
        self.unit_samples = rate_hz // 10
        self.most_unit_bytes = self.unit_samples * 2
        self.bytes_per_s = rate_hz * 2

    def encode(self, samples: Pcm) -> list[memoryview]:
        return [samples.astype("<i2", copy=False).data.cast("B")] if len(samples) else []

    def finish(self) -> list[memoryview]:
        return []
