"""The files that one recording goes to, one after the other."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from ...audio.source_track import SourceTrack
from ...storage.disk import Disk
from ...storage.sink import Sink, SinkFormat
from ...storage.stems.files import StemFiles
from ...storage.stems.stem_file import StemFile
from ...types import (
    NS_PER_S,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingWarning,
    RecordingReport,
)
from ...types.clock import Clock
from ...types.errors import StateError
from ..events import EventFeed
from ..marks import Marks
from ..reporting.reporter import Reporter
from ..writing.disk_writer import DiskWriter
from .closing import Closing
from .splitting import Splitter
from .turning import MOST_HANG_S, Demotion, Promotion, Turning, TurningState

logger = logging.getLogger(__name__)

_MOST_CLOSE_S = 120.0
"""A file that is being finished when the recording ends is waited for so long."""


class Parts:
    """:meth:`promote` and :meth:`demote` from one thread, while it is recorded; then
    :meth:`settle`, and :meth:`finish` when nothing is written any more.

    Args:
        config: Of the recording.
        writer: Who writes it.
        sink_format: Of it.
        reporter, marks, events: What is said of it.
        stems: What is written beside it; None if nothing is.
        stem_files: Whose they are.
        now_s: The time since START.
        in_order: Calls what it is given on the event loop's thread, in order.
        clock, disk: When, and where.
    """

    def __init__(
        self,
        config: AudioRecordingConfiguration,
        writer: DiskWriter,
        sink_format: SinkFormat,
        *,
        stems: StemFiles | None,
        stem_files: Mapping[SourceTrack, StemFile],
        now_s: Callable[[], float],
        reporter: Reporter,
        marks: Marks,
        events: EventFeed,
        in_order: Callable[..., None],
        clock: Clock,
        disk: Disk,
    ) -> None:
        self._writer = writer
        self._format = sink_format
        self._reporter = reporter
        self._marks = marks
        self._events = events
        self._in_order = in_order
        self._clock = clock
        self._disk = disk
        self._turn = threading.Lock()
        self._over = False
        self._turning: Turning | None = None
        self._closings: tuple[Closing, ...] = ()
        self._now_s = now_s
        self._stems = stems
        self._stem_files = stem_files
        self._previous = ""  # the file before, of a split recording
        self.last: RecordingReport | None = None
        """What is in the part that was finished last; by the event loop's thread."""
        self._splitter: Splitter | None = None
        if config.split:
            self._splitter = Splitter(
                config.path,
                writer,
                sink_format,
                split_s=config.split_s,
                split_bytes=config.split_bytes,
                on_next=self._went_on,
                on_failure=self._not_split,
                clock=clock,
                disk=disk,
            )
            writer.cut(self._splitter)

    @property
    def cyclic(self) -> bool:
        """Whether only the last seconds are kept, for now."""
        return self._writer.cycle_s > 0

    @property
    def turning(self) -> bool:
        """Whether it is about to become live, or cyclic, or the stems of a file that is over are
        not all there yet."""
        turning = self._turning is not None and not self._turning.outcome.done()
        return turning or (self._stems is not None and self._stems.cutting)

    def promote(self, path: Path) -> Future[Path]:
        """Record live to ``path``, beginning with all that the ring holds.

        Raises:
            StateError: It is live already, or on its way to it, or over.
        """
        if not self.cyclic:
            raise StateError(f"it is recorded live already, to {self._writer.sink.path}")
        turning = Promotion(
            path,
            self._writer,
            self._format,
            stems=self._stems,
            on_end=self._promoted,
            clock=self._clock,
            disk=self._disk,
        )
        self._begin(turning)
        return turning.outcome

    def demote(self, path: Path, cycle_s: int, now_ns: int) -> Future[RecordingReport]:
        """Finish the live file with what was heard up to now, and keep only the last seconds from
        then on, for ``path``.

        Returns:
            The report of the file, when that is complete; or a FileError.

        Raises:
            StateError: It is cyclic already, or on its way to it, or over.
        """
        if self.cyclic:
            raise StateError(f"only the last {self._writer.cycle_s} s are kept already")
        answer: Future[RecordingReport] = Future()
        answer.set_running_or_notify_cancel()
        turning = Demotion(
            path,
            self._writer,
            dataclasses.replace(self._format, cycle_s=cycle_s),
            at=-(-now_ns * self._format.rate_hz // NS_PER_S),
            stems=self._stems,
            on_end=lambda turning: self._demoted(turning, answer),
            clock=self._clock,
            disk=self._disk,
        )
        self._begin(turning)
        return answer

    def give_up_promotion(self, reason: str) -> list[Future[None]]:
        """Have a live file that is being made out of a ring not be made.

        Returns:
            When it is gone; nothing where none is.
        """
        turning = self._turning
        if not isinstance(turning, Promotion) or turning.outcome.done():
            return []
        turning.give_up(reason)
        return [turning.tidied]

    def placed(self, report: RecordingReport) -> RecordingReport:
        """The report of the last file, with its place in a split recording."""
        if self._splitter is None:
            return report
        number = self._splitter.number
        return dataclasses.replace(report, part=number, previous_file=self._previous)

    def settle(self, *, wait: bool) -> None:
        """The recording ends: what is turning is waited for, as long as the disk answers, or given
        up; nothing begins any more."""
        with self._turn:
            self._over = True
            turning = self._turning
        while turning is not None and not turning.outcome.done():
            before = turning.progress
            if wait and not self._writer.outcome.done():
                try:
                    turning.outcome.exception(MOST_HANG_S)
                except TimeoutError:
                    if turning.progress != before:
                        continue
            turning.give_up("the recording ended before that")
            return

    def finish(self) -> None:
        """Wait for what is being finished."""
        for closing in self._closings:
            closing.start()  # unless it has begun: a stem on a disk that hangs is not waited for
            try:
                closing.outcome.exception(_MOST_CLOSE_S)
            except TimeoutError:
                logger.warning("the disk has not let a part be finished in %g s", _MOST_CLOSE_S)
                return

    def let_go(self) -> None:
        """In a forked child: close the descriptors and do nothing else."""
        if self._turning is not None and not self._turning.outcome.done():
            self._turning.let_go()
        for closing in self._closings:
            closing.let_go()

    def _begin(self, turning: Turning) -> None:
        with self._turn:
            if self._over:
                raise StateError("the recording is over")
            if self._turning is not None and not self._turning.outcome.done():
                raise StateError(f"it is about to {self._turning.doing}; wait for that")
            if self._stems is not None and self._stems.cutting:
                raise StateError("the stems of the file before are not complete yet; wait for that")
            self._turning = turning
        logger.debug("about to %s", turning.doing)
        turning.start()

    def _promoted(self, turning: Turning) -> None:
        done = turning.state is TurningState.DONE
        code = AudioRecordingCode.PROMOTED if done else AudioRecordingCode.PROMOTE_FAILED
        self._in_order(self._tell_turned, turning, code)

    def _demoted(self, turning: Turning, answer: Future[RecordingReport]) -> None:
        if turning.state is not TurningState.DONE:
            self._in_order(self._tell_turned, turning, AudioRecordingCode.DEMOTE_FAILED)
            turning.outcome.add_done_callback(
                lambda done: answer.set_exception(done.exception() or StateError(turning.error))
            )
            return
        self._in_order(self._tell_turned, turning, AudioRecordingCode.DEMOTED)

        def hand_on(done: Future[RecordingReport]) -> None:
            error = done.exception()
            if error is None:
                answer.set_result(done.result())
            else:
                answer.set_exception(error)

        closing = self._closing_of(turning.before)
        closing.outcome.add_done_callback(hand_on)
        # Not before: whoever has the report may have it turn again at once.
        turning.outcome.add_done_callback(lambda _: self._close(closing, turning))

    def _close(self, closing: Closing, turning: Turning) -> None:
        """It is cyclic now; on the thread that writes."""
        if self._stems is None:
            closing.start()
        else:  # which come later than the mix
            assert isinstance(turning, Demotion)
            now = self._writer.sink
            self._stems.cut(
                now.first_sample,
                now.path,
                closing.start,
                cycle_s=self._writer.cycle_s,
                rings=turning.stem_rings,
            )

    def _went_on(self, before: Sink, now: Sink) -> None:
        assert self._splitter is not None
        placed = partial(
            dataclasses.replace,
            part=self._splitter.number - 1,
            previous_file=self._previous,
            next_file=str(now.path),
        )
        self._previous = str(before.path)
        closing = self._closing_of(before, placed)
        self._in_order(self._tell_went_on, now.path)
        if self._stems is None:
            closing.start()
        else:  # which come later than the mix
            self._stems.cut(now.first_sample, now.path, closing.start)

    def _not_split(self, words: str) -> None:
        words = f"{words}; it goes on in {self._writer.sink.path}"
        self._in_order(self._events.warn, self._now_s(), AudioRecordingWarning.SPLIT_FAILED, words)

    def _closing_of(
        self,
        sink: Sink,
        placed: Callable[[RecordingReport], RecordingReport] = lambda report: report,
    ) -> Closing:
        closing = Closing(
            sink,
            self._format.rate_hz,
            placed=placed,
            # As they are now: of who has left long ago, a cyclic recording knows no stem.
            stem_files=dict(self._stem_files),
            reporter=self._reporter,
            marks=self._marks,
            on_end=self._closed,
            clock=self._clock,
        )
        with self._turn:
            self._closings += (closing,)
        return closing

    def _closed(self, closing: Closing) -> None:
        with self._turn:
            self._closings = tuple(each for each in self._closings if each is not closing)
        self._in_order(self._tell_closed, closing)

    # -- what is told, on the event loop's thread ------------------------------------------------

    def _tell_turned(self, turning: Turning, code: AudioRecordingCode) -> None:
        path = str(turning.path)
        if turning.state is TurningState.DONE:
            self._events.path = turning.path
        self._events.tell(code, turning.error or turning.detail, path=path)

    def _tell_went_on(self, path: Path) -> None:
        self._events.path = path

    def _tell_closed(self, closing: Closing) -> None:
        path = closing.path
        self.last = closing.report or self.last
        if closing.moved:
            self._events.tell(AudioRecordingWarning.FILE_MOVED, closing.moved, path=path)
        code = AudioRecordingCode.PART_FAILED if closing.error else AudioRecordingCode.PART_FINISHED
        self._events.tell(code, closing.error or closing.moved, path=path)
