"""What the engine tells its user."""

from __future__ import annotations

from ..types import AudioRecordingCode, AudioRecordingWarning


class ChannelEventCallback:
    """Override what you want to hear of. Called on the event loop's thread; what a callback
    raises is logged and harms nothing."""

    def on_audio_recording(self, code: AudioRecordingCode, file_path: str) -> None:
        """A recording was started, finished, refused or broken off."""

    def on_audio_recording_warning(self, code: AudioRecordingWarning, detail: str) -> None:
        """The running recording suffers from something."""

    def on_user_joined(self, uid: str) -> None:
        """Somebody is in the room."""

    def on_user_left(self, uid: str, reason: str) -> None:
        """Somebody is no longer in the room."""

    def on_user_recording(self, uid: str, recording: bool) -> None:
        """Somebody else started or stopped recording the room."""

    def on_disconnect(self, reason: str) -> None:
        """The room is lost for good."""
