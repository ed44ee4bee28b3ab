"""Roomtape records what a real-time audio room hears.

The public names are loaded when they are first used, so that the command line starts quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .analysis.vcon import make_vcon, write_vcon
    from .engine import ChannelEventCallback, RtcEngine
    from .media.g711 import g711
    from .media.local_audio import FileAudio, LocalAudio, TrackAudio
    from .media.offline import MixInput, MixResult, mix_files
    from .media.pushed_audio import PushedAudio
    from .recording.recorder import AudioRecorder
    from .recording.sources.playout import PlayoutSource
    from .recording.sources.source import Source
    from .storage.proof.verify import Verdict, Verification, verify_recording
    from .types import (
        Act,
        ActKind,
        AudioFrame,
        AudioRecordingCode,
        AudioRecordingConfiguration,
        AudioRecordingCycleTime,
        AudioRecordingPosition,
        AudioRecordingQuality,
        AudioRecordingWarning,
        Consent,
        ErrorCode,
        Forgotten,
        Interval,
        IntervalKind,
        LeftOut,
        Mark,
        PauseMode,
        RecordingEvent,
        RecordingReport,
        ReportProof,
        SampleCounts,
        SourceReport,
        TimeCut,
    )
    from .types.errors import (
        ConfigurationError,
        DamagedFileError,
        FileError,
        MissingExtraError,
        OpenFileError,
        RoomError,
        RoomRefusedError,
        RoomtapeError,
        RoomUnreachableError,
        StateError,
        SuffixError,
    )

__version__ = "0.1.0"

_HOMES = {
    "analysis.vcon": ("make_vcon", "write_vcon"),
    "engine": ("ChannelEventCallback", "RtcEngine"),
    "media.g711": ("g711",),
    "media.local_audio": ("FileAudio", "LocalAudio", "TrackAudio"),
    "media.offline": ("MixInput", "MixResult", "mix_files"),
    "media.pushed_audio": ("PushedAudio",),
    "recording.recorder": ("AudioRecorder",),
    "storage.proof.verify": ("Verdict", "Verification", "verify_recording"),
    "recording.sources.playout": ("PlayoutSource",),
    "recording.sources.source": ("Source",),
    "types": (
        "Act",
        "ActKind",
        "AudioFrame",
        "AudioRecordingCode",
        "AudioRecordingConfiguration",
        "AudioRecordingCycleTime",
        "AudioRecordingPosition",
        "AudioRecordingQuality",
        "AudioRecordingWarning",
        "Consent",
        "ErrorCode",
        "Forgotten",
        "Interval",
        "IntervalKind",
        "LeftOut",
        "Mark",
        "PauseMode",
        "RecordingEvent",
        "RecordingReport",
        "ReportProof",
        "SampleCounts",
        "SourceReport",
        "TimeCut",
    ),
    "types.errors": (
        "ConfigurationError",
        "DamagedFileError",
        "FileError",
        "MissingExtraError",
        "OpenFileError",
        "RoomError",
        "RoomRefusedError",
        "RoomUnreachableError",
        "RoomtapeError",
        "StateError",
        "SuffixError",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "Act",
    "ActKind",
    "AudioFrame",
    "AudioRecorder",
    "AudioRecordingCode",
    "AudioRecordingConfiguration",
    "AudioRecordingCycleTime",
    "AudioRecordingPosition",
    "AudioRecordingQuality",
    "AudioRecordingWarning",
    "ChannelEventCallback",
    "ConfigurationError",
    "Consent",
    "DamagedFileError",
    "ErrorCode",
    "FileAudio",
    "FileError",
    "Forgotten",
    "Interval",
    "IntervalKind",
    "LeftOut",
    "LocalAudio",
    "Mark",
    "MissingExtraError",
    "MixInput",
    "MixResult",
    "OpenFileError",
    "PauseMode",
    "PlayoutSource",
    "PushedAudio",
    "RecordingEvent",
    "RecordingReport",
    "ReportProof",
    "RoomError",
    "RoomRefusedError",
    "RoomUnreachableError",
    "RoomtapeError",
    "RtcEngine",
    "SampleCounts",
    "Source",
    "SourceReport",
    "StateError",
    "SuffixError",
    "TimeCut",
    "TrackAudio",
    "Verdict",
    "Verification",
    "g711",
    "make_vcon",
    "mix_files",
    "verify_recording",
    "write_vcon",
]
