"""What users import, and the numbers that they store: changing one breaks somebody."""

from __future__ import annotations

import enum
import importlib
import inspect
from pathlib import Path

import pytest

import roomtape
import roomtape.rooms
from roomtape import (
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingCycleTime,
    AudioRecordingPosition,
    AudioRecordingQuality,
    AudioRecordingWarning,
    ErrorCode,
    RecordingReport,
    SourceReport,
)
from support.program import run_python

NAMES = [
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


def test_the_public_names():
    assert sorted(roomtape.__all__) == NAMES
    for name in NAMES:
        assert getattr(roomtape, name).__name__ == name
        assert getattr(roomtape, name).__module__.startswith("roomtape.")


def test_the_rooms():
    assert sorted(roomtape.rooms.__all__) == [
        "LiveKitRoom",
        "LiveKitSdkRoom",
        "MemoryRoom",
        "Room",
        "RoomListener",
        "RtpRoom",
        "WebRtcRoom",
    ]
    for name in roomtape.rooms.__all__:
        assert getattr(roomtape.rooms, name)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Recorder'"):
        _ = roomtape.Recorder
    with pytest.raises(ImportError):
        importlib.import_module("roomtape.no_such_module")


def test_dir_and_star_show_what_there_is():
    assert {*NAMES} <= {*dir(roomtape)}
    code = "from roomtape import *; print(RtcEngine.__name__, AudioRecorder.__name__)"
    assert run_python(code).stdout == "RtcEngine AudioRecorder\n"
    fresh = run_python("import roomtape; print(*dir(roomtape))").stdout.split()
    assert {*NAMES} <= {*fresh}


def test_types_are_shipped():
    assert (Path(roomtape.__file__).parent / "py.typed").exists()


def test_importing_the_package_is_quick():
    done = run_python("import roomtape, sys; print({'numpy', 'aiortc'} & {*sys.modules})")
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (AudioRecordingQuality, {"LOW": 0, "MEDIUM": 1, "HIGH": 2}),
        (
            AudioRecordingPosition,
            {"MIXED_RECORDING_AND_PLAYBACK": 0, "RECORDING": 1, "MIXED_PLAYBACK": 2},
        ),
        (
            AudioRecordingCycleTime,
            {
                "LIVE": 0,
                "SECONDS_10": 10,
                "SECONDS_60": 60,
                "SECONDS_360": 360,
                "SECONDS_900": 900,
            },
        ),
        (
            AudioRecordingCode,
            {
                "ERROR_SUFFIX": 1,
                "OPEN_FILE_FAILED": 2,
                "START": 3,
                "ERROR": 4,
                "FINISH": 5,
                "SAVED": 6,
                "SAVE_FAILED": 7,
                "PROMOTED": 8,
                "PROMOTE_FAILED": 9,
                "DEMOTED": 10,
                "DEMOTE_FAILED": 11,
                "PART_FINISHED": 12,
                "PART_FAILED": 13,
            },
        ),
        (
            ErrorCode,
            {
                "OK": 0,
                "FATAL": 30001,
                "INVALID_PARAM": 30003,
                "INVALID_STATE": 30005,
                "ROOM_ALREADY_JOINED": 30100,
                "ROOM_NOT_JOINED": 30101,
            },
        ),
        (
            AudioRecordingWarning,
            {
                "NO_AUDIO": 101,
                "SILENT_AUDIO": 102,
                "LIMITING": 103,
                "LOW_DISK_SPACE": 104,
                "SLOW_DISK": 105,
                "LATE_AUDIO": 106,
                "UNRECOVERED_RING": 107,
                "SOURCE_FAILED": 108,
                "FILE_MOVED": 109,
                "SUSPENDED": 110,
                "TIMESTAMPS": 111,
                "TRACK_IGNORED": 112,
                "AUDIO_LEFT_OUT": 113,
                "PACKETS_DROPPED": 114,
                "SPLIT_FAILED": 115,
                "STEM_FAILED": 120,
            },
        ),
    ],
)
def test_the_numbers_of_the_contract(kind: type[enum.IntEnum], numbers: dict[str, int]):
    assert {each.name: each.value for each in kind} == numbers


def test_no_warning_has_the_number_of_a_code():
    # They are IntEnums: with one number, SLOW_DISK == FINISH would be true.
    assert not {*map(int, AudioRecordingWarning)} & {*map(int, AudioRecordingCode)}


def test_the_configuration_takes_the_path_alone_by_position():
    (first, *rest) = inspect.signature(AudioRecordingConfiguration).parameters.values()
    assert first.name == "file_path"
    assert [each.name for each in rest] == [
        "sample_rate",
        "quality",
        "position",
        "cycle_time",
        "report",
        "channels",
        "stems",
        "sign",
        "exclude",
        "split_s",
        "split_bytes",
        "consent",
        "beep_s",
        "level",
    ]
    assert {each.kind for each in rest} == {inspect.Parameter.KEYWORD_ONLY}


def test_the_fields_of_the_reports():
    assert [*RecordingReport.__dataclass_fields__] == [
        "file_path",
        "format",
        "sample_rate",
        "channels",
        "duration_s",
        "started_at",
        "bytes_written",
        "limited_s",
        "unwritten_s",
        "skipped_s",
        "warnings",
        "sources",
        "error",
        "suspended_s",
        "saved_from",
        "missing_s",
        "sha256",
        "proof",
        "marks",
        "stems",
        "projects",
        "acts",
        "part",
        "previous_file",
        "next_file",
        "forgotten_s",
        "cuts",
        "consent",
        "level",
    ]
    assert [*SourceReport.__dataclass_fields__] == [
        "name",
        "local",
        "joined_s",
        "left_s",
        "received_s",
        "lost_s",
        "late_s",
        "duplicate_s",
        "drift_ppm",
        "reanchored",
        "peak_dbfs",
        "intervals",
        "resent_s",
        "fec_s",
        "left_out_s",
        "unlisted_s",
        "error",
        "arrived_s",
        "after_end_s",
        "left_out",
        "samples",
        "dropped_packets",
        "stays",
        "loss_positions",
        "stem",
        "silenced_s",
    ]
