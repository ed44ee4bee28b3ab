"""What a recording holds, and what it lacks."""

from __future__ import annotations

import dataclasses
import enum
import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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


class LeftOut(enum.StrEnum):
    """Why audio that came is not in a recording, though it came in time and once."""

    TOO_FAST = "too_fast"
    """It came faster than it can have been spoken, or in several streams at once, and the room
    left it out."""
    TOO_MUCH = "too_much"
    """Ten minutes of pushed audio waited already; ``push`` said so."""
    BEFORE_START = "before_start"
    """It belongs before the first sample of the recording."""
    CLOCK = "clock"
    """It was squeezed, or silence taken out, to follow a sender's clock that runs fast."""
    CLEARED = "cleared"
    """A bot's speech, withdrawn before it was heard."""
    FAILED = "failed"
    """The source failed before it was placed."""


@dataclass(frozen=True, slots=True)
class SampleCounts:
    """What became of each sample of a source that came at one rate.

    ``arrived`` is the sum of all others, exactly.

    Attributes:
        rate_hz: The rate.
        arrived: All that came.
        placed: In the file.
        late: Came too late to be placed.
        duplicate: Came twice; counted once.
        after_end: Came, and belongs behind the end of the file.
        left_out: Everything else, by reason.
    """

    rate_hz: int
    arrived: int
    placed: int
    late: int
    duplicate: int
    after_end: int
    left_out: dict[LeftOut, int]

    @property
    def unaccounted(self) -> int:
        """What nobody knows what became of: 0."""
        known = self.placed + self.late + self.duplicate + self.after_end
        return self.arrived - known - sum(self.left_out.values())


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
        left_out_s: Audio that came in time and is not in the recording; ``left_out`` says why.
        unlisted_s: What the intervals leave out for being too many and too short.
        error: Why it was recorded no further, though the recording went on; empty if it was.
        stem: The absolute path of the file with this participant alone; empty if there is none.
        arrived_s: All audio that came:
            ``received_s + late_s + duplicate_s + after_end_s + left_out_s``.
        after_end_s: Audio that came, and belongs behind the end of the file: the end of the last
            frame, or what a program pushed ahead.
        dropped_packets: What the kernel dropped of its packets, because this process did not take
            them in time. Where they were sent again, or made up for, nothing is missing.
        left_out: How much of it for which reason, in seconds.
        stays: How many stays this entry is about: 1, but for the last entry of a report that would
            have too many. That one has the sums of so many, of whom least came.
        samples: The same in samples, one entry for each sample rate, exact.
        silenced_s: Of what came, so much is silence, or a tone, in the recording, since it was
            excluded or masked, or the recording was paused. (It counts as received.)
        loss_positions: Whether it is known where something was lost. Where it is not (LiveKit's
            SDK, which conceals it), ``lost_s`` is a total, and the intervals have none of it.
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
    arrived_s: float = 0.0
    after_end_s: float = 0.0
    left_out: dict[LeftOut, float] = field(default_factory=dict)
    samples: tuple[SampleCounts, ...] = ()
    dropped_packets: int = 0
    stays: int = 1
    loss_positions: bool = True
    stem: str = ""
    silenced_s: float = 0.0


class PauseMode(enum.StrEnum):
    """What stands in a recording where it is paused."""

    SILENCE = "silence"
    TONE = "tone"
    """So that a listener knows."""
    SKIP = "skip"
    """Nothing: the time is cut out."""


