"""A recording from START to FINISH or ERROR: what drives it, and the one way in which it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..audio.outputs import Output
from ..audio.session import RecordingSession
from ..storage.disk import Disk
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
from .events import EventFeed
from .forgetting import Forgetting
from .health import Warnings
from .life import Life, RecorderState
from .loop_end import LoopEnd
from .marks import Marks
from .parts.parts import Parts
from .process_end import running
from .pump import Line, Pump
from .reporting.reporter import HUNG_DISK_S, MOST_HASH_S, Reporter
from .reservation import aside_in_words, in_words
from .saving.save import Save, SaveState
from .saving.saves import Saves
from .scheduler import Scheduler
from .sources.participant import Participant
from .writing.disk_writer import DiskWriter

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

logger = logging.getLogger(__name__)

_SLOWEST_BYTES_PER_S = 1 << 20


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
        self._session = session
        self._output = output
        self._format = sink_format
        self._sources = sources
        self._life = life
        self._events = events
        self._on_over = on_over
        self._clock = clock
        self.loop = loop = asyncio.get_running_loop()
        """The one on which it began."""
        self.pid = os.getpid()
        """The process that records; a forked child does not."""
        self.start_ns = clock.now_ns()
        """When it began, on the clock."""
        self._ended_ns = 0  # from the start
        self.marks = Marks(config.sample_rate, session.pauses.file_ns)
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
            self._stems = StemFiles(
                config.stems_path, config.first_path, sink_format, disk, split=config.split
            )
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
        self.pump = Pump(
            session,
            [Line(output, self._writer)],
            clock=clock,
            start_ns=self.start_ns,
            on_warnings=partial(_later, loop, self._warn),
            on_failure=partial(_later, loop, self.end),
            stems=self._stems,
        )
        self._reporter = Reporter(
            config,
            session,
            output,
            self._writer,
            self.pump,
            marks=self.marks,
            events=events,
            acts=acts,
            signer=signer,
            started_at=clock.utc(),
            clock=clock,
            disk=disk,
        )
        self.saves = Saves(
            sink_format,
            open_reader=self._writer.reader,
            oldest=self._writer.oldest_sample,
            stems=None if self._stems is None else lambda: tuple(self.pump.stem_files.items()),
            report=lambda *of: self._reporter.of_save(*of, now_ns=self.file_ns),
            marks=self.marks.all,
            on_end=partial(self._tell_in_order, self._tell_save),
            clock=clock,
            disk=disk,
        )
        self.parts = Parts(
            config,
            self._writer,
            sink_format,
            stems=self._stems,
            stem_files=self.pump.stem_files,
            now_s=lambda: self.now_ns / NS_PER_S,
            reporter=self._reporter,
            marks=self.marks,
            events=events,
            in_order=self._tell_in_order,
            clock=clock,
            disk=disk,
        )
        self._beat = Scheduler.shared(clock).add(self.pump.tick, self._nothing_came)
        self._loop_end = LoopEnd(self._end_with_loop)
        running.add(self)

    @property
    def path(self) -> Path:
        """Where it goes now."""
        return self._writer.sink.path

    @property
    def now_ns(self) -> int:
        """The time since it began."""
        return self._clock.now_ns() - self.start_ns

    @property
    def file_ns(self) -> int:
        """How much of that time is recorded: all but what was cut out."""
        return self._session.pauses.file_ns(self.now_ns)

    def forget(self, concerns: Callable[[str], bool]) -> Forgetting:
        """Begin to forget whoever has such a name, and is kept out already."""
        return Forgetting(
            concerns,
            session=self._session,
            pump=self.pump,
            writer=self._writer,
            saves=self.saves,
            parts=self.parts,
            sink_format=self._format,
        )

    def note_cuts(self) -> None:
        """What was cut out has changed."""
        self._writer.note_cuts(self._session.pauses.places)

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

    def _nothing_came(self) -> bool:
        """Nor does anybody wait for what the next beat would write."""
        return self.pump.nothing_came and not self.saves.under_way and not self.parts.turning

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
        if self._closed.wait(HUNG_DISK_S) and not self.ended.done():
            logger.warning("%s is finished, since the program ends", self.path)

    def leave_to_parent(self) -> None:
        """See :class:`~.process_end.Running`."""
        for source in tuple(self._sources):
            source.disconnect()
        self._writer.let_go()
        self.saves.let_go()
        self.parts.let_go()

    # -- what :meth:`end` began, on a thread of its own; it raises nothing -----------------------

    def _finish(self) -> None:
        for source in tuple(self._sources):
            source.close()
        self.pump.finish(self._ended_ns)
        self.error = self.error or self.pump.failure
        self.parts.settle(wait=not self.pump.disk_hangs)
        finished = self._finish_file()
        self.saves.finish()
        self.parts.finish()
        there = finished or self._writer.abandoned
        moved = there.moved if there is not None else ""
        aside = "" if finished is None else aside_in_words(self.path, finished.aside)
        if moved:
            self._events.note(self._ended_ns / NS_PER_S, moved)
        self._note_stems()
        report = self._reporter.made(
            finished,
            self._session.pauses.file_ns(self._ended_ns),
            error=self.error,
            stems={
                track: str(file.path) for track, file in self.pump.stem_files.items() if file.there
            },
            projects=self._stems.projects if self._stems is not None else (),
        )
        report = self.parts.placed(report)
        if self._writer.outcome.done():  # not on a disk that hangs
            report = self._reporter.kept(report, self._ended_ns, most_hash_s=MOST_HASH_S)
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
        copied = self._output.encoder.bytes_per_s * self._writer.cycle_s
        copied *= 1 + len(self.pump.stem_files)
        most_s = HUNG_DISK_S + copied / _SLOWEST_BYTES_PER_S
        try:
            # A disk that was waited for long enough is not waited for again.
            return outcome.result(0 if self.pump.disk_hangs else most_s)
        except TimeoutError:
            self.error = self.error or f"the disk has not answered for {most_s:.0f} s"
        except Exception as error:
            self.error = self.error or in_words(error)
        return None

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
