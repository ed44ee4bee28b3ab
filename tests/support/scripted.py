"""A recording session under a scripted clock: what was said, when it came, what became of it."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple
from unittest.mock import patch

import av
import numpy as np
import numpy.typing as npt

from roomtape.audio import arrays
from roomtape.audio.encoder import make_encoder
from roomtape.audio.inbox import RATES_HZ
from roomtape.audio.session import RecordingSession
from roomtape.audio.source_track import SourceTrack
from roomtape.types import (
    NS_PER_S,
    AudioFormat,
    AudioRecordingQuality,
    IntervalKind,
    Pcm,
    SourceReport,
)

from .accounts import arrived

_LONGEST_TWICE_S = 30

Jitter = Callable[[np.random.Generator, int], npt.NDArray[np.float64]]
"""Gives so many network delays in seconds."""


class Frame(NamedTuple):
    """A frame on its way: it arrives ``at_ns`` after the start of the recording."""

    at_ns: int
    pcm: Pcm
    rate_hz: int
    pts: int | None
    gap_is_silence: bool = False


@dataclass(frozen=True)
class Part:
    """One participant's part in the script."""

    frames: Sequence[Frame]
    joined_s: float = 0.0
    left_s: float | None = None
    mutes: Sequence[tuple[float, bool]] = ()


