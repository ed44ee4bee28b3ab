"""What the engine tells its user."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeAlias

from ..types import AudioRecordingCode, AudioRecordingWarning

Answer: TypeAlias = Awaitable[None] | None
"""Nothing, or what an ``async`` callback gives."""


class ChannelEventCallback:
    """Override what you want to hear of, with plain methods or ``async`` ones.

    Called on the event loop's thread. What a callback raises is logged and harms nothing. An
    ``async`` one goes on as a task of its own, for which nobody waits, not even the end.
    """

    def on_audio_recording(self, code: AudioRecordingCode, file_path: str) -> Answer:
        """A recording was started, finished, refused or broken off."""

    def on_audio_recording_warning(self, code: AudioRecordingWarning, detail: str) -> Answer:
        """The running recording suffers from something."""

    def on_user_joined(self, uid: str) -> Answer:
        """Somebody is in the room."""

    def on_user_left(self, uid: str, reason: str) -> Answer:
        """Somebody is no longer in the room."""

    def on_user_recording(self, uid: str, recording: bool) -> Answer:
        """Somebody else started or stopped recording the room."""

    def on_user_consent(self, uid: str, agrees: bool) -> Answer:
        """Somebody agreed to be recorded, or does not, or no longer."""

    def on_disconnect(self, reason: str) -> Answer:
        """The room is lost for good."""
