"""The words of the recording contract: enumerations, the configuration, and the events.

Names and numbers of the enumerations are those of the NERTC SDK, so that code and
dashboards written against it keep their meaning.
"""

from __future__ import annotations

import dataclasses
import enum
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .checked import (
    checked_beep,
    checked_names,
    checked_path,
    checked_split,
    checked_word,
    one_of,
)
from .errors import ConfigurationError, SuffixError

SAMPLE_RATES_HZ = (16000, 32000, 44100, 48000)
"""The sample rates that a recording can have: those of the contract, and no others."""
_ANY_SOURCE = " (what is recorded may have any)"


CHANNELS = (1, 2)
"""One for everybody, or the local side left and the remote side right."""


class AudioRecordingQuality(enum.IntEnum):
    """The bit rate of an AAC recording; WAV ignores it."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2


class AudioRecordingPosition(enum.IntEnum):
    """Whose audio a recording holds."""

    MIXED_RECORDING_AND_PLAYBACK = 0
    """Everybody."""
    RECORDING = 1
    """Only what the local user publishes."""
    MIXED_PLAYBACK = 2
    """Only the remote users, mixed."""

    def takes(self, *, local: bool) -> bool:
        """Whether the local user's audio, or a remote one's, goes into the recording."""
        if self is AudioRecordingPosition.MIXED_RECORDING_AND_PLAYBACK:
            return True
        return local == (self is AudioRecordingPosition.RECORDING)


class AudioRecordingCycleTime(enum.IntEnum):
    """The last how many seconds a recording keeps; ``LIVE`` keeps everything."""

    LIVE = 0
    SECONDS_10 = 10
    SECONDS_60 = 60
    SECONDS_360 = 360
    SECONDS_900 = 900


class AudioRecordingCode(enum.IntEnum):
    """What happened to a recording (``ChannelEventCallback.on_audio_recording``)."""

    ERROR_SUFFIX = 1
    """The path ends in neither .wav nor .aac; nothing was started."""
    OPEN_FILE_FAILED = 2
    """The file cannot be created; nothing was started."""
    START = 3
    ERROR = 4
    """Writing failed (typically: disk full). The task is over; what was written is readable."""
    FINISH = 5
    """The file is complete."""
    SAVED = 6
    """A part of the running recording is complete, in a file of its own."""
    SAVE_FAILED = 7
    """It could not be saved; the recording goes on."""
    PROMOTED = 8
    """A cyclic recording is a live one from now on, at this path."""
    PROMOTE_FAILED = 9
    """It cannot become one; the cyclic recording goes on as it was."""
    DEMOTED = 10
    """A live recording is a cyclic one from now on."""
    DEMOTE_FAILED = 11
    """It cannot become one; the live recording goes on as it was."""
    PART_FINISHED = 12
    """A part of the running recording is complete, and the recording goes on in another file."""
    PART_FAILED = 13
    """It could not be completed; it is readable to its end, and the recording goes on."""


class AudioRecordingWarning(enum.IntEnum):
    """What a running recording suffers from (``on_audio_recording_warning``). No number is one of
    :class:`AudioRecordingCode`, so that one listener can be told both."""

    NO_AUDIO = 101
    """A participant who is not muted has sent nothing for 10 s."""
    SILENT_AUDIO = 102
    """A participant who is not muted has sent only digital zero for 10 s."""
    LIMITING = 103
    """The mix exceeds full scale so often that the limiter works most of the time."""
    LOW_DISK_SPACE = 104
    """The disk will be full in minutes."""
    SLOW_DISK = 105
    """Writes take seconds; audio waits in memory."""
    LATE_AUDIO = 106
    """A participant's audio arrives too late to be placed."""
    UNRECOVERED_RING = 107
    """A crashed cyclic recording lies beside the target; ``roomtape recover`` finishes it."""
    SOURCE_FAILED = 108
    """A participant's audio made something fail; it is recorded no further, all others are."""
    FILE_MOVED = 109
    """Somebody renamed or removed the file while it was recorded to."""
    SUSPENDED = 110
    """The machine slept; nothing of that time is in the recording."""
    TIMESTAMPS = 111
    """A participant's timestamps do not count its samples; they are not used."""
    TRACK_IGNORED = 112
    """A track that is no audio was to be recorded; it is not."""
    AUDIO_LEFT_OUT = 113
    """A participant's audio comes faster than it can have been spoken; what is over a bound is
    left out."""
    PACKETS_DROPPED = 114
    """This machine had no time to take a participant's packets, and its kernel dropped some."""
    SPLIT_FAILED = 115
    """The next file of a split recording cannot be begun; it goes on in the one before."""
    STEM_FAILED = 120
    """A participant has no stem, or only the beginning of one; the mix has all of it."""


