"""The end that a program pushes one participant's audio into."""

from __future__ import annotations

import logging

import numpy as np
from aiortc import MediaStreamTrack

from ..audio.inbox import Inbox
from ..audio.source_track import SourceTrack
from ..clock import Clock
from ..media.tracks import frames_of
from ..types import NS_PER_S, Pcm

logger = logging.getLogger(__name__)

_MOST_QUEUED_NS = 600 * NS_PER_S
_INT16 = np.dtype(np.int16)
_RATES_HZ = range(4000, 384001)
_MOST_CHANNELS = 32


class Source:
    """One participant of a recording. Made by :meth:`roomtape.AudioRecorder.add_source`.

    Every method is thread-safe and never blocks. Audio that is pushed before the recording starts
    or after it has ended, or that the recording's position leaves out, is dropped.
    """

    def __init__(self, name: str, *, local: bool, clock: Clock) -> None:
        self.name = name
        self.local = local
        self._clock = clock
        self._track: SourceTrack | None = None
        self._inbox: Inbox | None = None  # the track's
        self._start_ns = 0
        self._muted = False
        self._closed = False

    def push(
        self,
        pcm: Pcm,
        sample_rate: int,
        pts: int | None = None,
        *,
        gap_is_silence: bool = False,
    ) -> None:
        """Hand over audio that has just been heard.

        Args:
            pcm: int16, shape ``(frames,)`` or ``(frames, channels)``; several channels are mixed
                down to one. The array is copied.
            sample_rate: Hz. It may change from call to call.
            pts: The position of the first sample on the source's own clock, in samples at
                ``sample_rate``. Without it, each push follows the one before, and a pause in the
                pushes is a pause in the recording.
            gap_is_silence: What ``pts`` skips was left out by the sender (DTX, mute), not lost.

        Raises:
            ValueError: The array is of another type or shape, the rate is not one of audio, or
                ten minutes of pushed audio wait already. The recording goes on.
        """
        arrived_ns = self._clock.now_ns() - self._start_ns
        inbox = self._inbox
        if inbox is None or not inbox.offer(pcm, sample_rate, pts, arrived_ns, gap_is_silence):
            self._push_anything(pcm, sample_rate, pts, arrived_ns, gap_is_silence)  # hardly ever

    def _push_anything(
        self, pcm: Pcm, sample_rate: int, pts: int | None, arrived_ns: int, gap_is_silence: bool
    ) -> None:
        if pcm.dtype != _INT16 or pcm.ndim != 1 or sample_rate not in _RATES_HZ:
            self._check(pcm, sample_rate)
        track = self._track
        if track is None or self._closed or not len(pcm):
            return
        if track.waiting_ns > _MOST_QUEUED_NS:
            raise ValueError(
                f"{self.name}: ten minutes of pushed audio wait already; push no faster than it "
                "is spoken"
            )
        track.inbox.put(pcm.copy(), sample_rate, pts, arrived_ns, gap_is_silence)

    def _check(self, pcm: Pcm, sample_rate: int) -> None:
        if pcm.dtype != _INT16 or pcm.ndim not in (1, 2):
            raise ValueError(
                f"{self.name}: pushed audio is {pcm.dtype} of shape {pcm.shape}; it must be int16 "
                "of shape (frames,) or (frames, channels)"
            )
        if sample_rate not in _RATES_HZ:
            raise ValueError(
                f"{self.name}: sample_rate is {sample_rate!r}; it must be 4000 to 384000"
            )
        if pcm.ndim == 2 and not 1 <= pcm.shape[1] <= _MOST_CHANNELS:
            raise ValueError(
                f"{self.name}: pushed audio has {pcm.shape[1]} channels; the shape must be "
                "(frames, channels)"
            )

    def set_muted(self, muted: bool) -> None:
        """The participant muted itself, or no longer; the report tells it from loss."""
        self._muted = muted
        if self._track is not None:
            self._track.set_muted(muted, self._clock.now_ns() - self._start_ns)

    def close(self) -> None:
        """The participant has left. What was pushed is still recorded."""
        self._closed = True
        if self._track is not None:
            self._track.leave(self._clock.now_ns() - self._start_ns)

    @property
    def level(self) -> float:
        """The peak of the last tenth of a second that was mixed, 0.0 to 1.0 (for meters)."""
        return self._track.level / 32768 if self._track is not None else 0.0

    @property
    def muted(self) -> bool:
        """Whether the participant said so."""
        return self._muted

    @property
    def closed(self) -> bool:
        """Whether the participant has left."""
        return self._closed

    def _connect(self, track: SourceTrack, start_ns: int) -> None:
        """The recorder lets the source in."""
        self._start_ns = start_ns
        self._track, self._inbox = track, track.inbox
        if self._muted:
            self.set_muted(True)
        if self._closed:
            self.close()


async def pull(track: MediaStreamTrack, source: Source) -> None:
    """Push what an aiortc track gives, until it ends; then close the source."""
    async for frame in frames_of(track, source.name):
        try:
            source.push(frame.pcm, frame.sample_rate, frame.pts)
        except ValueError as error:
            logger.warning("a frame is left out: %s", error)
    source.close()
