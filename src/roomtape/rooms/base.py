"""What a room is to the rest of Roomtape.

A room is an adapter: whatever SDK or protocol stands behind it stops here. It knows
participants and audio frames, and nothing of recordings.

Contract, for every implementation:

* One listener, given to :meth:`Room.join`. Its methods are called on the event loop's
  thread, never block, and never raise into the room.
* ``on_participant_joined(uid)`` comes before anything else about ``uid``, and
  ``on_participant_left`` comes last. A participant who comes back joins anew.
* A participant can have several audio tracks; ``track`` tells them apart. Frames of one
  track come in the order in which they arrived.
* Frames are handed out as soon as they are decoded, or up to 0.04 s later with the time at
  which they came; :meth:`Room.hand_out_waiting` does it at once. The room neither waits for
  missing audio nor fills it in: placing audio in time is the recorder's work.
* The room consumes remote audio all the time, recording or not, so that no queue grows.
* ``on_closed`` means: lost for good, or left. It comes exactly once after a successful join.
  A connection that is being repaired is not closed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from ..media.local_audio import LocalAudio
from ..types import AudioFrame


class RoomListener(Protocol):
    """Whom a room tells what happens in it."""

    def on_participant_joined(self, uid: str) -> None: ...

    def on_participant_left(self, uid: str, reason: str) -> None: ...

    def on_participant_recording(self, uid: str, recording: bool) -> None:
        """``uid`` started or stopped recording the room."""

    def on_participant_consent(self, uid: str, agrees: bool) -> None:
        """``uid`` agrees to be recorded, or does not, or no longer."""

    def on_audio(self, uid: str, track: str, frame: AudioFrame) -> None: ...

    def on_muted(self, uid: str, track: str, muted: bool) -> None:
        """The participant muted or unmuted the track on purpose."""

    def on_track_ended(self, uid: str, track: str) -> None: ...

    def on_closed(self, reason: str) -> None: ...


class Room(ABC):
    """A real-time audio room."""

    @property
    def can_publish(self) -> bool:
        """Whether the others can hear the local user here."""
        return True

    @abstractmethod
    async def join(
        self,
        *,
        token: str | None,
        channel: str,
        uid: str,
        listener: RoomListener,
        local_audio: LocalAudio | None,
    ) -> None:
        """Join ``channel`` as ``uid`` and publish ``local_audio``.

        Raises:
            RoomUnreachableError: No server answers.
            RoomRefusedError: The server said no; the message has its reason.
        """

    def hand_out_waiting(self) -> None:  # noqa: B027 (most have nothing that waits)
        """Hand out all audio that has come. At any time; it never raises."""

    @abstractmethod
    async def leave(self) -> None:
        """Say goodbye and close every connection. Safe to call when not joined."""

    @abstractmethod
    async def publish(self, local_audio: LocalAudio | None) -> None:
        """Publish this from now on, instead of what was published before."""

    @abstractmethod
    async def set_muted(self, muted: bool) -> None:
        """Tell the others that the local user is muted or not. The audio itself is the
        business of :class:`~roomtape.media.local_audio.LocalAudio`."""

    async def ask_consent(self, asks: bool) -> None:  # noqa: B027 (not every room can)
        """Ask the others whether they agree to be recorded, or no longer; what they say comes by
        ``on_participant_consent``. A room in which nobody can be asked does nothing."""

    async def say_consent(self, agrees: bool) -> None:  # noqa: B027 (not every room can)
        """Tell the others whether the local user agrees to be recorded; it need not be asked."""

    @abstractmethod
    async def set_recording(self, recording: bool) -> None:
        """Tell the others whether this participant is recording the room."""
