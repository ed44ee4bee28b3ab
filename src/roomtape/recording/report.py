"""The report of a recording, from what its session mixed and what reached its file."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..audio.session import RecordingSession
from ..storage.sink import Finished
from ..types import NS_PER_S, AudioRecordingConfiguration, RecordingReport
from .disk_writer import DiskWriter


def make_report(
    config: AudioRecordingConfiguration,
    session: RecordingSession,
    writer: DiskWriter,
    *,
    started_at: datetime,
    ended_ns: int,
    finished: Finished | None,
    warnings: list[str],
    error: str,
) -> RecordingReport:
    """Sum up a recording that is over.

    Args:
        config: What was asked for.
        session, writer: What was mixed, and what of it was written.
        started_at: The UTC time of the first sample that was mixed.
        ended_ns: When it ended, from its start: what was heard by then and is not in the file is
            lost.
        finished: The complete file; None if an error ended the recording.
        warnings, error: In words.
    """
    rate_hz = config.sample_rate
    mixed = session.progress
    there = finished or writer.abandoned
    samples = there.samples if there else writer.samples
    first = there.first_sample if there else 0
    start_ns = first * NS_PER_S // rate_hz
    # The last AAC frame is padded; the recording is not longer for it.
    end_ns = min(first + samples, mixed.mixed_samples) * NS_PER_S // rate_hz
    heard = max(mixed.mixed_samples, ended_ns * rate_hz // NS_PER_S)
    unwritten = 0 if finished else max(0, heard - writer.samples)
    path = there.path if there else config.path
    return RecordingReport(
        file_path=str(path),
        format=config.format.value,
        sample_rate=rate_hz,
        channels=1,
        duration_s=samples / rate_hz,
        started_at=started_at + timedelta(microseconds=start_ns / 1000),
        bytes_written=there.file_bytes if there else 0,
        limited_s=mixed.limited_samples / rate_hz,
        unwritten_s=unwritten / rate_hz,
        skipped_s=first / rate_hz,
        warnings=tuple(warnings),
        sources=tuple(track.report(start_ns=start_ns, end_ns=end_ns) for track in session.sources),
        error=error,
    )
