"""Roomtape records what a real-time audio room hears."""

from .engine import ChannelEventCallback, RtcEngine
from .local_audio import FileAudio, LocalAudio, PushedAudio, TrackAudio
from .recorder import AudioRecorder
from .source import Source
from .types import (
    AudioFrame,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingCycleTime,
    AudioRecordingPosition,
    AudioRecordingQuality,
    AudioRecordingWarning,
    ErrorCode,
    Interval,
    IntervalKind,
    RecordingEvent,
    RecordingReport,
    SourceReport,
)

__all__ = [
    "AudioFrame",
    "AudioRecorder",
    "AudioRecordingCode",
    "AudioRecordingConfiguration",
    "AudioRecordingCycleTime",
    "AudioRecordingPosition",
    "AudioRecordingQuality",
    "AudioRecordingWarning",
    "ChannelEventCallback",
    "ErrorCode",
    "FileAudio",
    "Interval",
    "IntervalKind",
    "LocalAudio",
    "PushedAudio",
    "RecordingEvent",
    "RecordingReport",
    "RtcEngine",
    "Source",
    "SourceReport",
    "TrackAudio",
]

__version__ = "0.1.0"
