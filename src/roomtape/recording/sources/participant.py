"""What a recording knows of somebody in it, however the audio comes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from threading import Lock

from ...audio.session import RecordingSession
from ...audio.source_track import SourceTrack
from ...types import NS_PER_S, Pcm
from ...types.clock import Clock
from .stand_in import LIFT_NS, StandIn


class Participant(ABC):
    """One participant of a recording: a :class:`~roomtape.Source`, or a
    :class:`~roomtape.PlayoutSource`. Every method is thread-safe and never blocks.
    """

    _under_way_ns = LIFT_NS

    def __init__(self, name: str, *, local: bool, clock: Clock) -> None:
        self.name = name
        self.local = local
        self._clock = clock
        self._track: SourceTrack | None = None
        self._start_ns = 0
        self._muted = False
        self._closed = False
        self._gate = Lock()
        """Over a push, so that nothing of it comes in behind a decision that it does not."""
        self._stand_in: StandIn | None = None  # what is taken in place of what it says
        self._lift_ns: int | None = None  # it is so until then, and no longer
        self._stood_in = 0  # samples of it so far

    def set_muted(self, muted: bool) -> None:
        """The participant muted itself, or no longer; the report tells it from loss."""
        self._muted = muted
        if self._track is not None:
            self._track.set_muted(muted, self._clock.now_ns() - self._start_ns)

    def set_stand_in(self, stand_in: StandIn | None) -> None:
        """For the recorder: from now on, this comes in place of what it says; or (None) nothing
        does, as soon as nothing that it said before can come any more. When this has returned,
        nothing that was pushed since is on its way."""
        with self._gate:
            now_ns = self._clock.now_ns()
            if stand_in is not None:
                changed = self._stand_in is None or self._lift_ns is not None
                self._stand_in, self._lift_ns = stand_in, None
                if changed:
                    self._withdraw(stand_in)
            else:
                changed = self._stand_in is not None and self._lift_ns is None
                if changed:
                    self._lift_ns = now_ns + self._under_way_ns
        track = self._track
        if track is not None:
            track.silenced = stand_in is not None
            if changed:
                track.unmuted_ns = now_ns - self._start_ns
            if stand_in is not StandIn.SILENCE:
                wait_ns = max(self._under_way_ns, track.waiting_ns)
                track.curtain.lift(now_ns - self._start_ns + wait_ns)

    def _instead(self, samples: int, rate_hz: int) -> Pcm | None:
        """What is to be taken in place of so many samples; None for themselves. Under the gate."""
        if self._lift_ns is not None and self._clock.now_ns() >= self._lift_ns:
            self._stand_in, self._lift_ns = None, None
        if self._stand_in is None:
            return None
        first, self._stood_in = self._stood_in, self._stood_in + samples
        return self._stand_in.of(first, samples, rate_hz)

    def _withdraw(self, stand_in: StandIn) -> None:  # noqa: B027 (most have nothing that waits)
        """What waits to be heard later is not heard either, but this."""

    def _count_silenced(self, samples: int, rate_hz: int) -> None:
        """So much was taken in place of what it said."""
        if self._track is not None:
            self._track.silenced_ns += samples * NS_PER_S // rate_hz

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

    def enter(self, session: RecordingSession, *, start_ns: int) -> None:
        """For the recorder: what is pushed from now on is recorded, if the recording wants it; it
        began at ``start_ns``. Call it once."""
        self._start_ns = start_ns
        self._track = self._let_in(session, self._clock.now_ns() - start_ns)
        if self._track is None:
            return
        self._track.silenced = self._stand_in is not None
        if self._muted:
            self.set_muted(True)
        if self._closed:
            self.close()

    def disconnect(self) -> None:
        """For the recorder: what is pushed from now on is dropped, without a look at anything that
        another thread may have held."""
        self._closed = True
        self._track = None
        self._gate = Lock()

    @abstractmethod
    def _let_in(self, session: RecordingSession, joined_ns: int) -> SourceTrack | None:
        """Make a track of its kind; None if the recording does not want it."""
