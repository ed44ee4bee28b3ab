"""PCM and AAC, as bytes. Neither knows files.

An encoder turns mixed samples into *units*: pieces that a file may be cut between. For PCM that is
a tenth of a second, for AAC one ADTS frame of 1024 samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any, Protocol

import av
import numpy as np
from av.codec.context import Flags

from ..types import AudioFormat, AudioRecordingQuality, Pcm
from .adts import AAC_FRAME_SAMPLES, ADTS_HEADER_BYTES, MAX_PAYLOAD_BYTES, adts_header
from .arrays import Samples, is_silence

_AAC_BIT_RATE = {
    AudioRecordingQuality.LOW: 42_000,
    AudioRecordingQuality.MEDIUM: 64_000,
    AudioRecordingQuality.HIGH: 98_000,
}
# LOW and MEDIUM are limits that no frame exceeds ("bt": "0"): ten minutes of whatever sound take at
# most 3.4 and 5.0 MB (of speech: 3.2 and 4.7), and the rate control cannot run away in digital
# silence, after which it would take four times as long for a quarter of a second. HIGH is a mean
# (8.6 MB): there, frames that lend each other bits sound better. See docs/performance.md.
_AAC_RATE_CONTROL = {
    # A lower start of the search than FFmpeg's 120: most frames of LOW would have to come down.
    AudioRecordingQuality.LOW: {"bt": "0", "global_quality": "110"},
    AudioRecordingQuality.MEDIUM: {"bt": "0"},
    AudioRecordingQuality.HIGH: {},
}
_PLANAR_FLOAT = av.AudioFormat("fltp")
_LAYOUTS = {1: av.AudioLayout("mono"), 2: av.AudioLayout("stereo")}
_AAC_OPTIONS = {
    "aac_coder": "fast",  # better on speech than the default one, in a third of its time
    "aac_tns": "0",  # temporal noise shaping costs speech up to 0.6 PESQ with this coder
    "aac_pns": "0",  # noise in the place of noise: the weakest voices are better without
}
# Two channels are two sides that nobody may hear in each other. Coded as middle and difference, or
# as one with an intensity, each would have a part of the other's noise.
_AAC_APART = {"aac_ms": "0", "aac_is": "0"}

_SETTLES = 8
"""After three frames of digital silence, FFmpeg's encoder is in the state in which all further ones
leave it, and gives the same frame for each (tests/audio/test_silence_path.py). This leaves a margin
for another version of it."""


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


class AacEncoder:
    """AAC-LC in ADTS frames, by FFmpeg's own encoder.

    The encoder puts 1024 samples of priming before the signal. Its first packet holds nothing but
    that and is left out, so sample 0 of the file is sample 0 of the recording; what that costs is
    a fade-in over the first 1024 samples, since a decoder lacks the overlap with the frame before.
    Two channels have twice the bit rate.

    Digital silence is not encoded for longer than the encoder needs to settle: the frame that it
    gives then is given again, and what follows is, byte by byte, what it would have been.
    """

    def __init__(self, rate_hz: int, quality: AudioRecordingQuality, *, channels: int = 1) -> None:
        self.unit_samples = AAC_FRAME_SAMPLES
        self.most_unit_bytes = ADTS_HEADER_BYTES + channels * MAX_PAYLOAD_BYTES
        bit_rate = channels * _AAC_BIT_RATE[quality]
        # The nominal rate is without the headers.
        self.bytes_per_s = bit_rate // 8 + -(-ADTS_HEADER_BYTES * rate_hz // AAC_FRAME_SAMPLES)
        self._rate_hz = rate_hz
        self._channels = channels
        self._frame_size = AAC_FRAME_SAMPLES * channels
        self._codec = av.CodecContext.create("aac", "w")
        assert isinstance(self._codec, av.AudioCodecContext)
        self._codec.sample_rate = rate_hz
        self._codec.layout = _LAYOUTS[channels]
        self._codec.format = _PLANAR_FLOAT
        self._codec.time_base = Fraction(1, rate_hz)
        self._codec.bit_rate = bit_rate
        apart = _AAC_APART if channels > 1 else {}
        self._codec.options = _AAC_OPTIONS | _AAC_RATE_CONTROL[quality] | apart
        # Else each 256th frame says which version made it, silent or not.
        self._codec.flags |= Flags.bitexact
        self._silent_frames = 0  # of the last ones that were encoded
        self._silent_units: list[bytes] = []  # the last two that they gave
        self._waiting = np.zeros((0, channels) if channels > 1 else 0, np.float32)
        self._begun = False
        self._primed = False

    def encode(self, samples: Samples | Pcm) -> list[bytes]:
        if is_silence(samples) and not self._waiting.any():
            frames, rest = divmod(len(self._waiting) + len(samples), AAC_FRAME_SAMPLES)
            self._waiting = np.zeros((rest, *self._waiting.shape[1:]), np.float32)
            return self._encode_silence(frames)
        signal = np.concatenate([self._waiting, np.rint(samples) * np.float32(1 / 32768)])
        frames = len(signal) // AAC_FRAME_SAMPLES
        whole, self._waiting = np.split(signal, [frames * AAC_FRAME_SAMPLES])
        units: list[bytes] = []
        at = 0
        sounding = np.any(whole.reshape(frames, self._frame_size), axis=1).tolist()
        for sounds, run in groupby(sounding):
            count = sum(1 for _ in run)
            if sounds:
                units += self._encode_frames(whole[at : at + count * AAC_FRAME_SAMPLES])
                self._silent_units, self._silent_frames = [], 0
            else:
                units += self._encode_silence(count)
            at += count * AAC_FRAME_SAMPLES
        return units

    def finish(self) -> list[bytes]:
        units: list[bytes] = []
        if len(self._waiting):
            padding = AAC_FRAME_SAMPLES - len(self._waiting)
            silence = np.zeros((padding, *self._waiting.shape[1:]), np.float32)
            units += self._encode_frames(np.concatenate([self._waiting, silence]))
            self._waiting = self._waiting[:0]
        if self._begun:
            units += self._packed(self._codec.encode(None))
        # The overlap of the last frame comes as one more packet; a file needs no more than that.
        return units

    def _encode_silence(self, frames: int) -> list[bytes]:
        """Encode so many frames of it, or give again what the encoder gave before."""
        count = min(frames, max(0, _SETTLES - self._silent_frames))
        units = self._encode_zeros(count)
        self._silent_frames += count
        self._silent_units = [*self._silent_units, *units][-2:]
        if frames > count:
            before, last = self._silent_units
            rest = frames - count
            units += [last] * rest if before == last else self._encode_zeros(rest)
        return units

    def _encode_zeros(self, frames: int) -> list[bytes]:
        if not frames:
            return []
        shape = (frames * AAC_FRAME_SAMPLES, *self._waiting.shape[1:])
        return self._encode_frames(np.zeros(shape, np.float32))

    def _encode_frames(self, signal: Samples) -> list[bytes]:
        """Encode whole frames. All in one call: PyAV cuts them itself, and each call of it ends
        in an exception inside that costs a third of what encoding a frame does."""
        planes = signal[None, :] if signal.ndim == 1 else np.ascontiguousarray(signal.T)
        frame = av.AudioFrame.from_ndarray(
            planes, format=_PLANAR_FLOAT, layout=_LAYOUTS[self._channels]
        )
        frame.sample_rate = self._rate_hz
        self._begun = True
        return self._packed(self._codec.encode(frame))

    def _packed(self, packets: Sequence[av.Packet[Any]]) -> list[bytes]:
        units = []
        for packet in packets:
            if not self._primed:
                self._primed = True
                continue
            payload = bytes(packet)
            units.append(adts_header(self._rate_hz, self._channels, len(payload)) + payload)
        return units
