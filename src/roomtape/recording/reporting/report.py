"""The report of a recording, from what its session mixed and what reached its file."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from ...audio.outputs import Output
from ...audio.session import RecordingSession
from ...audio.source_track import SourceTrack
from ...storage.notes.cues import within
from ...storage.sink import Finished
from ...types import (
    NS_PER_S,
    Act,
    AudioRecordingConfiguration,
    Mark,
    RecordingReport,
    SourceReport,
)
from ...types.bounded import bounded
from ..writing.disk_writer import DiskWriter
from .file_clock import FileClock

logger = logging.getLogger(__name__)


def make_report(
    config: AudioRecordingConfiguration,
    session: RecordingSession,
    output: Output,
    writer: DiskWriter,
    *,
    started_at: datetime,
    ended_ns: int,
    finished: Finished | None,
    warnings: list[str],
    error: str,
    suspended_ns: int,
    marks: Sequence[Mark],
    acts: Callable[[int, int], tuple[Act, ...]],
    stems: Mapping[SourceTrack, str] = MappingProxyType({}),
    projects: Sequence[Path] = (),
) -> RecordingReport:
    """Sum up a recording that is over.

    Args:
        config: What was asked for.
        session, output, writer: What was mixed, what of that is recorded, and what was written.
        started_at: The UTC time of the first sample that was mixed.
        ended_ns: When it ended, from its start, without what was cut out: what was heard by then
            and is not in the file is lost.
        finished: The complete file; None if it could not be completed.
        warnings, error: In words.
        suspended_ns: For how long the machine slept.
        marks: On the recording's clock.
        acts: What was decided of who is heard, by a time and counted from another.
        stems: Where the stem of each source is that has one.
        projects: What opens them all.
    """
    rate_hz = config.sample_rate
    there = finished or writer.abandoned
    sink = writer.sink
    samples = there.samples if there else sink.samples - sink.first_sample
    first = there.first_sample if there else sink.first_sample
    # The last AAC frame is padded; the recording is not longer for it.
    end = min(first + samples, output.mixed_samples)
    clock = FileClock(session.pauses, first, end, rate_hz)
    heard = max(output.mixed_samples, ended_ns * rate_hz // NS_PER_S)
    unwritten = max(0, heard - writer.samples) if error else 0
    path = there.path if there else sink.path
    return RecordingReport(
        file_path=str(path),
        format=config.format.value,
        sample_rate=rate_hz,
        channels=config.channels,
        level=config.level,
        duration_s=samples / rate_hz,
        started_at=started_at + timedelta(microseconds=clock.start_ns / 1000),
        bytes_written=there.file_bytes if there else writer.written_bytes,
        limited_s=output.limited_samples / rate_hz,
        unwritten_s=unwritten / rate_hz,
        skipped_s=first / rate_hz,
        warnings=tuple(warnings),
        sources=bounded(
            [_report_of(track, clock, stems.get(track, "")) for track in session.sources],
            None if session.earlier is None else clock.clipped(session.earlier),
        ),
        error=error,
        suspended_s=suspended_ns / NS_PER_S,
        sha256=there.sha256 if there else "",
        marks=within(marks, first, samples, rate_hz),
        stems=tuple(stems.values()),
        projects=tuple(map(str, projects)),
        acts=acts(first * NS_PER_S // rate_hz, end * NS_PER_S // rate_hz),
        cuts=clock.cuts(),
        consent=str(config.consent),
        forgotten_s=writer.silenced.within(first, first + samples).samples / rate_hz,
    )


def _report_of(track: SourceTrack, clock: FileClock, stem: str) -> SourceReport:
    start_ns, end_ns = clock.start_ns, clock.end_ns
    try:
        report = track.report(start_ns=start_ns, end_ns=end_ns)
        return dataclasses.replace(clock.placed(report), stem=stem)
    except Exception as error:  # a source that failed must not cost the others their report
        logger.exception("what %s sent cannot be summed up", track.name)
        return SourceReport(
            name=track.name,
            local=track.local,
            joined_s=max(0, track.joined_ns - start_ns) / NS_PER_S,
            left_s=(end_ns - start_ns) / NS_PER_S,
            received_s=0.0,
            lost_s=0.0,
            late_s=0.0,
            duplicate_s=0.0,
            drift_ppm=0.0,
            reanchored=0,
            peak_dbfs=-math.inf,
            error=f"internal error: {error!r}",
            stem=stem,
        )
