"""AAC-LC in ADTS frames (ISO/IEC 13818-7).

Who records to WAV does not need PyAV: this is loaded when the first such encoder is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from typing import Any

import av
import numpy as np
from av.codec.context import Flags

from ..types import AudioRecordingQuality, Pcm
from .arrays import Samples, is_silence

AAC_FRAME_SAMPLES = 1024
ADTS_HEADER_BYTES = 7
"""See 6.2."""
MAX_PAYLOAD_BYTES = 6144 // 8
"""The most that one frame of one channel may take (8.2.2)."""

_FREQUENCY_INDEX = {
    96000: 0, 88200: 1, 64000: 2, 48000: 3, 44100: 4, 32000: 5, 24000: 6,
    22050: 7, 16000: 8, 12000: 9, 11025: 10, 8000: 11, 7350: 12,
}  # fmt: skip
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


@lru_cache(maxsize=1024)  # frames of a few lengths, thousands of times
def adts_header(rate_hz: int, channels: int, payload_bytes: int) -> bytes:
    """The 7 bytes before an AAC-LC frame of ``payload_bytes``, without a checksum.

    Raises:
        ValueError: The frame is too long for the header's 13 bits.
    """
    length = payload_bytes + ADTS_HEADER_BYTES
    if length >= 1 << 13:
        raise ValueError(f"an ADTS frame of {length} bytes does not exist: 8191 are the most")
    bits = 0xFFF  # syncword
    for value, width in (
        (0, 1),  # MPEG-4
        (0, 2),  # layer
        (1, 1),  # no checksum
        (1, 2),  # profile: AAC-LC (object type 2, minus one)
        (_FREQUENCY_INDEX[rate_hz], 4),
        (0, 1),  # private
        (channels, 3),
        (0, 4),  # original, home, copyright
        (length, 13),
        (0x7FF, 11),  # buffer fullness: variable bit rate
        (0, 2),  # one raw data block
    ):
        bits = bits << width | value
    return bits.to_bytes(ADTS_HEADER_BYTES, "big")