def no_jitter(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    return np.zeros(count)


def uniform(most_s: float) -> Jitter:
    """Delays between 0 and ``most_s``, all as likely."""
    return lambda rng, count: rng.uniform(0, most_s, count)


def half_normal(most_s: float) -> Jitter:
    """Mostly small delays, up to ``most_s``."""
    return lambda rng, count: np.minimum(np.abs(rng.normal(0, most_s / 2.5, count)), most_s)


def spoken(
    pcm: Pcm,
    rate_hz: int,
    *,
    start_s: float = 1.0,
    frame_s: float = 0.02,
    pts: int | None = 5000,
    ppm: float = 0.0,
    jitter: Jitter = no_jitter,
    seed: int = 0,
) -> list[Frame]:
    """``pcm`` in frames, sent as it is spoken from ``start_s`` on by a clock that runs ``ppm``
    fast; in the order of speech, not of arrival. ``pts`` is the first timestamp, or None."""
    size = round(frame_s * rate_hz)
    starts = np.arange(0, len(pcm), size)
    delays = jitter(np.random.default_rng(seed), len(starts))
    at_ns = np.rint((start_s + starts / rate_hz / (1 + ppm * 1e-6) + delays) * NS_PER_S)
    return [
        Frame(int(at), pcm[start : start + size], rate_hz, None if pts is None else pts + start)
        for at, start in zip(at_ns, starts.tolist(), strict=True)
    ]


def run(
    parts: Mapping[str, Part],
    seconds: float,
    *,
    rate_hz: int = 48000,
    tick_s: float = 0.2,
    audio_format: AudioFormat = AudioFormat.WAV,
    each_tick: Callable[[RecordingSession], object] | None = None,
) -> tuple[bytes, list[SourceReport]]:
    """Record ``parts`` for ``seconds``; give the encoded bytes, and the reports in order of
    joining. A short one is done without the accelerator as well, and must come out the same."""
    once = partial(_run, parts, seconds, rate_hz=rate_hz, tick_s=tick_s, audio_format=audio_format)
    result = once(each_tick=each_tick)
    if seconds <= _LONGEST_TWICE_S and each_tick is None:
        with without_accelerator():
            in_python = once(each_tick=None)
        assert in_python == result
    return result


class SoloSession(RecordingSession):
    """A session with one output, which everybody is in; it gives that output's units."""

    def __init__(
        self, *, rate_hz: int, audio_format: AudioFormat, quality: AudioRecordingQuality
    ) -> None:
        super().__init__()
        encoder = make_encoder(audio_format, rate_hz, quality)
        self.output = self.add_output(encoder, rate_hz=rate_hz)

    def add_source(self, name: str, *, local: bool, joined_ns: int) -> SourceTrack:
        track = super().add_source(name, local=local, joined_ns=joined_ns)
        assert track is not None
        return track

    def advance(self, now_ns: int) -> list[bytes]:
        self.mix(now_ns)
        return self.output.encode()

    def finish(self, now_ns: int) -> list[bytes]:
        super().finish(now_ns)
        return self.output.finish()


@contextmanager
def without_accelerator() -> Iterator[None]:
    """What is recorded meanwhile is recorded in Python alone."""
    with patch.object(arrays, "NATIVE", None):
        yield


def _run(
    parts: Mapping[str, Part],
    seconds: float,
    *,
    rate_hz: int,
    tick_s: float,
    audio_format: AudioFormat,
    each_tick: Callable[[RecordingSession], object] | None,
) -> tuple[bytes, list[SourceReport]]:
    session = SoloSession(
        rate_hz=rate_hz, audio_format=audio_format, quality=AudioRecordingQuality.HIGH
    )
    end_ns = round(seconds * NS_PER_S)
    tracks: dict[str, SourceTrack] = {}
    pushed: dict[str, Counter[int]] = {}
    script: list[tuple[int, int, str, Frame | bool | None]] = []
    for name, part in parts.items():
        joined_ns = round(part.joined_s * NS_PER_S)
        script.append((joined_ns, 0, name, None))
        script += [(round(at_s * NS_PER_S), 1, name, muted) for at_s, muted in part.mutes]
        # What arrives in the same instant arrives in the order of the script.
        script += [(frame.at_ns, 2, name, frame) for frame in part.frames]
        if part.left_s is not None:
            script.append((round(part.left_s * NS_PER_S), 3, name, None))
    script.sort(key=lambda entry: entry[:2])
    units: list[bytes] = []
    done, tick = 0, 0
    now_ns = 0
    while now_ns < end_ns:
        tick += 1
        now_ns = min(end_ns, round(tick * tick_s * NS_PER_S))
        while done < len(script) and script[done][0] <= now_ns:
            at_ns, kind, name, what = script[done]
            done += 1
            if kind == 0:
                tracks[name] = session.add_source(name, local=False, joined_ns=at_ns)
                pushed[name] = Counter()
            elif kind == 3:
                tracks[name].leave(at_ns)
            elif isinstance(what, Frame):
                push(tracks[name], what)
                if tracks[name].left_ns is None and what.rate_hz in RATES_HZ and len(what.pcm):
                    pushed[name][what.rate_hz] += len(what.pcm)
            else:
                tracks[name].set_muted(bool(what), at_ns)
        units += session.advance(now_ns)
        if each_tick is not None:
            each_tick(session)
    units += session.finish(end_ns)
    reports = [source.report(start_ns=0, end_ns=end_ns) for source in session.sources]
    for name, report in zip(tracks, reports, strict=True):
        assert arrived(report) == pushed[name] or report.error
    return b"".join(units), reports


def push(track: SourceTrack, frame: Frame) -> None:
    """As a source does it."""
    given = (frame.pcm, frame.rate_hz, frame.pts, frame.at_ns, frame.gap_is_silence)
    if not track.inbox.offer(*given):
        track.inbox.put(*given)


def play(
    frames: Iterable[Frame],
    seconds: float,
    *,
    rate_hz: int = 48000,
    tick_s: float = 0.2,
    mutes: Sequence[tuple[float, bool]] = (),
) -> tuple[Pcm, SourceReport]:
    """Record one participant's ``frames`` to PCM."""
    data, reports = run(
        {"alice": Part(list(frames), mutes=mutes)}, seconds, rate_hz=rate_hz, tick_s=tick_s
    )
    return pcm_of(data), reports[0]


def pcm_of(data: bytes) -> Pcm:
    """The samples of a WAV's data."""
    samples: Pcm = np.frombuffer(data, "<i2").astype(np.int16, copy=False)
    return samples


def decoded_aac(data: bytes, *, every_channel: bool = False) -> npt.NDArray[np.float32]:
    """The samples of an ADTS stream, full scale 1.0, by FFmpeg's decoder: of its first channel, or
    ``(channels, frames)``."""
    with av.open(io.BytesIO(data), mode="r", format="aac") as container:
        channels = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], 1)
    return channels if every_channel else channels[0]


