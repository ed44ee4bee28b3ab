"""The end that a program pushes one participant's audio into."""

from __future__ import annotations

import operator
from datetime import datetime
from typing import Any

from ...audio.inbox import Inbox
from ...audio.session import RecordingSession
from ...audio.source_track import SourceTrack
from ...media.door import (
    Door,
    Pushed,
    Taken,
    WholeNumber,
    checked_captured,
    checked_pts,
    checked_pts_rate,
)
from ...types import NS_PER_S, FrameOrigin, LeftOut
from ...types.clock import Clock
from .participant import Participant
from .stamps import Captures, Stamps, UnitCheck, in_words

_MOST_QUEUED_NS = 600 * NS_PER_S
_MOST_CHUNK_NS = NS_PER_S // 2
"""A longer chunk without a timestamp is no microphone's: it was made before it is heard. (The mix
waits for so long; what is longer could not be placed to its beginning anyway.)"""


class Source(Participant):
    """A participant whose audio is pushed as it is heard. Made by
    :meth:`roomtape.AudioRecorder.add_source`. (A bot's, which is there before it is heard, goes to
    :meth:`roomtape.AudioRecorder.add_playout`.)

    Every method is thread-safe and never blocks. Audio that is pushed before the recording starts
    or after it has ended, or that the recording's position leaves out, is dropped.
    """

    def __init__(
        self, name: str, *, local: bool, clock: Clock, expects_silence: bool = False
    ) -> None:
        super().__init__(name, local=local, clock=clock)
        self.expects_silence = expects_silence
        self._inbox: Inbox | None = None  # the track's
        self._door = Door()
        self._stamps = Stamps()
        self._captures = Captures()
        self._units = UnitCheck()

    def push(
        self,
        data: Pushed,
        sample_rate: WholeNumber | None = None,
        pts: WholeNumber | None = None,
        *,
        channels: int | None = None,
        captured_ns: int | None = None,
        captured_at: datetime | float | None = None,
        pts_rate: WholeNumber | None = None,
        gap_is_silence: bool = False,
    ) -> None:
        """Hand over audio that has just been heard.

        Without a timestamp, each push follows the one before, and a pause in the pushes is a pause
        in the recording. A chunk of up to half a second ended when it was pushed; a longer one
        begins then.

        Args:
            data: int16, or floats whose full scale is 1.0, shape ``(frames,)`` or ``(frames,
                channels)``; PCM16 as bytes, bytearray or memoryview (what is no whole sample at the
                end waits for the next push); an ``av.AudioFrame``; a ``livekit.rtc.AudioFrame``.
                Several channels are mixed down to one. It is copied.
            sample_rate: Hz, 4000 to 384000, of any integer-like type; 16000.0 too. A frame knows
                its own. It may change from call to call.
            pts: The position of the first sample on the source's own clock, of any integer-like
                type. A frame has its own.
            channels: So many are interleaved in bytes, or in an array of one dimension; 1 if left
                out.
            captured_ns: When the first sample was heard, by ``time.monotonic_ns()``.
            captured_at: The same as a timezone-aware ``datetime``, or as ``time.time()`` has it.
            pts_rate: How many of ``pts`` make a second: 1000 for milliseconds; ``sample_rate`` if
                left out. Jitter of less than half a frame (and 0.02 s) is then not taken for loss.
            gap_is_silence: What ``pts`` skips was left out by the sender (DTX, mute), not lost.

        Raises:
            ValueError: It cannot be taken as audio, the rate is not one of audio, a timestamp is
                none, or ten minutes of pushed audio wait already. The recording goes on.
        """
        with self._gate:
            now_ns = self._clock.now_ns()
            arrived_ns = now_ns - self._start_ns
            inbox = self._inbox
            heard_ns = now_ns if captured_ns is None else captured_ns
            plain = pts is not None and captured_at is pts_rate is channels is None
            if (
                plain
                and self._stand_in is None
                and self._units.ratio is None
                and inbox is not None
                and type(heard_ns) is int
                and 0 <= now_ns - heard_ns <= _MOST_CHUNK_NS
                and inbox.offer(data, sample_rate, pts, heard_ns - self._start_ns, gap_is_silence)
            ):
                self._look(pts, data, sample_rate, arrived_ns)
                return
            try:
                taken = self._door.take(data, sample_rate, channels)
                stamp = taken.pts if pts is None else checked_pts(pts)
                per_s = taken.sample_rate if pts_rate is None else checked_pts_rate(pts_rate)
                captured_ns = checked_captured(captured_ns, captured_at, self._clock)
            except ValueError as error:
                raise ValueError(f"{self.name}: {error}") from None
            if self._track is not None and not self._closed and len(taken.pcm):
                silence = bool(gap_is_silence)
                instead = self._instead(len(taken.pcm), taken.sample_rate)
                if instead is not None:
                    taken = taken._replace(pcm=instead)
                self._hand_over(self._track, taken, stamp, per_s, arrived_ns, captured_ns, silence)
                if instead is not None:
                    self._count_silenced(len(taken.pcm), taken.sample_rate)

    def _hand_over(
        self,
        track: SourceTrack,
        taken: Taken,
        stamp: int | None,
        per_s: int,
        arrived_ns: int,
        captured_ns: int | None,
        gap_is_silence: bool,
    ) -> None:
        if track.waiting_ns > _MOST_QUEUED_NS:
            track.inbox.refuse(len(taken.pcm), taken.sample_rate, LeftOut.TOO_MUCH)
            raise ValueError(
                f"{self.name}: ten minutes of pushed audio wait already; push no faster than it "
                "is spoken, or to add_playout()"
            )
        if captured_ns is not None:
            captured_ns -= self._start_ns
        pcm, rate_hz, _ = taken
        if stamp is None and captured_ns is not None:
            stamp, captured_ns = self._captures.position(captured_ns, rate_hz, len(pcm))
            per_s = rate_hz
        if stamp is not None and per_s != rate_hz:
            stamp, small = self._stamps.position(stamp, per_s, rate_hz, len(pcm))
            gap_is_silence = gap_is_silence or small
        if stamp is not None:
            self._look(stamp, pcm, rate_hz, arrived_ns)
            if self._units.ratio is not None:
                stamp = captured_ns = None
        begun_ns = arrived_ns
        if captured_ns is not None:
            begun_ns = captured_ns
        elif stamp is None and len(pcm) * NS_PER_S // rate_hz <= _MOST_CHUNK_NS:
            begun_ns -= len(pcm) * NS_PER_S // rate_hz
        track.chunk_ns = max(track.chunk_ns, arrived_ns - begun_ns)
        if not track.inbox.offer(pcm, rate_hz, stamp, begun_ns, gap_is_silence):
            track.inbox.put(pcm.copy(), rate_hz, stamp, begun_ns, gap_is_silence)

    def count_origin(
        self,
        origin: FrameOrigin,
        samples: int,
        sample_rate: int,
        *,
        left_out: int = 0,
        dropped_packets: int = 0,
    ) -> None:
        """Say how audio that was just pushed had come, for the report.

        Args:
            origin: Whether it had been lost on the way.
            samples: How much, at ``sample_rate``.
            sample_rate: Hz.
            left_out: Samples that came before it and were not pushed, since they came faster than
                they can have been spoken.
            dropped_packets: What the kernel dropped before it.
        """
        if self._track is not None and not self._closed:
            self._track.count_origin(origin, samples, sample_rate, left_out, dropped_packets)

    def count_loss(self, samples: int, sample_rate: int) -> None:
        """Say that so much was lost, of a transport that does not say where (it conceals it); 0,
        to say that it is one. ``sample_rate`` is in Hz."""
        if self._track is not None and not self._closed:
            self._track.count_loss(samples, sample_rate)

    def disconnect(self) -> None:
        super().disconnect()
        self._inbox = None

    def _let_in(self, session: RecordingSession, joined_ns: int) -> SourceTrack | None:
        track = session.add_source(
            self.name, local=self.local, joined_ns=joined_ns, expects_silence=self.expects_silence
        )
        self._inbox = None if track is None else track.inbox
        return track

    def _look(self, pts: Any, pcm: Any, rate_hz: Any, arrived_ns: int) -> None:
        """Do the timestamps count what they must? If not, it is told of. (Each by itself was found
        to be in order.)"""
        units = self._units
        if units.unseen > 0:
            units.unseen -= 1  # nearly always
            return
        before = units.ratio
        units.look(operator.index(pts), len(pcm), operator.index(rate_hz), arrived_ns)
        if units.ratio != before and self._track is not None:
            words = "" if units.ratio is None else in_words(units.ratio, int(rate_hz))
            self._track.timestamps_off = words
