"""What the local user publishes where a program makes it: a bot's speech."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import soxr

from ..audio.downmix import mixed_down
from ..types import Pcm
from .door import Door, Pushed, WholeNumber
from .local_audio import FRAME_SAMPLES, LOCAL_RATE_HZ, PacedAudio


class PushedAudio(PacedAudio):
    """Publishes what a program pushes, such as a bot's speech.

    Pushed audio waits until its turn comes; where nothing waits, silence goes out. :meth:`push` and
    :meth:`clear` are thread-safe, and never block.

    Args:
        max_queued_s: How much may wait. A push beyond it is refused.
    """

    def __init__(self, *, max_queued_s: float = 600.0) -> None:
        super().__init__()
        self._door = Door()
        self._pushing = threading.Lock()  # one push at a time; it may take a while to resample
        self._stream: _Stream | None = None  # at another rate; with the lock above
        self._lock = threading.Lock()  # over the queue, never held for long
        self._queue: deque[Pcm] = deque()
        self._queued = 0
        self._limit = round(max_queued_s * LOCAL_RATE_HZ)

    @property
    def queued_s(self) -> float:
        """How much pushed audio has not gone out yet."""
        return self._queued / LOCAL_RATE_HZ

    def push(
        self, data: Pushed, sample_rate: WholeNumber | None = None, *, channels: int | None = None
    ) -> None:
        """Say this after what was pushed before.

        Args:
            data, channels: See :meth:`roomtape.Source.push`.
            sample_rate: Hz; other rates than 48000 are converted, as one stream. 48000 if left out,
                for what does not know its own.

        Raises:
            ValueError: It cannot be taken as audio, or too much waits already.
        """
        with self._pushing:
            if sample_rate is None and getattr(data, "sample_rate", None) is None:
                sample_rate = LOCAL_RATE_HZ
            taken = self._door.take(data, sample_rate, channels)
            length = len(taken.pcm) * LOCAL_RATE_HZ // taken.sample_rate
            if self._queued + length > self._limit:
                raise ValueError(
                    f"{self.queued_s:.0f} s of pushed audio wait already; push no faster than "
                    "it can be said, or clear() first"
                )
            mono = mixed_down(taken.pcm)
            if taken.sample_rate == LOCAL_RATE_HZ:
                pieces = [*self._end_stream(), np.array(mono)]
            else:
                pieces = self._resampled(mono, taken.sample_rate)
            self._add(pieces)

    def clear(self) -> float:
        """Forget what waits: an interrupted bot falls silent at once.

        Returns:
            How many seconds that was.
        """
        with self._pushing:
            self._stream = None
            self._door.forget()
            with self._lock:
                queued, self._queued = self._queued, 0
                self._queue.clear()
        return queued / LOCAL_RATE_HZ

    def _resampled(self, mono: Pcm, rate_hz: int) -> list[Pcm]:
        rest: list[Pcm] = []
        if self._stream is None or self._stream.rate_hz != rate_hz:
            rest, self._stream = self._end_stream(), _Stream(rate_hz)
        return [*rest, self._stream.feed(mono)]

    def _end_stream(self) -> list[Pcm]:
        stream, self._stream = self._stream, None
        return [] if stream is None else [stream.end()]

    def _add(self, pieces: list[Pcm]) -> None:
        with self._lock:
            self._queue += [each for each in pieces if len(each)]
            self._queued += sum(map(len, pieces))

    def _take(self) -> Pcm:
        frame = np.zeros(FRAME_SAMPLES, np.int16)
        if self._muted:
            return frame
        filled = self._fill(frame, 0)
        # The resampler keeps the last of a sentence until more comes; nothing came in time.
        if filled < FRAME_SAMPLES and self._stream is not None and self._pushing.acquire(False):
            try:
                self._add(self._end_stream())
            finally:
                self._pushing.release()
            self._fill(frame, filled)
        return frame

    def _fill(self, frame: Pcm, filled: int) -> int:
        """Fill ``frame`` from there on with what waits; gives how far it came."""
        with self._lock:
            before = filled
            while self._queue and filled < len(frame):
                piece = self._queue[0][: len(frame) - filled]
                frame[filled : filled + len(piece)] = piece
                filled += len(piece)
                rest = self._queue[0][len(piece) :]
                if len(rest):
                    self._queue[0] = rest
                else:
                    self._queue.popleft()
            self._queued -= filled - before
        return filled


class _Stream:
    """Speech at one rate on its way to 48000 Hz, whatever pieces it comes in."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._stream = soxr.ResampleStream(rate_hz, LOCAL_RATE_HZ, 1, dtype="float32")

    def feed(self, pcm: Pcm, *, last: bool = False) -> Pcm:
        samples = self._stream.resample_chunk(pcm.astype(np.float32), last=last)
        whole: Pcm = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
        return whole

    def end(self) -> Pcm:
        """What it still keeps. Feed it no more."""
        return self.feed(np.zeros(0, np.int16), last=True)
