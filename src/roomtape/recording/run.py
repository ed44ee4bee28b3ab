"""A recording from START to FINISH or ERROR: what drives it, and the one way in which it ends."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..audio.outputs import Output
from ..audio.session import RecordingSession
from ..storage.disk import Disk
from ..storage.proof.hashing import sha256_of
from ..storage.proof.seal import seal
from ..storage.report_file import write_report_file
from ..storage.sink import Finished, Sink, SinkFormat
from ..storage.stems.files import StemFiles
from ..types import (
    NS_PER_S,
    Act,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingWarning,
    RecordingReport,
)
from ..types.clock import Clock
from .disk_writer import DiskWriter
from .events import EventFeed
from .health import Warnings
from .life import Life, RecorderState
from .loop_end import LoopEnd
from .marks import Marks
from .process_end import running
from .pump import Line, Pump
from .report import make_report
from .reservation import aside_in_words, in_words
from .saving.save import Save, SaveState
from .saving.saves import Saves
from .saving.span import Span
from .scheduler import Scheduler
from .sources.participant import Participant

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

logger = logging.getLogger(__name__)

_HUNG_DISK_S = 60.0
_MOST_HASH_S = 30.0
_SLOWEST_BYTES_PER_S = 1 << 20

T = TypeVar("T")


class Run:
    """Begins where it is made, on the running event loop, and ends with :meth:`end`.

    There is one way to end, whatever the reason: stop, a failure of the disk or of the mix, the end
    of the event loop or of the program. It always closes the file, makes the report, and tells
    FINISH or ERROR, once. A thread does it, so no cancellation and no loop that ends can leave it
    half done.

    Args:
        config: What to record; checked.
        session, output: What is mixed, and what of it is recorded.
        sink, sink_format: Where it goes, placed already. The sink is the run's from now on.
        sources: Everybody who is let in, now and later.
        life: RECORDING follows on this.
        events: Who is told.
        on_over: Called once on the event loop's thread, just before the last event.
        acts: What was decided of who is heard; see :meth:`~.sources.discretion.Discretion.acts`.
        signer: Who signs the report; None for nobody.
        clock, disk: When, and where.

    Raises:
        OSError: There is no thread to be had. The sink is still the caller's.
    """

    def __init__(
        self,
        config: AudioRecordingConfiguration,
        session: RecordingSession,
        output: Output,
        sink: Sink,
        sink_format: SinkFormat,
        *,
        sources: Sequence[Participant],
        life: Life,
        events: EventFeed,
        on_over: Callable[[], None],
        acts: Callable[[int, int], tuple[Act, ...]],
        signer: Ed25519PrivateKey | None,
        clock: Clock,
        disk: Disk,
    ) -> None:
        self._config = config
        self._session = session
        self._output = output
        self._sources = sources
        self._life = life
        self._events = events
        self._on_over = on_over
        self._acts = acts
        self._signer = signer
        self._clock = clock
        self._disk = disk
        self.loop = loop = asyncio.get_running_loop()
        """The one on which it began."""
        self.pid = os.getpid()
        """The process that records; a forked child does not."""
        self.start_ns = clock.now_ns()
        """When it began, on the clock."""
        self._started_at = clock.utc()
        self._ended_ns = 0  # from the start
        self.marks = Marks(config.sample_rate)
        """What was marked so far."""
        self.error = ""
        """Why it was broken off; empty if it was not."""
        self.report: RecordingReport | None = None
        self.ended: Future[None] = Future()  # set when everything is closed and told
        self.ended.set_running_or_notify_cancel()  # who waits for it cannot cancel it
        self._closed = threading.Event()  # only the telling is left
        self._stems: StemFiles | None = None
        self._failed_stems: list[str] = []  # at the very end
        if config.stems_path is not None:
            self._stems = StemFiles(config.stems_path, config.path, sink_format, disk)
        self._writer = DiskWriter(
            sink,
            sink_format,
            disk=disk,
            clock=clock,
            stems=self._stems,
            on_failure=lambda error: _later(loop, self.end, in_words(error)),
            on_idle=self._look_at_loop,
            on_written=lambda: self.saves.written(),  # noqa: PLW0108 (there are none yet)
        )
        self.saves = Saves(
            sink_format,
            open_reader=self._writer.reader,
            report=self._report_of_save,
            marks=self.marks.all,
            on_end=partial(self._tell_in_order, self._tell_save),
            clock=clock,
            disk=disk,
        )
        self.pump = Pump(
            session,
            [Line(output, self._writer)],
            clock=clock,
            start_ns=self.start_ns,
            cycle_s=int(config.cycle_time),
            on_warnings=partial(_later, loop, self._warn),
            on_failure=partial(_later, loop, self.end),
            stems=self._stems,
        )
        self._beat = Scheduler.shared(clock).add(self.pump.tick)
        self._loop_end = LoopEnd(self._end_with_loop)
        running.add(self)

    @property
    def now_ns(self) -> int:
        """The time since it began."""
        return self._clock.now_ns() - self.start_ns

    def end(self, error: str = "") -> None:
        """End, because of an error or without one. Any number of times and from any thread: only
        the first counts. :attr:`ended` tells when it is done."""
        if not self._life.enter(RecorderState.ENDING):
            return
        self._ended_ns = self.now_ns
        self.error = error
        self._beat.stop()
        if not self._clock.threads:
            self._finish()
            return
        try:
            threading.Thread(target=self._finish, name="roomtape-finish", daemon=True).start()
        except RuntimeError:  # no more threads: then whoever ended it waits
            self._finish()

    async def _end_with_loop(self) -> None:
        self.end()
        await asyncio.wait([asyncio.wrap_future(self.ended)])

    def _look_at_loop(self) -> None:
        """A loop that was closed without a word beats no more, and nobody is left to stop this."""
        if self.loop.is_closed():
            self.end()

    def end_with_program(self) -> None:
        """See :class:`~.process_end.Running`."""
        self.end()
        if self._closed.wait(_HUNG_DISK_S) and not self.ended.done():
            logger.warning("%s is finished, since the program ends", self._config.path)

    def leave_to_parent(self) -> None:
        """See :class:`~.process_end.Running`."""
        for source in tuple(self._sources):
            source.disconnect()
        self._writer.let_go()
        self.saves.let_go()

    # -- what :meth:`end` began, on a thread of its own; it raises nothing -----------------------

    def _finish(self) -> None:
        for source in tuple(self._sources):
            source.close()
        self.pump.finish(self._ended_ns)
        self.error = self.error or self.pump.failure
        finished = self._finish_file()
        self.saves.finish()
        there = finished or self._writer.abandoned
        moved = there.moved if there is not None else ""
        aside = "" if finished is None else aside_in_words(self._config.path, finished.aside)
        if moved:
            self._events.note(self._ended_ns / NS_PER_S, moved)
        self._note_stems()
        report = make_report(
            self._config,
            self._session,
            self._output,
            self._writer,
            started_at=self._started_at,
            ended_ns=self._ended_ns,
            finished=finished,
            warnings=self._events.warnings,
            error=self.error,
            suspended_ns=self.pump.suspended_ns,
            marks=self.marks.all(),
            acts=self._acts,
            stems={
                track: str(file.path) for track, file in self.pump.stem_files.items() if file.there
            },
            projects=self._stems.projects if self._stems is not None else (),
        )
        if self._writer.outcome.done():  # not on a disk that hangs
            report = self._hashed(report)
            if self._config.report:
                report = self._put_down(report)
        self._closed.set()
        self._tell_in_order(self._tell_end, report, moved, aside)

    def _note_stems(self) -> None:
        if self._stems is None:
            return
        self._failed_stems = self._stems.take_failures()
        for words in (*self._failed_stems, *self._stems.moved):
            self._events.note(self._ended_ns / NS_PER_S, words)

    def _finish_file(self) -> Finished | None:
        outcome = self._writer.finish(self.marks.all())
        # A cyclic recording is copied to its file, and a memory card may take its time for that.
        copied = self._output.encoder.bytes_per_s * int(self._config.cycle_time)
        most_s = _HUNG_DISK_S + copied / _SLOWEST_BYTES_PER_S
        try:
            # A disk that was waited for long enough is not waited for again.
            return outcome.result(0 if self.pump.disk_hangs else most_s)
        except TimeoutError:
            self.error = self.error or f"the disk has not answered for {most_s:.0f} s"
        except Exception as error:
            self.error = self.error or in_words(error)
        return None

    def _report_of_save(self, finished: Finished, span: Span) -> RecordingReport:
        """What is in a part that was saved."""

        def made() -> RecordingReport:
            return make_report(
                self._config,
                self._session,
                self._output,
                self._writer,
                started_at=self._started_at,
                ended_ns=self.now_ns,
                finished=finished,
                warnings=self._events.warnings,
                error="",
                suspended_ns=self.pump.suspended_ns,
                marks=self.marks.all(),
                acts=self._acts,
            )

        report = dataclasses.replace(
            self.pump.while_still(made),
            saved_from=str(self._config.path),
            missing_s=max(0, span.asked - finished.samples) / self._config.sample_rate,
        )
        return self._sealed(report)

    def _sealed(self, report: RecordingReport) -> RecordingReport:
        return dataclasses.replace(report, proof=seal(report.as_dict(), self._signer))

    def _hashed(self, report: RecordingReport) -> RecordingReport:
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
            return dataclasses.replace(report, sha256=self._in_time(work, _MOST_HASH_S))
        except Exception as error:
            wanted.clear()
            words = f"{self._ended_ns / NS_PER_S:.1f} s: the SHA-256 is missing: {in_words(error)}"
            return dataclasses.replace(report, warnings=(*report.warnings, words))

    def _put_down(self, report: RecordingReport) -> RecordingReport:
        """Sealed, and written beside the file."""

        def work() -> None:
            write_report_file(Path(report.file_path), report.as_dict(), self._disk)

        try:
            report = self._sealed(report)
            self._in_time(work, _HUNG_DISK_S)
        except Exception as error:
            words = "the report of %s cannot be written: %s"
            logger.warning(words, self._config.path, in_words(error))
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

    # -- what is told, on the event loop's thread ------------------------------------------------

    def _tell_end(self, report: RecordingReport, moved: str, aside: str) -> None:
        self.report = report
        self._life.enter(RecorderState.OVER)
        running.discard(self)
        self._loop_end.forget()
        self._on_over()
        path = report.file_path
        for words in self._failed_stems:
            self._events.tell(AudioRecordingWarning.STEM_FAILED, words, path=path)
        if moved:
            self._events.tell(AudioRecordingWarning.FILE_MOVED, moved, path=path)
        if self.error:
            self._events.tell(AudioRecordingCode.ERROR, self.error, path=path)
        else:
            detail = "; ".join(each for each in (moved, aside) if each)
            self._events.tell(AudioRecordingCode.FINISH, detail, path=path)
        self.ended.set_result(None)

    def _tell_save(self, save: Save) -> None:
        saved = save.state is SaveState.SAVED
        code = AudioRecordingCode.SAVED if saved else AudioRecordingCode.SAVE_FAILED
        self._events.tell(code, save.error, path=str(save.path))

    def _tell_in_order(self, tell: Callable[..., None], *args: object) -> None:
        if self._clock.threads:
            _later(self.loop, tell, *args)
        else:
            tell(*args)

    def _warn(self, now_ns: int, warnings: Warnings) -> None:
        if self._life.state is not RecorderState.OVER:
            for code, detail in warnings:
                self._events.warn(now_ns / NS_PER_S, code, detail)


def _later(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *args: object) -> None:
    """Call it on the event loop; where that is closed, right here."""
    try:
        loop.call_soon_threadsafe(function, *args)
    except RuntimeError:
        function(*args)