def snr_between(signal: npt.NDArray[np.float64], other: npt.NDArray[np.float32]) -> float:
    """How far, in dB, what differs is below the signal."""
    return float(10 * np.log10(np.square(signal).sum() / np.square(signal - other).sum()))


def shifts_of(
    pieces: Iterable[tuple[float, Pcm]], recording: Pcm, rate_hz: int, *, slack_s: float = 0.03
) -> npt.NDArray[np.float64]:
    """By how many seconds each of ``pieces`` is heard later than the time that stands with it; inf
    where it cannot be found that near."""
    slack = round(slack_s * rate_hz)
    padded = np.concatenate([np.zeros(slack), recording.astype(np.float64), np.zeros(slack)])
    shifts = []
    for at_s, pcm in pieces:
        start = round(at_s * rate_hz)
        around = padded[start : start + 2 * slack + len(pcm)]
        likeness = (
            np.correlate(around, pcm.astype(np.float64), "valid")
            / np.square(pcm, dtype=np.float64).sum()
        )
        best = int(likeness.argmax())
        shifts.append((best - slack) / rate_hz if likeness[best] > 0.5 else np.inf)
    return np.array(shifts)


def spans(report: SourceReport, kind: IntervalKind) -> list[tuple[float, float]]:
    """The report's intervals of one kind."""
    return [(each.start_s, each.end_s) for each in report.intervals if each.kind is kind]


# -- a signal that tells at any moment where it is ------------------------------------------------

_LOW_HZ, _HIGH_HZ = 400, 410
_BLOCK_S = 0.1
"""One beat of the two: their phases repeat after it."""


def beat(seconds: float, rate_hz: int, amplitude: int = 6000) -> Pcm:
    """Two tones whose phases tell the position modulo 0.1 s."""
    turns = np.arange(round(seconds * rate_hz)) / rate_hz
    both = np.sin(2 * np.pi * _LOW_HZ * turns) + np.sin(2 * np.pi * _HIGH_HZ * turns)
    pcm: Pcm = np.rint(amplitude * both).astype(np.int16)
    return pcm


def beat_phases(pcm: Pcm, rate_hz: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What block after block of 0.1 s says: by how many seconds the beat comes later than one that
    began at the first sample (-0.05 to 0.05), and the phase of its lower tone in seconds,
    unwrapped."""
    size = round(_BLOCK_S * rate_hz)
    blocks = pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float32)
    times = np.arange(size) / rate_hz
    low, high = (
        blocks @ np.exp(-2j * np.pi * hz * times).astype(np.complex64) for hz in (_LOW_HZ, _HIGH_HZ)
    )
    difference = np.angle(high * np.conj(low))
    late_s = -difference / (2 * np.pi * (_HIGH_HZ - _LOW_HZ))
    fine_s = -np.unwrap(np.angle(low)) / (2 * np.pi * _LOW_HZ)
    return late_s, fine_s


def beat_clicks(pcm: Pcm, rate_hz: int) -> float:
    """The largest thing in ``pcm`` that is not the two tones, within a few units of int16: a filter
    with zeros at both tones leaves only what is none of them."""
    kernel = np.ones(1)
    for hz in (_LOW_HZ, _HIGH_HZ):
        kernel = np.convolve(kernel, [1, -2 * np.cos(2 * np.pi * hz / rate_hz), 1])
    samples = pcm.astype(np.float64)
    rest = np.zeros(len(pcm) - 4)
    for lag, weight in enumerate(kernel):
        rest += weight * samples[lag : lag + len(rest)]
    return float(np.abs(rest).max())
