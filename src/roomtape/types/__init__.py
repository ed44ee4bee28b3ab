"""The types that every part shares: audio, the words of the contract, the report."""

from .audio import (
    NS_PER_S,
    AudioFrame,
    Block,
    FrameOrigin,
    Pcm,
)
from .contract import (
    SAMPLE_RATES_HZ,
    AudioFormat,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingCycleTime,
    AudioRecordingPosition,
    AudioRecordingQuality,
    AudioRecordingWarning,
    ErrorCode,
    RecordingEvent,
)
from .report import (
    Interval,
    IntervalKind,
    LeftOut,
    Mark,
    RecordingReport,
    ReportProof,
    SampleCounts,
    SourceReport,
)

__all__ = [
    "NS_PER_S",
    "SAMPLE_RATES_HZ",
    "AudioFormat",
    "AudioFrame",
    "AudioRecordingCode",
    "AudioRecordingConfiguration",
    "AudioRecordingCycleTime",
    "AudioRecordingPosition",
    "AudioRecordingQuality",
    "AudioRecordingWarning",
    "Block",
    "ErrorCode",
    "FrameOrigin",
    "Interval",
    "IntervalKind",
    "LeftOut",
    "Mark",
    "Pcm",
    "RecordingEvent",
    "RecordingReport",
    "ReportProof",
    "SampleCounts",
    "SourceReport",
]
