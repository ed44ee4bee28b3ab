"""The words of the recording contract: enumerations, the configuration, frames and reports.

Names and numbers of the enumerations are those of the NERTC SDK, so that code and
dashboards written against it keep their meaning.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import operator
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import ConfigurationError, SuffixError

if TYPE_CHECKING:  # the command line has these types, but does without arrays for most of its work
    import numpy as np
    import numpy.typing as npt

Pcm: TypeAlias = "npt.NDArray[np.int16]"
"""Interleaved signed 16-bit PCM, shape ``(frames,)`` (mono) or ``(frames, channels)``."""

Block: TypeAlias = "npt.NDArray[np.float32]"
"""Samples, shape ``(frames, channels)``; full scale is 1.0."""

NS_PER_S = 1_000_000_000

SAMPLE_RATES_HZ = (16000, 32000, 44100, 48000)
"""The sample rates that a recording can have."""


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


class ErrorCode(enum.IntEnum):
    """What every call of :class:`roomtape.RtcEngine` returns."""

    OK = 0
    FATAL = 30001
    INVALID_PARAM = 30003
    INVALID_STATE = 30005
    ROOM_ALREADY_JOINED = 30100
    ROOM_NOT_JOINED = 30101


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
        report: Write the report beside the file, as ``call.aac.json``.

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

    @property
    def path(self) -> Path:
        """``file_path``, absolute. A symlink in its last part is not followed."""
        name = os.fsdecode(self.file_path)
        return Path(os.path.abspath(name))  # noqa: PTH100 (resolve() follows links)

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
        path = _checked_path(self.file_path)
        _ = self.format
        return AudioRecordingConfiguration(
            path,
            sample_rate=_one_of("sample_rate", self.sample_rate, SAMPLE_RATES_HZ),
            quality=AudioRecordingQuality(
                _one_of("quality", self.quality, tuple(AudioRecordingQuality))
            ),
            position=AudioRecordingPosition(
                _one_of("position", self.position, tuple(AudioRecordingPosition))
            ),
            cycle_time=AudioRecordingCycleTime(
                _one_of("cycle_time", self.cycle_time, tuple(AudioRecordingCycleTime))
            ),
            report=bool(self.report),
        )


def _checked_path(given: object) -> str:
    """``given`` as the name of a file that the system can have."""
    try:
        name = os.fsdecode(given)  # type: ignore[arg-type]  # whatever it is
        os.fsencode(name)
    except Exception as error:  # whatever somebody's own __fspath__ raises, too
        raise ConfigurationError(
            f"file_path is {given!r}; it must name a file ({type(error).__name__}: {error})"
        ) from None
    if "\0" in name:
        raise ConfigurationError("file_path contains a NUL character")
    return name


def _one_of(name: str, value: object, allowed: tuple[int, ...]) -> int:
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # whatever it is
    except TypeError:
        number = None
    # bool is an int to Python, and True would silently mean quality 1.
    if number is None or isinstance(value, bool) or number not in allowed:
        listed = ", ".join(str(int(choice)) for choice in allowed)
        raise ConfigurationError(f"{name} is {value!r}; it must be one of {listed}")
    return number


class FrameOrigin(enum.StrEnum):
    """How a frame came."""

    SENT = "sent"
    RESENT = "resent"
    """It was lost on the way, asked for again, and came."""
    FEC = "fec"
    """It was lost on the way; the packet after it held it in short (forward error correction)."""


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """A piece of one participant's audio, as a room hands it out.

    Attributes:
        pcm: int16, shape ``(frames,)`` or ``(frames, channels)``.
        sample_rate: Hz.
        pts: The first sample's position on the sender's own clock, in samples at
            ``sample_rate``; None where the transport gives no timestamps.
        gap_is_silence: The sender sent nothing between the previous frame and this one
            (DTX, mute), so a jump in ``pts`` is silence and not loss.
        origin: How it came.
        left_out: Samples that came since the frame before this one and are not handed out, since
            they came faster than they can have been spoken.
    """

    pcm: Pcm
    sample_rate: int
    pts: int | None = None
    gap_is_silence: bool = False
    origin: FrameOrigin = FrameOrigin.SENT
    left_out: int = 0


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


class IntervalKind(enum.StrEnum):
    """What a stretch of a participant's time in a recording was."""

    SPOKE = "spoke"
    """Audio above -50 dBFS."""
    LOST = "lost"
    """Audio was sent and is missing; silence stands in its place."""
    LATE = "late"
    """Audio arrived after its place had been mixed."""
    MUTED = "muted"
    STALLED = "stalled"
    """Nothing arrived for a second or more, without a word from the participant."""
    ABSENT = "absent"
    """Not in the room."""


