"""What the local user publishes: its audio, and the recorder warning tone with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..media.beeping import Beeper, BeepingAudio, NoVoice
from ..media.local_audio import LocalAudio, TrackAudio
from ..rooms.base import Room
from ..types import AudioRecordingConfiguration
from ..types.clock import Clock
from ..types.errors import ConfigurationError
from .stay import Stay

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack


class Publishing:
    """Each call needs the engine's turn, but for :meth:`stop_beeping`.

    Args:
        room: Where it is heard.
        clock: When.
    """

    def __init__(self, room: Room, clock: Clock) -> None:
        self._room = room
        self._clock = clock
        self._beeper: Beeper | None = None
        self.local: LocalAudio | None = None
        """What the user gave."""
        self.published: LocalAudio | None = None
        """What the room gets."""

    @property
    def muted(self) -> bool:
        """Whether the room hears nothing of it. (The tone is heard, whoever is muted.)"""
        return self.published is None or self.published.muted

    async def set_local(self, local: LocalAudio | None, stay: Stay | None) -> None:
        """Publish this from now on, in this stay, if there is one."""
        await self._replace(local, self._beeper, stay)

    def beep_of(self, config: AudioRecordingConfiguration) -> float | None:
        """How often it asks for the tone.

        Raises:
            ConfigurationError: Nobody would hear it here; or a value cannot be.
        """
        beep_s = config.checked().beep_s
        if beep_s is not None and not self._room.can_publish:
            kind = type(self._room).__name__
            raise ConfigurationError(f"beep_s: the others hear nothing of us in a {kind}")
        return beep_s

    async def beep(self, beeper: Beeper | None, stay: Stay | None) -> None:
        """Add this from now on; None: nothing any more."""
        self.stop_beeping()
        if beeper is not self._beeper:
            await self._replace(self.local, beeper, stay)

    def stop_beeping(self) -> None:
        """At once; :meth:`beep` clears up."""
        if self._beeper is not None:
            self._beeper.stop()

    def publish_in(self, stay: Stay) -> None:
        """Begin in a room that was joined with :attr:`published`."""
        voice = self.published.voice if isinstance(self.published, BeepingAudio) else None
        stay.publish(self.published, self._clock, voice=voice)

    async def _replace(
        self, local: LocalAudio | None, beeper: Beeper | None, stay: Stay | None
    ) -> None:
        if stay is not None:
            await stay.stop_publishing()
        self.local, self._beeper = local, beeper
        self.published = local
        if beeper is not None:
            self.published = BeepingAudio(local or NoVoice(), beeper)
        if stay is not None and stay.going_on:
            self.publish_in(stay)
            await self._room.publish(self.published)


def local_of(track: MediaStreamTrack | LocalAudio | None) -> LocalAudio | None:
    """What a user gives, as audio to publish; it may be anything.

    Raises:
        ConfigurationError: It is no audio.
    """
    if track is None or isinstance(track, LocalAudio):
        return track
    if not (hasattr(track, "kind") and hasattr(track, "recv")):  # aiortc need not be installed
        kind = type(track).__name__
        raise ConfigurationError(f"{kind} is neither an aiortc track nor a LocalAudio")
    if track.kind != "audio":
        raise ConfigurationError(f"a {track.kind} track is no audio")
    return TrackAudio(track)
