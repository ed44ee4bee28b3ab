"""Whoever is in a recording: the part of a recorder that lets them in."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress

from aiortc import MediaStreamTrack

from ...types.clock import Clock
from ...types.errors import StateError
from .participant import Participant
from .playout import MOST_QUEUED_S, PlayoutSource
from .source import Source
from .tracks import pull


class Participants(ABC):
    """Knows everybody; a recorder is one. Belongs to one event loop.

    Args:
        clock: Of the recording.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sources: list[Participant] = []
        self._pulls: set[asyncio.Task[None]] = set()

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether nobody can come in any more."""

    @abstractmethod
    def _let_in(self, source: Participant) -> None:
        """Have it heard, if the recording runs."""

    @property
    def sources(self) -> tuple[Participant, ...]:
        """Everybody who is or was in the recording."""
        return tuple(self._sources)

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
        """Record an aiortc audio track until it ends.

        The track must have no other reader: give each reader its own proxy with aiortc's
        ``MediaRelay``.

        Args:
            track: Any aiortc track of kind "audio".
            name: For the report; the track's id if left out.
            local: See :meth:`add_source`.

        Raises:
            ValueError: It is not an audio track.
            StateError: The recording is over.
        """
        if track.kind != "audio":
            raise ValueError(f"a {track.kind} track cannot be recorded: an audio track is needed")
        source = self.add_source(name or track.id, local=local)
        task = asyncio.get_running_loop().create_task(pull(track, source))
        self._pulls.add(task)
        task.add_done_callback(self._pulls.discard)
        return source

    def _add(self, source: Participant) -> None:
        if self.over:
            raise StateError("the recording is over; it takes no more sources")
        self._sources.append(source)
        self._let_in(source)

    def _stop_pulling(self) -> None:
        for task in tuple(self._pulls):
            with suppress(RuntimeError):  # the loop is closed, and its tasks have ended
                task.cancel()
