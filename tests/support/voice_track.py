"""An aiortc track that says something once, at the pace of speech, and then is silent."""

from __future__ import annotations

import asyncio
import fractions
import time

import av
import numpy as np
from aiortc import MediaStreamTrack

from roomtape.types import Pcm

FRAME, RATE_HZ = 960, 48000


class VoiceTrack(MediaStreamTrack):
    """Says ``pcm``, mono at 48 kHz, from when it is first read."""

    kind = "audio"

    def __init__(self, pcm: Pcm) -> None:
        super().__init__()
        self._pcm = pcm
        self._at = 0
        self._start_s: float | None = None

    async def recv(self) -> av.AudioFrame:
        if self._start_s is None:
            self._start_s = time.monotonic()
        await asyncio.sleep(max(0.0, self._start_s + self._at / RATE_HZ - time.monotonic()))
        pcm = self._pcm[self._at : self._at + FRAME]
        pcm = np.concatenate([pcm, np.zeros(FRAME - len(pcm), np.int16)])
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts = RATE_HZ, self._at
        frame.time_base = fractions.Fraction(1, RATE_HZ)
        self._at += FRAME
        return frame
