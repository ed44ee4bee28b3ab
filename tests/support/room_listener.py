"""A room listener that remembers everything, and voices to know each other by."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from roomtape.media.pushed_audio import PushedAudio
from roomtape.types import AudioFrame

RATE_HZ = 48000


def voice(name: str, seconds: float) -> npt.NDArray[np.int16]:
    """Noise in the range of speech: each name's own, and unlike any other's."""
    random = np.random.default_rng(list(name.encode()))
    noise = random.normal(0, 1, round(seconds * RATE_HZ) + 15)
    return (np.convolve(noise, np.hanning(16), "valid") * 2500).astype(np.int16)


def speaking(name: str, seconds: float) -> PushedAudio:
    """Audio that says :func:`voice` once it is started."""
    audio = PushedAudio()
    audio.push(voice(name, seconds))
    return audio


def likeness(heard: npt.NDArray[np.int16], said: npt.NDArray[np.int16]) -> float:
    """How much of what was heard is what was said, at whatever offset; 0 to 1."""
    a, b = heard.astype(float), said.astype(float)
    size = 1 << (len(a) + len(b)).bit_length()
    product = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    lag = int(np.argmax(np.abs(product)))
    lag = lag if lag < len(a) else lag - size
    start, end = max(0, lag), min(len(a), lag + len(b))
    part = b[start - lag : end - lag]
    return float(abs(product[lag]) / (np.linalg.norm(a[start:end]) * np.linalg.norm(part) + 1))


class RoomEar:
    """Remembers what a room told. Events are tuples: ``("joined", "alice")``."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self.frames: defaultdict[str, list[AudioFrame]] = defaultdict(list)
        self.arrivals_ns: defaultdict[str, list[int]] = defaultdict(list)
        self._changed = asyncio.Event()

    def on_participant_joined(self, uid: str) -> None:
        self._note("joined", uid)

    def on_participant_left(self, uid: str, reason: str) -> None:
        self._note("left", uid, reason)

    def on_participant_recording(self, uid: str, recording: bool) -> None:
        self._note("recording", uid, recording)

    def on_participant_consent(self, uid: str, agrees: bool) -> None:
        self._note("consent", uid, agrees)

    def on_audio(self, uid: str, track: str, frame: AudioFrame) -> None:
        self.frames[uid].append(frame)
        self.arrivals_ns[uid].append(time.monotonic_ns())
        self._changed.set()

    def on_muted(self, uid: str, track: str, muted: bool) -> None:
        self._note("muted", uid, muted)

    def on_track_ended(self, uid: str, track: str) -> None:
        self._note("track ended", uid)

    def on_closed(self, reason: str) -> None:
        self._note("closed", reason)

    def pcm(self, uid: str, start: int = 0) -> npt.NDArray[np.int16]:
        """What was heard of a participant, from frame ``start`` on, without its gaps."""
        frames = self.frames[uid][start:]
        return np.concatenate([frame.pcm for frame in frames]) if frames else np.zeros(0, np.int16)

    async def until(self, condition: Callable[[], object], *, within_s: float = 120.0) -> None:
        """Wait until something is true of what was heard."""
        async with asyncio.timeout(within_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_event(self, *event: object, within_s: float = 120.0) -> None:
        """Wait for an event that begins like this."""
        await self.until(
            lambda: any(known[: len(event)] == event for known in self.events), within_s=within_s
        )

    async def until_heard(self, uid: str, seconds: float, *, within_s: float = 120.0) -> None:
        """Wait until so much more audio has come from a participant."""
        target = len(self.frames[uid]) + round(seconds * 50)
        await self.until(lambda: len(self.frames[uid]) >= target, within_s=within_s)

    def _note(self, *event: object) -> None:
        self.events.append(event)
        self._changed.set()
