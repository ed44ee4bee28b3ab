"""The recorder warning tone: what tells a room again and again that it is recorded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..types import AudioFrame, Pcm
from ..types.clock import Clock
from .local_audio import FRAME_SAMPLES, LOCAL_RATE_HZ, LocalAudio, PacedAudio

# Half a second of 1400 Hz, usually every 15 s, recorded together with the conversation: "recorder
# warning tone" in Federal Standard 1037C.
BEEP_HZ = 1400
BEEP_S = 0.5
BEEP_PEAK = 3277  # -20 dBFS: as loud as somebody who speaks
_RAMP_S = 0.01  # so that it does not click


class Beeper:
    """Adds the tone to 48 kHz audio: at once, and every ``every_s`` seconds.

    Args:
        every_s: Seconds from the beginning of one to that of the next.
        paused: Whether nothing is recorded just now: then there is none, and one right after that.
    """

    def __init__(self, every_s: float, paused: Callable[[], bool]) -> None:
        self._every = max(round(every_s * LOCAL_RATE_HZ), len(_BEEP))
        self._paused = paused
        self._position = 0  # since the last one began
        self._over = False

    def stop(self) -> None:
        """There is none any more."""
        self._over = True

    def added_to(self, pcm: Pcm) -> Pcm:
        """The same, of shape ``(frames,)``, with the tone where it is due."""
        if self._over or self._paused():
            self._position = 0
            return pcm
        beep = np.zeros(len(pcm), np.int32)
        at = 0
        while at < len(pcm):
            count = min(len(pcm) - at, self._every - self._position)
            piece = _BEEP[self._position : self._position + count]
            beep[at : at + len(piece)] = piece
            self._position = (self._position + count) % self._every
            at += count
        if not beep.any():
            return pcm
        added: Pcm = np.clip(pcm + beep, -32768, 32767).astype(np.int16)
        return added


class BeepingAudio(LocalAudio):
    """What somebody says, and the tone with it. It is never muted, whoever speaks may be: the tone
    is to be heard.

    Args:
        voice: What is said; it sets the pace.
        beeper: Adds the tone.
    """

    def __init__(self, voice: LocalAudio, beeper: Beeper) -> None:
        super().__init__()
        self.voice = voice
        self._beeper = beeper
        self._unsubscribe: Callable[[], None] | None = None

    def start(self, clock: Clock) -> None:
        if self._unsubscribe is None:
            self._unsubscribe = self.voice.subscribe(self._take)
        self.voice.start(clock)

    async def stop(self) -> None:
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()
        await self.voice.stop()

    async def _run(self, clock: Clock) -> None:
        raise AssertionError(f"the voice sets the pace, and not {clock}")

    def _take(self, frame: AudioFrame) -> None:
        if frame.pts is not None:
            self._pts = frame.pts
        self._emit(self._beeper.added_to(frame.pcm))


class NoVoice(PacedAudio):
    """Silence, for who publishes nothing but the tone."""

    def __init__(self) -> None:
        super().__init__()
        self._muted = True

    def _take(self) -> Pcm:
        return np.zeros(FRAME_SAMPLES, np.int16)


def _beep() -> Pcm:
    count, ramp = round(BEEP_S * LOCAL_RATE_HZ), round(_RAMP_S * LOCAL_RATE_HZ)
    envelope = np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / ramp)
    cycles = np.arange(count) * (2 * np.pi * BEEP_HZ / LOCAL_RATE_HZ)
    beep: Pcm = np.rint(np.sin(cycles) * envelope * BEEP_PEAK).astype(np.int16)
    return beep


_BEEP = _beep()
