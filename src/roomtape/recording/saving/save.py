"""One save: a stretch of a running recording on its way to a file of its own."""

from __future__ import annotations

import enum
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from ...storage.disk import Disk
from ...storage.notes.cues import within
from ...storage.pieces.readers import Reader
from ...storage.pieces.saved_file import SavedFile
from ...storage.pieces.silence import silenced_pieces
from ...storage.pieces.stretches import Stretches
from ...storage.report_file import write_report_file
from ...storage.sink import Finished, SinkFormat
from ...types import Mark, RecordingReport
from ...types.clock import Clock
from ...types.errors import FileError, OpenFileError
from ..reservation import in_words
from .span import Span
from .stems import SavedStems

logger = logging.getLogger(__name__)


class SaveState(enum.Enum):
    """Where in its life a save is."""

    COPYING = "being copied"
    """Or it waits for what is still to come."""
    SAVED = "saved"
    """The file is in its place; its report may be on its way."""
    FAILED = "failed"
    """Nothing of it is on the disk, at the latest when a disk that hangs answers."""


_MAY_FOLLOW = {
    SaveState.COPYING: {SaveState.SAVED, SaveState.FAILED},
    SaveState.SAVED: set[SaveState](),
    SaveState.FAILED: set[SaveState](),
}


class Save:
    """Copies what ``reader`` gives on a thread of its own, and ends whole or not at all.

    :meth:`start` once; then :meth:`go_on` whenever more was written, and :meth:`end_with_recording`
    when no more will be. :meth:`give_up` at any time. These may come from any thread.

    Args:
        path: Where the file will be.
        span: What of the recording it is.
        reader: Where it comes from. It belongs to the save from now on.
        sink_format: Format and rate.
        forgotten: Samples of the recording that are to be silence in it.
        stems: What is saved beside it. They belong to the save from now on.
        report: Says what is in it. Asked once, when the file is in its place.
        marks: Those of the recording so far. Asked once, when all samples are there.
        on_end: Told once, before :attr:`outcome` is there.
        clock, disk: When, and where.
    """

    def __init__(
        self,
        path: Path,
        span: Span,
        reader: Reader,
        sink_format: SinkFormat,
        *,
        forgotten: Stretches,
        stems: SavedStems | None,
        report: Callable[[Finished, Span, Stretches, SavedStems | None], RecordingReport],
        marks: Callable[[], Sequence[Mark]],
        on_end: Callable[[Save], None],
        clock: Clock,
        disk: Disk,
    ) -> None:
        self.path = path
        self.span = span
        self._reader = reader
        self._format = sink_format
        self._forgotten = forgotten
        self.stems = stems
        self._forgetting: list[tuple[Stretches, Future[bool]]] = []
        self._report = report
        self._marks = marks
        self._on_end = on_end
        self._clock = clock
        self._disk = disk
        self._state = SaveState.COPYING
        self._turn = threading.Lock()  # held for no longer than a look takes
        self._file: SavedFile | None = None
        self._first = reader.position  # the sample of the recording that the file begins with
        self._more = threading.Event()
        self._recording_over = False
        self._kind: type[FileError] = FileError
        self._made: RecordingReport | None = None
        self._told = False
        self._busy_since_ns: int | None = None
        self.closed = False
        """Whether its thread has ended, and it holds nothing any more."""
        self.error = ""
        """Why it failed; empty if it did not."""
        self.outcome: Future[RecordingReport] = Future()
        """The report, or a FileError."""
        self.outcome.set_running_or_notify_cancel()  # who waits for it cannot cancel it

    @property
    def state(self) -> SaveState:
        return self._state

    @property
    def progress(self) -> int:
        """Grows as long as something is copied."""
        return self._reader.position + (0 if self.stems is None else self.stems.progress)

    @property
    def to_open(self) -> int:
        """So many files it has still to open."""
        if self._state is not SaveState.COPYING:
            return 0
        return (self._file is None) + (0 if self.stems is None else self.stems.to_open)

    def busy_ns(self, now_ns: int) -> int:
        """For how long the disk has been at one step."""
        since = self._busy_since_ns
        return 0 if since is None else now_ns - since

    def start(self) -> None:
        """Begin to copy."""
        if not self._clock.threads:
            self._step()
            return
        try:
            threading.Thread(target=self._run, name="roomtape-save", daemon=True).start()
        except RuntimeError as error:
            self._fail(f"{error}: too many threads")
            self._tidy()

    def go_on(self) -> None:
        """There is more to copy."""
        if self._clock.threads:
            self._more.set()
        elif self._state is SaveState.COPYING:
            self._step()

    def forget(self, stretches: Stretches) -> Future[bool]:
        """Have these samples of the recording be silence in it, those too that were copied.

        Returns:
            Whether none of them is in it: at the latest when it ends; False where that was before.
        """
        done: Future[bool] = Future()
        done.set_running_or_notify_cancel()
        with self._turn:
            self._forgetting.append((stretches, done))
        if self.closed:
            self._end_forgetting()
        else:
            self.go_on()
        return done

    def end_with_recording(self) -> None:
        """What is written now is all that there will be."""
        self._recording_over = True
        self.go_on()

    def give_up(self, reason: str) -> None:
        """Wait for it no longer. Its thread removes what there is as soon as it can; a file that
        is in its place already stays."""
        self._reader.release()
        self._fail(reason)
        self._tell()
        self._more.set()

    def let_go(self) -> None:
        """In a forked child: close the descriptors and do nothing else."""
        self._reader.let_go()
        if self._file is not None:
            self._file.let_go()
        if self.stems is not None:
            self.stems.let_go()

    def _run(self) -> None:
        while self._state is SaveState.COPYING:
            self._step()
            if self._state is SaveState.COPYING:
                self._more.wait()
                self._more.clear()
        self._tidy()

    def _step(self) -> None:
        """Copy what has come; after the last of it, finish."""
        over = self._recording_over  # asked first: what is written by then is read below
        try:
            self._copy()
            if over or self._has_all():
                self._finish()
        except OSError as error:
            self._fail(in_words(error), opened=self._file is not None)
        except Exception as error:  # a defect of ours harms this file and nothing else
            logger.exception("saving %s failed", self.path)
            self._fail(f"internal error: {error!r}")
        finally:
            self._busy_since_ns = None
            if not self._clock.threads and self._state is not SaveState.COPYING:
                self._tidy()

    def _copy(self) -> None:
        self._busy_since_ns = self._clock.now_ns()
        if self._file is None:
            self._file = SavedFile(self.path, self._format, self._disk)
            self._first = self._reader.position
        self._forget_what_is_there(self._file)
        while self._state is SaveState.COPYING and (pieces := self._reader.read()):
            first = self._first + self._file.samples
            self._file.write(silenced_pieces(pieces, first, self._forgotten, self._format))
            self._busy_since_ns = self._clock.now_ns()
            self._forget_what_is_there(self._file)
        if self.stems is not None:
            self.stems.copy(self._goes_on)

    def _has_all(self) -> bool:
        there = self._reader.position >= self._reader.stop
        return there and (self.stems is None or self.stems.is_complete())

    def _forget_what_is_there(self, file: SavedFile) -> None:
        """What is to be silence of that which was copied."""
        while self._forgetting:
            stretches, done = self._forgetting[0]
            self._forgotten |= stretches
            # Where that cannot be, the save fails, and with that it is answered.
            file.silence(stretches.later(-self._first))
            if self.stems is not None:
                self.stems.forget()
            with self._turn:
                del self._forgetting[0]
            done.set_result(True)

    def _end_forgetting(self) -> None:
        """It is over: what was asked for too late has not been done, unless there is no file."""
        with self._turn:
            asked, self._forgetting = self._forgetting, []
        for _, done in asked:
            done.set_result(self._state is SaveState.FAILED)

    def _finish(self) -> None:
        file = self._file
        if file is None or self._state is not SaveState.COPYING:
            return
        if not file.samples:
            self._fail("the recording ended before anything of it was there")
            return
        self._forget_what_is_there(file)
        first = self._first
        marks = within(self._marks(), first, file.samples, self._format.rate_hz)
        if self.stems is not None:
            self.stems.finish(first + file.samples, self._goes_on)
        file.finish(marks, go_on=self._goes_on)
        if self.stems is not None:
            self.stems.write_projects(self.path.stem, file.samples)
        self._made = self._report(
            Finished(self.path, file.samples, first, file.file_bytes, sha256=file.sha256),
            self.span,
            self._forgotten.within(first, first + file.samples),
            self.stems,
        )
        if not self._enter(SaveState.SAVED):
            return  # given up at the last moment; it is taken back
        file.close()
        if self.stems is not None:
            self.stems.close()
        try:
            write_report_file(self.path, self._made.as_dict(), self._disk)
        except OSError as error:
            logger.warning("the report of %s cannot be written: %s", self.path, in_words(error))
        self._tell()

    def _goes_on(self) -> bool:
        """Whether anybody still waits for it, which the disk is not at fault for."""
        self._busy_since_ns = self._clock.now_ns()
        return self._state is SaveState.COPYING

    def _fail(self, reason: str, *, opened: bool = True) -> None:
        if self._enter(SaveState.FAILED):
            self.error = reason
            self._kind = FileError if opened else OpenFileError
            self._tell()

    def _tell(self) -> None:
        with self._turn:
            told, self._told = self._told, True
        if told:
            return
        self._on_end(self)
        if self._state is SaveState.SAVED:
            assert self._made is not None
            self.outcome.set_result(self._made)
        else:
            self.outcome.set_exception(self._kind(f"cannot save to {self.path}: {self.error}"))

    def _tidy(self) -> None:
        self._reader.close()
        if self._file is not None and self._state is not SaveState.SAVED:
            self._file.discard()
        if self.stems is not None:
            if self._state is not SaveState.SAVED:
                self.stems.discard()
            self.stems.close()
        self.closed = True
        self._end_forgetting()

    def _enter(self, state: SaveState) -> bool:
        with self._turn:
            if state not in _MAY_FOLLOW[self._state]:
                return False
            logger.debug("%s: %s, then %s", self.path, self._state.value, state.value)
            self._state = state
            return True
