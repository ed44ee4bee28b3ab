"""8. PESQ-WB of each quality at each rate over the shipped voices, and what ten minutes take.

The bar on quality is for the worst voice, the one on size for the mean of the voices, each
speaking without a pause, and for white noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
import soxr

from common import Row
from roomtape.audio.aac import AacEncoder
from roomtape.media.voices import VOICE_RATE_HZ, VOICES, load_voice
from roomtape.types import SAMPLE_RATES_HZ, AudioRecordingQuality, Pcm

BARS = {
    AudioRecordingQuality.LOW: (2.9, 3.2),
    AudioRecordingQuality.MEDIUM: (3.7, 5.0),
    AudioRecordingQuality.HIGH: (4.3, 8.7),
}
_SIZE_S = 60
_LEAD_S = 0.5
"""Silence before a voice: the first frame of a file fades in, whoever speaks."""

Signal = npt.NDArray[np.float32]


def encoded(signal: Signal, rate_hz: int, quality: AudioRecordingQuality) -> list[bytes]:
    """ADTS frames of ``signal`` (units of int16), as a recording has them."""
    encoder = AacEncoder(rate_hz, quality)
    return encoder.encode(signal) + encoder.finish()


def by_default_coder(signal: Signal, rate_hz: int, bit_rate: int) -> list[bytes]:
    """The same by FFmpeg's encoder as it comes, without its first packet."""
    codec = av.CodecContext.create("aac", "w")
    codec.sample_rate, codec.layout, codec.format = rate_hz, "mono", "fltp"
    codec.time_base, codec.bit_rate = Fraction(1, rate_hz), bit_rate
    padded = np.pad(signal / np.float32(32768), (0, -len(signal) % 1024)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(padded[None, :], format="fltp", layout="mono")
    frame.sample_rate = rate_hz
    payloads = [bytes(packet) for packet in codec.encode(frame) + codec.encode(None)][1:]
    from roomtape.audio.aac import adts_header  # noqa: PLC0415

    return [adts_header(rate_hz, 1, len(payload)) + payload for payload in payloads]


def decoded(units: list[bytes]) -> Signal:
    codec = av.CodecContext.create("aac", "r")
    frames = [frame for unit in units for frame in codec.decode(av.Packet(unit))]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def score(original: Pcm, units: list[bytes], rate_hz: int) -> float:
    """PESQ-WB of what the units decode to, against the voice as it is."""
    from pesq import pesq  # noqa: PLC0415

    heard = soxr.resample(decoded(units), rate_hz, 16000, quality="VHQ")[round(_LEAD_S * 16000) :]
    reference = soxr.resample(original.astype(np.float32) / 32768, VOICE_RATE_HZ, 16000, "VHQ")
    count = min(len(heard), len(reference))
    return float(pesq(16000, reference[:count], heard[:count], "wb"))


def mb_per_10_min(units: list[bytes], samples: int, rate_hz: int) -> float:
    return sum(map(len, units)) / (samples / rate_hz) * 600 / 1e6


def run(quick: bool) -> Iterator[Row]:
    voices = [load_voice(name) for name in VOICES]
    for rate_hz in (16000, 48000) if quick else SAMPLE_RATES_HZ:
        at_rate = [soxr.resample(v.astype(np.float32), VOICE_RATE_HZ, rate_hz) for v in voices]
        noise = np.random.default_rng(0).normal(0, 8000, 10 * rate_hz).clip(-32768, 32767)
        silence = np.zeros(10 * rate_hz)
        for quality, (least, most) in BARS.items():
            scores, peers, bytes_10_min = [], [], []
            for voice, signal in zip(voices, at_rate, strict=True):
                lead = np.zeros(round(_LEAD_S * rate_hz), np.float32)
                led = np.concatenate([lead, signal])
                units = encoded(led, rate_hz, quality)
                scores.append(score(voice, units, rate_hz))
                bit_rate = sum(map(len, units)) * 8 * rate_hz // len(led) - 56 * rate_hz // 1024
                default = by_default_coder(led, rate_hz, bit_rate)
                peers.append(score(voice, default, rate_hz))
                # A voice over and over: a speaker who never stops.
                long = np.resize(signal, _SIZE_S * rate_hz)
                bytes_10_min.append(
                    mb_per_10_min(encoded(long, rate_hz, quality), len(long), rate_hz)
                )
            loud, still = (
                mb_per_10_min(encoded(x.astype(np.float32), rate_hz, quality), len(x), rate_hz)
                for x in (noise, silence)
            )
            worst, size = min(scores), float(np.mean(bytes_10_min))
            yield Row(
                "quality",
                f"{quality.name}, {rate_hz / 1000:g} kHz",
                worst,
                "PESQ-WB of the worst voice",
                min(peers),
                "FFmpeg's default coder at the same bytes",
                f">= {least} at <= {most} MB",
                worst >= least and max(size, loud) <= most,
                f"mean {np.mean(scores):.2f} against {np.mean(peers):.2f}; MB in 10 min: "
                f"speech {size:.2f} (worst voice {max(bytes_10_min):.2f}), "
                f"white noise {loud:.2f}, silence {still:.2f}",
                of_ours=True,
            )
