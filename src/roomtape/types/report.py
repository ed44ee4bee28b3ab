"""What a recording holds, and what it lacks."""

from __future__ import annotations

import dataclasses
import enum
import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


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
        channels: 1, or 2: the local side left, the remote side right.
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