class ErrorCode(enum.IntEnum):
    """What every call of :class:`roomtape.RtcEngine` returns."""

    OK = 0
    FATAL = 30001
    INVALID_PARAM = 30003
    INVALID_STATE = 30005
    ROOM_ALREADY_JOINED = 30100
    ROOM_NOT_JOINED = 30101


class Consent(enum.StrEnum):
    """Whether who is recorded must have agreed to it."""

    NOT_ASKED = "not_asked"
    REQUIRED = "required"
    """Nobody but the local side is heard before it agreed."""


class AudioFormat(enum.StrEnum):
    """The two file formats, named by their suffix."""

    WAV = "wav"
    AAC = "aac"


@dataclass(frozen=True)
class AudioRecordingConfiguration:
    """What to record, and where to.

    Building one never fails, because the engine answers a bad value with a return code;
    :meth:`validate` says what is wrong.

    Args:
        file_path: The file to write; its suffix (.wav or .aac, any case) chooses the format.
        sample_rate: 16000, 32000, 44100 or 48000 Hz.
        quality: The bit rate of an AAC file.
        position: Whose audio to record.
        cycle_time: 0 writes the file live; 10, 60, 360 or 900 keep only the last so many
            seconds and put the file at ``file_path`` when the recording stops.
        report: Write the report beside the file, as ``call.aac.json``. An older file that is moved
            aside takes its report along (``call.1.aac``, ``call.1.aac.json``).
        channels: 1 mixes all into one; 2 puts the local side left and the remote side right.
        stems: A directory for one file of each participant and stay besides the mix, in the same
            format; it is made if it is not there.
        sign: The Ed25519 private key (a PEM file without a passphrase) to sign the report with; it
            is written then in any case. The key is read before the recording starts.
        split_s: Record to numbered files (``call-001.wav``, ...), a new one each so many seconds,
            at least 1; without a lost or a doubled sample. Their reports are written, and name
            each other. Only for live recordings.
        split_bytes: The same, before a file would be larger than so many bytes, at least 65536.
        exclude: Participants who are not to be heard, whenever they come: see
            :meth:`roomtape.AudioRecorder.exclude`.
        consent: "required" records a participant only once it agreed: see
            :meth:`roomtape.AudioRecorder.agree`; "not_asked" (default) does not ask.
        beep_s: Let the room hear a beep at the start and every so many seconds, 1 to 3600: the
            recorder warning tone. Only of an engine, in a room that hears the local user.

        level: Bring quiet and loud speakers together before they are summed: each goes slowly to
            -23 LUFS while they speak (ITU-R BS.1770), by 18 dB at most. Off, no sample changes.

    Numbers may be of any type that is an integer (NumPy's too); :meth:`checked` makes plain ones of
    them.
    """

    file_path: str | os.PathLike[str]
    _: dataclasses.KW_ONLY
    sample_rate: int = 32000
    quality: AudioRecordingQuality | int = AudioRecordingQuality.MEDIUM
    position: AudioRecordingPosition | int = AudioRecordingPosition.MIXED_RECORDING_AND_PLAYBACK
    cycle_time: AudioRecordingCycleTime | int = AudioRecordingCycleTime.LIVE
    report: bool = False
    channels: int = 1
    stems: str | os.PathLike[str] | None = None
    sign: str | os.PathLike[str] | None = None
    exclude: Sequence[str] = ()
    split_s: float | None = None
    split_bytes: int | None = None
    consent: Consent | str = Consent.NOT_ASKED
    beep_s: float | None = None
    level: bool = False

    @property
    def path(self) -> Path:
        """``file_path``, absolute. A symlink in its last part is not followed."""
        name = os.fsdecode(self.file_path)
        return Path(os.path.abspath(name))  # noqa: PTH100 (resolve() follows links)

    @property
    def split(self) -> bool:
        """Whether it goes to numbered files."""
        return self.split_s is not None or self.split_bytes is not None

    @property
    def first_path(self) -> Path:
        """The file that it begins in: :attr:`path`, or the first of the numbered ones."""
        return part_path(self.path, 1) if self.split else self.path

    @property
    def stems_path(self) -> Path | None:
        """``stems``, absolute."""
        if self.stems is None:
            return None
        return Path(os.path.abspath(os.fsdecode(self.stems)))  # noqa: PTH100

    @property
    def format(self) -> AudioFormat:
        """The format that the suffix asks for.

        Raises:
            SuffixError: The suffix is neither .wav nor .aac.
        """
        name = os.fsdecode(self.file_path)
        suffix = os.path.splitext(name)[1]  # noqa: PTH122 (".wav" has no stem)
        try:
            return AudioFormat(suffix[1:].lower())
        except ValueError:
            raise SuffixError(
                f"cannot record to {name!r}: the file name must end in .wav or .aac"
            ) from None

    def validate(self) -> None:
        """Check every value.

        Raises:
            SuffixError: The suffix is neither .wav nor .aac.
            ConfigurationError: A value is not in the contract's table.
        """
        self.checked()

    def checked(self) -> AudioRecordingConfiguration:
        """The same with every value of the contract's own type: a path, and plain integers.

        Raises:
            SuffixError, ConfigurationError: As :meth:`validate`.
        """
        path = checked_path(self.file_path)
        _ = self.format
        stems = None if self.stems is None else checked_path(self.stems, "stems")
        if stems == "":
            raise ConfigurationError("stems is empty; it must name a directory")
        split_s, split_bytes = checked_split(self.split_s, self.split_bytes)
        split = split_s is not None or split_bytes is not None
        if split and self.cycle_time != AudioRecordingCycleTime.LIVE:
            raise ConfigurationError("a cyclic recording is not split; record live (cycle_time 0)")
        return AudioRecordingConfiguration(
            path,
            sample_rate=one_of("sample_rate", self.sample_rate, SAMPLE_RATES_HZ, _ANY_SOURCE),
            quality=AudioRecordingQuality(
                one_of("quality", self.quality, tuple(AudioRecordingQuality))
            ),
            position=AudioRecordingPosition(
                one_of("position", self.position, tuple(AudioRecordingPosition))
            ),
            cycle_time=AudioRecordingCycleTime(
                one_of("cycle_time", self.cycle_time, tuple(AudioRecordingCycleTime))
            ),
            report=bool(self.report) or self.sign is not None or split,
            channels=one_of("channels", self.channels, CHANNELS),
            stems=stems,
            sign=None if self.sign is None else checked_path(self.sign, "sign"),
            exclude=checked_names(self.exclude),
            consent=checked_word("consent", self.consent, Consent),
            beep_s=None if self.beep_s is None else checked_beep(self.beep_s),
            split_s=split_s,
            split_bytes=split_bytes,
            level=bool(self.level),
        )


def part_path(path: Path, number: int) -> Path:
    """The ``number``-th file of a split recording: ``call-002.wav``."""
    return path.with_name(f"{path.stem}-{number:03d}{path.suffix}")


@dataclass(frozen=True, slots=True)
class RecordingEvent:
    """One event of a recording.

    Attributes:
        code: What happened.
        file_path: The absolute path of the recording that it happened to.
        detail: The same in words, with numbers; empty where the code says everything.
    """

    code: AudioRecordingCode | AudioRecordingWarning
    file_path: str
    detail: str = ""