class ActKind(enum.StrEnum):
    """What somebody decided of a recording."""

    EXCLUDED = "excluded"
    INCLUDED = "included"
    FORGOTTEN = "forgotten"
    AGREED = "agreed"
    WITHDRAWN = "withdrawn"
    MASKED = "masked"
    UNMASKED = "unmasked"
    PAUSED = "paused"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class Act:
    """Something that somebody decided of who is heard.

    Attributes:
        kind: What.
        at_s: Seconds from sample 0 of the file; negative where that was before it.
        who: The participant; empty for all.
        by: Who decided it, as the program says; empty where it does not.
        how: What stands there then: of a mask "tone" or "silence", of a pause "skip", too; else
            empty.
    """

    kind: ActKind
    at_s: float
    who: str
    by: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What became of a voice that was to be forgotten.

    Attributes:
        silenced_s: So much of what a cyclic recording held is silence now.
        still_in: The files in which it is still to be heard, absolute: live files, stems, and parts
            that were complete; of each kind the latest thousand.
    """

    silenced_s: float
    still_in: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimeCut:
    """Time that was cut out of a file.

    Attributes:
        at_s: Where in the file, in seconds.
        lasted_s: How much is missing there. What follows it in the file was so much later than what
            came before.
    """

    at_s: float
    lasted_s: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that somebody gave a name.

    Attributes:
        at_s: Seconds from sample 0 of the file (or of the recording, as long as it runs).
        sample: The same in samples, exactly.
        label: Its name, at most 200 characters.
    """

    at_s: float
    sample: int
    label: str


@dataclass(frozen=True)
class ReportProof:
    """What shows that a report is as it was written.

    The canonical form is that of RFC 8785, of the whole report but for this.

    Attributes:
        report_sha256: The SHA-256 of the canonical form, in hex.
        algorithm: "Ed25519"; empty if it is not signed.
        public_key: The signer's, 32 bytes in Base64.
        signature: Of the canonical form, 64 bytes in Base64.
    """

    report_sha256: str
    algorithm: str = ""
    public_key: str = ""
    signature: str = ""


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
        skipped_s: How much of the recording is older than the file: what the cycle let go.
        warnings: What happened on the way, in words.
        sources: One entry a participant and stay, 300 at most; in the last one, then, is the sum
            of all others.
        error: Why the recording ended early; empty if it did not.
        suspended_s: For how long the machine slept meanwhile; nothing of it is in the file.
        saved_from: The recording that this is a saved part of; empty if it is none. Its
            ``skipped_s`` is where in the recording it begins.
        missing_s: Of a saved part: how much of what was asked for there was not.
        sha256: Of the file as it was when it was finished, in hex; empty where it could not be
            read (the warnings say why).
        proof: What seals, and maybe signs, a report that was written beside its file.
        marks: The moments in the file that were given a name, in their order.
        stems: The files of one participant and stay each: absolute paths, in the order of coming.
        projects: What opens all of them in an editor: for Audacity, and for Reaper.
        acts: Who agreed to be recorded or withdrew, was excluded, masked or forgotten, and no
            longer, and when all of it was paused: 1000 at most.
        part: Of a split recording, the number of the file, from 1; 0 of one that is not.
        previous_file, next_file: Of a split recording, the files before and after it; empty where
            there is none.
        forgotten_s: How much of the file is silence because somebody was forgotten.
        consent: "required" where a participant was recorded only once it had agreed; the acts say
            when.
        cuts: Where pauses were cut out of the file, in their order: what tells the time of day of
            each moment in it (:meth:`time_of`). All other times count in the file.
        level: Whether quiet and loud speakers were brought together, so that nobody is as loud in
            the file as they were.
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
    saved_from: str = ""
    missing_s: float = 0.0
    sha256: str = ""
    proof: ReportProof | None = None
    marks: tuple[Mark, ...] = ()
    stems: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    acts: tuple[Act, ...] = ()
    part: int = 0
    previous_file: str = ""
    next_file: str = ""
    forgotten_s: float = 0.0
    cuts: tuple[TimeCut, ...] = ()
    consent: str = ""
    level: bool = False

    def time_of(self, at_s: float) -> datetime:
        """When a moment of the file was, by UTC; at a cut, when it went on."""
        lasted_s = sum(cut.lasted_s for cut in self.cuts if cut.at_s <= at_s)
        return self.started_at + timedelta(seconds=at_s + lasted_s)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-ready copy: the time as ISO 8601, no infinities."""
        plain = dataclasses.asdict(self)
        plain["started_at"] = self.started_at.isoformat()
        for source in plain["sources"]:
            if source["peak_dbfs"] == -math.inf:
                source["peak_dbfs"] = None
        return plain