@dataclass(frozen=True, slots=True)
class Interval:
    """``[start_s, end_s)`` seconds from sample 0 of the recording."""

    kind: IntervalKind
    start_s: float
    end_s: float


@dataclass(frozen=True)
class SourceReport:
    """What became of one participant's audio. Times count from sample 0 of the recording.

    Attributes:
        name: The participant.
        local: What the local user published.
        joined_s, left_s: When the source was added and closed (clipped to the recording).
        received_s: Audio that was placed in the recording.
        lost_s: Time filled with silence because audio was missing.
        late_s: Audio that came too late to be placed.
        duplicate_s: Audio that came twice; it counts once.
        drift_ppm: How much faster the sender's clock ran than ours.
        reanchored: How often the sender's timestamps made no sense and were anchored anew.
        peak_dbfs: The loudest sample, or -inf if all was digital zero.
        intervals: The stretches of time, in order of kind and start; of one kind, 6000 at most.
            At least a quarter of each was so.
        resent_s: Audio that was lost on the way, asked for again, and came. It is among what was
            received (or late).
        fec_s: Audio that was lost on the way, and that the packet after it held in short. It is
            among what was received (or late). What was lost on the way in all is
            ``lost_s - late_s + resent_s + fec_s``.
        left_out_s: Audio that the room received and left out, since it came faster than it can
            have been spoken.
        unlisted_s: What the intervals leave out for being too many and too short.
        error: Why it was recorded no further, though the recording went on; empty if it was.
    """

    name: str
    local: bool
    joined_s: float
    left_s: float
    received_s: float
    lost_s: float
    late_s: float
    duplicate_s: float
    drift_ppm: float
    reanchored: int
    peak_dbfs: float
    intervals: tuple[Interval, ...] = ()
    resent_s: float = 0.0
    fec_s: float = 0.0
    left_out_s: float = 0.0
    unlisted_s: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class RecordingReport:
    """What a recording holds, and what it lacks.

    Attributes:
        file_path: Absolute.
        format: wav or aac.
        sample_rate: Hz.
        channels: Always 1.
        duration_s: Length of the file.
        started_at: The UTC time of sample 0 of the file (timezone-aware).
        bytes_written: Size of the file, or what of it reached the disk.
        limited_s: How long the mix exceeded full scale and was turned down.
        unwritten_s: What was recorded until it ended but did not reach the file (an error, a hung
            disk).
        skipped_s: Audio older than the cycle that a cyclic recording let go.
        warnings: What happened on the way, in words.
        sources: One entry a participant and stay.
        error: Why the recording ended early; empty if it did not.
        suspended_s: For how long the machine slept meanwhile; nothing of it is in the file.
    """

    file_path: str
    format: str
    sample_rate: int
    channels: int
    duration_s: float
    started_at: datetime
    bytes_written: int
    limited_s: float
    unwritten_s: float = 0.0
    skipped_s: float = 0.0
    warnings: tuple[str, ...] = ()
    sources: tuple[SourceReport, ...] = field(default=())
    error: str = ""
    suspended_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """A JSON-ready copy: the time as ISO 8601, no infinities."""
        plain = dataclasses.asdict(self)
        plain["started_at"] = self.started_at.isoformat()
        for source in plain["sources"]:
            if source["peak_dbfs"] == -math.inf:
                source["peak_dbfs"] = None
        return plain
