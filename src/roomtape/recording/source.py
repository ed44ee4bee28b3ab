"""The end that a program pushes one participant's audio into."""

from __future__ import annotations

import logging

from aiortc import MediaStreamTrack

from ..audio.inbox import Inbox
from ..audio.source_track import SourceTrack
from ..media.tracks import frames_of
from ..types import NS_PER_S, FrameOrigin, Pcm
from ..types.clock import Clock
from .door import checked_frame

logger = logging.getLogger(__name__)

_MOST_QUEUED_NS = 600 * NS_PER_S


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
            sample_rate: Hz, 4000 to 384000, of any integer-like type. It may change from call to
                call.
            pts: The position of the first sample on the source's own clock, in samples at
                ``sample_rate``, of any integer-like type. Without it, each push follows the one
                before, and a pause in the pushes is a pause in the recording.
            gap_is_silence: What ``pts`` skips was left out by the sender (DTX, mute), not lost.

        Raises:
            ValueError: The array is of another type or shape, the rate is not one of audio, the
                timestamp is no whole number, or ten minutes of pushed audio wait already. The
                recording goes on.
        """
        arrived_ns = self._clock.now_ns() - self._start_ns
        inbox = self._inbox
        if inbox is None or not inbox.offer(pcm, sample_rate, pts, arrived_ns, gap_is_silence):
            self._push_anything(pcm, sample_rate, pts, arrived_ns, gap_is_silence)  # hardly ever

    def _push_anything(
        self, pcm: Pcm, sample_rate: int, pts: int | None, arrived_ns: int, gap_is_silence: bool
    ) -> None:
        try:
            pcm, sample_rate, pts = checked_frame(pcm, sample_rate, pts)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        gap_is_silence = bool(gap_is_silence)
        track = self._track
        if track is None or self._closed or not len(pcm):
            return
        if track.waiting_ns > _MOST_QUEUED_NS:
            raise ValueError(
                f"{self.name}: ten minutes of pushed audio wait already; push no faster than it "
                "is spoken"
            )
        track.inbox.put(pcm.copy(), sample_rate, pts, arrived_ns, gap_is_silence)

    def count_origin(
        self, origin: FrameOrigin, samples: int, sample_rate: int, *, left_out: int = 0
    ) -> None:
        """Say how audio that was just pushed had come, for the report.

        Args:
            origin: Whether it had been lost on the way.
            samples: How much, at ``sample_rate``.
            sample_rate: Hz.
            left_out: Samples that came before it and were not pushed, since they came faster than
                they can have been spoken.
        """
        if self._track is not None and not self._closed:
            self._track.count_origin(origin, samples, sample_rate, left_out)

    def count_loss(self, samples: int, sample_rate: int) -> None:
        """Say that so much was lost, of a transport that does not say where (it conceals it); 0,
        to say that it is one. ``sample_rate`` is in Hz."""
        if self._track is not None and not self._closed:
            self._track.count_loss(samples, sample_rate)

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

    def connect(self, track: SourceTrack, start_ns: int) -> None:
        """For the recorder: what is pushed from now on goes to ``track``, whose time 0 is at
        ``start_ns``. Call it once."""
        self._start_ns = start_ns
        self._track, self._inbox = track, track.inbox
        if self._muted:
            self.set_muted(True)
        if self._closed:
            self.close()

    def disconnect(self) -> None:
        """For the recorder: what is pushed from now on is dropped, without a look at anything that
        another thread may have held."""
        self._closed = True
        self._track = self._inbox = None


async def pull(track: MediaStreamTrack, source: Source) -> None:
    """Push what an aiortc track gives, until it ends; then close the source."""
    async for frame in frames_of(track, source.name):
        try:
            source.push(frame.pcm, frame.sample_rate, frame.pts)
        except ValueError as error:
            logger.warning("a frame is left out: %s", error)
    source.close()
