"""Finishing a file that was recorded to, while the recording goes on in the next one."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path

from ...audio.source_track import SourceTrack
from ...storage.sink import Sink
from ...storage.stems.stem_cut import StemCut
from ...storage.stems.stem_file import StemFile
from ...types import NS_PER_S, RecordingReport
from ...types.clock import Clock
from ...types.errors import FileError
from ..marks import Marks
from ..reporting.reporter import Reporter
from ..reservation import in_words

logger = logging.getLogger(__name__)

_MOST_HASH_S = 3600.0
"""Nobody waits for the hash of a file that is over while the recording is not."""


class Closing:
    """:meth:`start`

    Args:
        sink: What is written to no more. It belongs to this from now on.
        rate_hz: Of the recording.
        stem_files: Whose stems are beside it, if any are.
        placed: Says in its report which files come before and after it.
        reporter, marks: What is said of it.
        on_end: Told once, before :attr:`outcome` is there.
        clock: When.
    """

    def __init__(
        self,
        sink: Sink,
        rate_hz: int,
        *,
        stem_files: Mapping[SourceTrack, StemFile],
        placed: Callable[[RecordingReport], RecordingReport],
        reporter: Reporter,
        marks: Marks,
        on_end: Callable[[Closing], None],
        clock: Clock,
    ) -> None:
        self._sink = sink
        self._rate_hz = rate_hz
        self._stem_files = stem_files
        self._placed = placed
        self._stems: StemCut | None = None
        self._turn = threading.Lock()
        self._begun = False
        self._reporter = reporter
        self._marks = marks
        self._on_end = on_end
        self._clock = clock
        self.report: RecordingReport | None = None
        """What is in it, once it is closed."""
        self.moved = ""
        """What somebody did to its name, in words."""
        self.error = ""
        """Why it could not be completed; empty if it was."""
        self.outcome: Future[RecordingReport] = Future()
        """The report, or a FileError."""
        self.outcome.set_running_or_notify_cancel()  # who waits for it cannot cancel it

    @property
    def path(self) -> str:
        """Where the file is."""
        return str(self._sink.path) if self.report is None else self.report.file_path

    def let_go(self) -> None:
        """In a forked child: close the descriptor and do nothing else."""
        self._sink.let_go()

    def start(self, stems: StemCut | None = None) -> None:
        """Begin, once; with the stems beside it, if there are any."""
        with self._turn:
            begun, self._begun = self._begun, True
        if begun:
            return
        self._stems = stems
        if not self._clock.threads:
            self._run()
            return
        try:
            threading.Thread(target=self._run, name="roomtape-part", daemon=True).start()
        except RuntimeError:  # no more threads; then whoever calls waits for it
            self._run()

    def _run(self) -> None:
        try:
            report = self._closed()
        except Exception as error:  # a defect of ours must not keep anybody waiting
            logger.exception("%s cannot be reported on", self._sink.path)
            self.error = self.error or f"internal error: {error!r}"
            report = None
        self.report = report
        self._on_end(self)
        if report is not None and not self.error:
            self.outcome.set_result(report)
        else:
            self.outcome.set_exception(FileError(f"{self._sink.path}: {self.error}"))

    def _closed(self) -> RecordingReport:
        ended_ns = self._sink.samples * NS_PER_S // self._rate_hz
        # What is at the very border belongs to the next file.
        marks = [each for each in self._marks.all() if each.sample < self._sink.samples]
        try:
            finished = self._sink.finish(marks)
        except Exception as error:
            self.error = in_words(error)
            finished = self._sink.abandon()
        self.moved = finished.moved
        stems, projects = self._finished_stems()
        report = self._reporter.made(
            finished, ended_ns, marks=marks, stems=stems, projects=projects
        )
        report = self._placed(dataclasses.replace(report, error=self.error))
        return self._reporter.kept(report, ended_ns, most_hash_s=_MOST_HASH_S)

    def _finished_stems(self) -> tuple[dict[SourceTrack, str], tuple[Path, ...]]:
        if self._stems is None:
            return {}, ()
        self._stems.finish()
        paths = self._stems.paths
        return {
            track: str(paths[file])
            for track, file in tuple(self._stem_files.items())
            if file in paths
        }, self._stems.projects
