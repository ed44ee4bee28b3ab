"""Makes the reports of one recording, of its parts, and of what is saved of it."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from ...audio.outputs import Output
from ...audio.session import RecordingSession
from ...audio.source_track import SourceTrack
from ...storage.disk import Disk
from ...storage.naming import RING_SUFFIX
from ...storage.notes.cuts_note import remove_note
from ...storage.pieces.stretches import Stretches
from ...storage.proof.hashing import sha256_of
from ...storage.proof.seal import seal
from ...storage.report_file import write_report_file
from ...storage.sink import Finished
from ...types import NS_PER_S, Act, AudioRecordingConfiguration, Mark, RecordingReport
from ...types.clock import Clock
from ..events import EventFeed
from ..marks import Marks
from ..pump import Pump
from ..reservation import in_words
from ..saving.span import Span
from ..saving.stems import SavedStems
from ..writing.disk_writer import DiskWriter
from .report import make_report

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

logger = logging.getLogger(__name__)

HUNG_DISK_S = 60.0
"""A disk is waited for no longer at the end of a recording."""
MOST_HASH_S = 30.0
"""Nor is a file read back for longer then, for its hash."""

T = TypeVar("T")


class Reporter:
    """From any thread.

    Args:
        config, session, output, writer: What is recorded.
        pump: Which must stand still while its numbers are read.
        marks, events: What was marked and told so far.
        acts: What was decided of who is heard; see :meth:`~..sources.discretion.Discretion.acts`.
        signer: Who signs; None for nobody.
        started_at: The UTC time of sample 0.
        clock, disk: When, and where.
    """

    def __init__(
        self,
        config: AudioRecordingConfiguration,
        session: RecordingSession,
        output: Output,
        writer: DiskWriter,
        pump: Pump,
        *,
        marks: Marks,
        events: EventFeed,
        acts: Callable[[int, int], tuple[Act, ...]],
        signer: Ed25519PrivateKey | None,
        started_at: datetime,
        clock: Clock,
        disk: Disk,
    ) -> None:
        self._config = config
        self._session = session
        self._output = output
        self._writer = writer
        self._pump = pump
        self._marks = marks
        self._events = events
        self._acts = acts
        self._signer = signer
        self._started_at = started_at
        self._clock = clock
        self._disk = disk

    def made(
        self,
        finished: Finished | None,
        ended_ns: int,
        *,
        error: str = "",
        marks: Sequence[Mark] | None = None,
        stems: Mapping[SourceTrack, str] = MappingProxyType({}),
        projects: Sequence[Path] = (),
    ) -> RecordingReport:
        """The report of what is over: the recording, or a part of it.

        Args:
            finished: The complete file; None if it could not be completed.
            ended_ns: When it ended, from START.
            error: Why it was broken off; empty if it was not.
            marks: Those of the recording that can be in it; None for all.
            stems: Where the stem of each source is that has one.
            projects: What opens them all.
        """
        return self._pump.while_still(
            lambda: make_report(
                self._config,
                self._session,
                self._output,
                self._writer,
                started_at=self._started_at,
                ended_ns=ended_ns,
                finished=finished,
                warnings=self._events.warnings,
                error=error,
                suspended_ns=self._pump.suspended_ns,
                marks=self._marks.all() if marks is None else marks,
                acts=self._acts,
                stems=stems,
                projects=projects,
            )
        )

    def of_save(
        self,
        finished: Finished,
        span: Span,
        forgotten: Stretches,
        saved: SavedStems | None,
        *,
        now_ns: int,
    ) -> RecordingReport:
        """What is in a part that was saved, sealed; so much of it is silence, since somebody was
        forgotten; and these stems are beside it."""
        paths = {} if saved is None else saved.paths
        projects = () if saved is None else saved.projects
        report = self.made(finished, now_ns, stems=paths, projects=projects)
        failures = [] if saved is None else saved.failures
        report = dataclasses.replace(
            report,
            warnings=(*report.warnings, *(f"{now_ns / NS_PER_S:.1f} s: {w}" for w in failures)),
            saved_from=str(self._writer.sink.path),
            forgotten_s=forgotten.samples / self._config.sample_rate,
            missing_s=max(0, span.asked - finished.samples) / self._config.sample_rate,
        )
        return self._sealed(report)

    def kept(
        self, report: RecordingReport, ended_ns: int, *, most_hash_s: float
    ) -> RecordingReport:
        """With its hash; and written beside the file, sealed, if that is wanted. Raises nothing."""
        report = self._hashed(report, ended_ns, most_hash_s)
        if self._config.report:
            report = self._put_down(report)
        file = Path(report.file_path)
        if file.suffix != RING_SUFFIX:  # which is still to be recovered
            remove_note(file, self._disk)
        return report

    def _sealed(self, report: RecordingReport) -> RecordingReport:
        return dataclasses.replace(report, proof=seal(report.as_dict(), self._signer))

    def _hashed(self, report: RecordingReport, ended_ns: int, most_s: float) -> RecordingReport:
        """With the SHA-256 of the file, where writing it has not told that: of a live WAV, whose
        header comes first and is known last, and of what an error left."""
        if report.sha256 or not report.bytes_written:
            return report
        wanted = threading.Event()
        wanted.set()

        def work() -> str:
            fd = self._disk.open_existing(Path(report.file_path))
            try:
                return sha256_of(fd, self._disk, go_on=wanted.is_set)
            finally:
                self._disk.close(fd)

        try:
            return dataclasses.replace(report, sha256=self._in_time(work, most_s))
        except Exception as error:
            wanted.clear()
            words = f"{ended_ns / NS_PER_S:.1f} s: the SHA-256 is missing: {in_words(error)}"
            return dataclasses.replace(report, warnings=(*report.warnings, words))

    def _put_down(self, report: RecordingReport) -> RecordingReport:
        def work() -> None:
            write_report_file(Path(report.file_path), report.as_dict(), self._disk)

        try:
            report = self._sealed(report)
            self._in_time(work, HUNG_DISK_S)
        except Exception as error:
            words = "the report of %s cannot be written: %s"
            logger.warning(words, report.file_path, in_words(error))
        return report

    def _in_time(self, work: Callable[[], T], most_s: float) -> T:
        """What ``work`` returns or raises; a disk that hangs in it keeps nobody from the last
        event.

        Raises:
            TimeoutError: It takes too long, and goes on.
        """
        if not self._clock.threads:
            return work()
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)

        threading.Thread(target=run, name="roomtape-report", daemon=True).start()
        try:
            return done.result(most_s)
        except TimeoutError:
            raise TimeoutError(f"the disk has taken more than {most_s:.0f} s") from None
