"""Whoever is in a recording: the part of a recorder that lets them in."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING

from ...audio.discretion.pauses import Pauses
from ...types import NS_PER_S, ActKind, AudioRecordingWarning, Consent, PauseMode
from ...types.bounded import MOST_SOURCES
from ...types.clock import Clock
from ...types.errors import StateError
from ..events import EventFeed
from .discretion import Discretion
from .participant import Participant
from .playout import MOST_QUEUED_S, PlayoutSource
from .source import Source
from .stand_in import StandIn
from .tracks import TrackReaders, loop_here, on_loop

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack

logger = logging.getLogger(__name__)


class Participants(ABC):
    """Knows everybody; a recorder is one.

    Args:
        clock: Of the recording.
        events: Who is told.
        pauses: Of the recording.
        consent: Whether a participant must have agreed.
    """

    def __init__(self, clock: Clock, events: EventFeed, pauses: Pauses, consent: Consent) -> None:
        self._clock = clock
        self._events = events
        self._sources: list[Participant] = []
        self._readers = TrackReaders()
        self._discretion = Discretion(pauses, consent)
        self._deciding = RLock()

    @property
    @abstractmethod
    def recording(self) -> bool:
        """Whether it runs."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether nobody can come in any more."""

    @property
    @abstractmethod
    def duration_s(self) -> float:
        """For how long it has been recording."""

    @property
    @abstractmethod
    def _runs_on(self) -> asyncio.AbstractEventLoop | None:
        """The event loop on which it began; None before."""

    @abstractmethod
    def _let_in(self, source: Participant) -> None:
        """Have it heard, if the recording runs."""

    @property
    def sources(self) -> tuple[Participant, ...]:
        """Everybody who is or was in the recording; of hundreds who left, the last ones."""
        return tuple(self._sources)

    # -- sources ------------------------------------------------------------------------------

    def add_source(
        self, name: str, *, local: bool = False, expects_silence: bool = False
    ) -> Source:
        """Let somebody in, before the start or at any time while it runs.

        Args:
            name: For the report; two sources may share one.
            local: What the local user publishes (positions RECORDING and MIXED_PLAYBACK tell it
                from the others).
            expects_silence: It may send nothing, or digital silence, for long: somebody who
                listens, a device that sends on speech. It is not warned of (NO_AUDIO,
                SILENT_AUDIO), and the report does not call it stalled.

        Raises:
            StateError: The recording is over.
        """
        source = Source(name, local=local, clock=self._clock, expects_silence=expects_silence)
        self._add(source)
        return source

    def add_playout(
        self, name: str, *, local: bool = False, max_queued_s: float = MOST_QUEUED_S
    ) -> PlayoutSource:
        """Let a bot in, whose speech is pushed as fast as it is made, and heard at the pace of
        speech.

        Args:
            name, local: See :meth:`add_source`.
            max_queued_s: How much may wait to be heard; it is kept in memory (0.1 MB a second at
                48000 Hz). A push beyond it is refused. 600 if left out, 86400 at most.

        Raises:
            StateError: The recording is over.
            ValueError: ``max_queued_s`` is none of these.
        """
        source = PlayoutSource(name, local=local, clock=self._clock, max_queued_s=max_queued_s)
        self._add(source)
        return source

    def add_track(
        self, track: MediaStreamTrack, *, name: str | None = None, local: bool = False
    ) -> Source:
        """Record an aiortc audio track until it ends. From any thread, once the recording runs.

        A track that is no audio (``on("track")`` gives those too) is left alone: TRACK_IGNORED
        tells, and the source that is returned is closed and in no report.

        The track must have no other reader: give each reader its own proxy with aiortc's
        ``MediaRelay``. A receiver's own track is recorded from its packets, before aiortc's jitter
        buffer loses any of them.

        Args:
            track: Any aiortc track.
            name: For the report; the track's id if left out.
            local: See :meth:`add_source`.

        Raises:
            StateError: The recording is over; or no event loop runs here, and the recording does
                not either.
        """
        name = name or track.id
        loop = self._runs_on or loop_here()
        if track.kind != "audio":
            words = f"{name}: a {track.kind} track is not recorded, only audio is"
            code = AudioRecordingWarning.TRACK_IGNORED
            logger.warning("%s", words)
            on_loop(loop, partial(self._events.warn, self.duration_s, code, words))
            ignored = Source(name, local=local, clock=self._clock)
            ignored.close()
            return ignored
        source = self.add_source(name, local=local)
        self._readers.add(track, source, loop)
        return source

    # -- who is kept out ----------------------------------------------------------------------

    def exclude(self, name: str, *, by: str = "") -> None:
        """Keep a participant's voice out, from the next frame on: silence stands in its place,
        in everything that is recorded, until :meth:`include`. Before the start, before it comes, or
        while it is there; all of that name, and all tracks of it. From any thread; any number of
        times. When this has returned, nothing that is pushed reaches the recording, nor does what
        waits in a playout source.

        Args:
            name: Of the participant, as in the report.
            by: Who wants it so, for the report.

        Raises:
            ValueError: ``name`` is no text, or ``by`` none of at most 200 characters.
        """
        self._decide(ActKind.EXCLUDED, name, by)

    def include(self, name: str, *, by: str = "") -> None:
        """Record whom :meth:`exclude` kept out, from a second later on: until then, what it said
        before may still be on its way. Arguments and errors are the same."""
        self._decide(ActKind.INCLUDED, name, by)

    def agree(self, name: str, *, by: str = "") -> None:
        """A participant agrees to be recorded. With ``consent="required"`` it is heard from a
        second later on, as after :meth:`include`, and not before; so are all tracks of it. Before
        the start, before it comes, or while it is there. What the local side publishes needs no
        consent. Arguments and errors are those of :meth:`exclude`."""
        self._decide(ActKind.AGREED, name, by)

    def withdraw(self, name: str, *, by: str = "") -> None:
        """A participant does not want to be recorded, or no longer: it is kept out from the next
        frame on, as by :meth:`exclude`, until it agrees; whether consent is required or not. (What
        was recorded stays: :meth:`forget`.)"""
        self._decide(ActKind.WITHDRAWN, name, by)

    def ask_again(self, name: str) -> None:
        """A participant has left, and what it said of its consent holds no longer: whoever comes
        under that name is asked anew."""
        with self._deciding:
            self._discretion.ask_again(name)
            for source in tuple(self._sources):
                source.set_stand_in(self._in_place_of(source))

    def mask(self, name: str, *, tone: bool = True, by: str = "") -> None:
        """Put a quiet tone in place of what a participant says (a card number), from the next frame
        on until :meth:`unmask`, so that a listener knows. The time goes on, and everything else is
        as with :meth:`exclude`, which is stronger where both are so.

        Args:
            name, by: See :meth:`exclude`.
            tone: False for silence in its place.

        Raises:
            ValueError: As :meth:`exclude`.
        """
        stand_in = StandIn.TONE if tone else StandIn.SILENCE
        self._decide(ActKind.MASKED, name, by, stand_in=stand_in)

    def unmask(self, name: str, *, by: str = "") -> None:
        """Record whom :meth:`mask` masked, from a second later on, as :meth:`include` does."""
        self._decide(ActKind.UNMASKED, name, by)

    def pause(self, mode: PauseMode | str = PauseMode.SILENCE, *, by: str = "") -> None:
        """Keep everybody out, as :meth:`exclude` does one, until :meth:`resume`. A pause of another
        mode takes the place of the one before.

        Args:
            mode: "silence": the time goes on, and the pause is silence in the file; "tone": a
                quiet tone, so that a listener knows (in the mix; a stem has silence); "skip": the
                time is cut out, and ``cuts`` in the report say where and how much. What is cut out
                goes on until voices are heard again.
            by: Who wants it so, for the report.

        Raises:
            ValueError: ``mode`` is none of these, or ``by`` is too long.
            StateError: A thousand pauses were cut out already.
        """
        try:
            checked = PauseMode(mode)
        except ValueError:
            listed = ", ".join(PauseMode)
            raise ValueError(f"mode is {mode!r:.40}; it must be one of {listed}") from None
        self._decide(ActKind.PAUSED, "", by, mode=checked)

    def resume(self, *, by: str = "") -> None:
        """Go on after :meth:`pause`. Who is excluded stays out."""
        self._decide(ActKind.RESUMED, "", by)

    @property
    def paused(self) -> bool:
        """Whether :meth:`pause` came last."""
        return self._discretion.paused

    def _decide(
        self,
        kind: ActKind,
        who: str,
        by: str,
        *,
        stand_in: StandIn = StandIn.SILENCE,
        mode: PauseMode = PauseMode.SILENCE,
    ) -> None:
        with self._deciding:
            now_ns = round(self.duration_s * NS_PER_S)
            self._discretion.decide(kind, who, by, now_ns, stand_in=stand_in, mode=mode)
            for source in tuple(self._sources):
                source.set_stand_in(self._in_place_of(source))

    def _in_place_of(self, source: Participant) -> StandIn | None:
        return self._discretion.in_place_of(source.name, local=source.local)

    def _add(self, source: Participant) -> None:
        if self.over:
            raise StateError("the recording is over; it takes no more sources")
        with self._deciding:
            source.set_stand_in(self._in_place_of(source))
            self._sources.append(source)
        self._let_in(source)
        if self.recording and len(self._sources) > 2 * MOST_SOURCES:
            earlier = [each for each in self._sources[:-MOST_SOURCES] if not each.closed]
            self._sources[:-MOST_SOURCES] = earlier
