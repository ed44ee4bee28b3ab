"""The words of the command line for the numbers of the contract."""

from __future__ import annotations

from enum import StrEnum

from ..types import AudioRecordingPosition, AudioRecordingQuality


class Quality(StrEnum):
    """The bit rate of an AAC file."""

    low = "low"
    medium = "medium"
    high = "high"

    def value_of(self) -> AudioRecordingQuality:
        return AudioRecordingQuality[self.name.upper()]


class Position(StrEnum):
    """Whose audio to record."""

    mixed = "mixed"
    local = "local"
    remote = "remote"

    def value_of(self) -> AudioRecordingPosition:
        return {
            Position.mixed: AudioRecordingPosition.MIXED_RECORDING_AND_PLAYBACK,
            Position.local: AudioRecordingPosition.RECORDING,
            Position.remote: AudioRecordingPosition.MIXED_PLAYBACK,
        }[self]
