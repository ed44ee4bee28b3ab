"""All saves of one recording."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path

from ...audio.source_track import SourceTrack
from ...storage.disk import Disk
from ...storage.pieces.readers import Reader
from ...storage.pieces.stretches import Stretches
from ...storage.sink import Finished, SinkFormat
from ...storage.stems.directory import stems_beside
from ...storage.stems.stem_file import StemFile
from ...types import NS_PER_S, Mark, RecordingReport
from ...types.clock import Clock
from ...types.errors import OpenFileError, StateError
from ..reservation import in_words
from .descriptors import check_descriptors
from .request import SaveRequest
from .save import Save, SaveState
from .span import Span, span_of
from .stems import SavedStems

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 16
"""Each has a thread and two descriptors, and two more for each stem."""
_MOST_NOTED = 1000
MOST_HANG_S = 20.0
"""A disk that has not answered for so long is told as one that cannot be saved to."""


class Saves:
    """Thread-safe.

    Args:
        sink_format: Of the recording.
        open_reader: Reads its samples ``[first, stop)``.
        oldest: The first sample that is to be had, at a moment (a sample as well).
        stems: Those that there are, and whose; None where none are recorded.
        report, marks: See :class:`Save`.
        on_end: Told of each save, once, on its thread.
        clock, disk: When, and where.
    """

    def __init__(
        self,
        sink_format: SinkFormat,
        *,
        open_reader: Callable[[int, int], Reader],
        oldest: Callable[[int], int],
        stems: Callable[[], Iterable[tuple[SourceTrack, StemFile]]] | None,
        report: Callable[[Finished, Span, Stretches, SavedStems | None], RecordingReport],
        marks: Callable[[], Sequence[Mark]],
        on_end: Callable[[Save], None],
        clock: Clock,
        disk: Disk,
    ) -> None:
        self._format = sink_format
        self._open_reader = open_reader
        self._oldest = oldest
        self._stems = stems
        self._report = report
        self._marks = marks
        self._on_end = on_end
        self._clock = clock
        self._disk = disk
        self._turn = threading.Lock()
        self._over = False
        self._pending: tuple[Save, ...] = ()
        self._open: list[Save] = []  # those too that were given up, and whose disk hangs
        self._asked: list[Save] = []  # in this order; what failed is forgotten
        self._forgotten = Stretches()
        self._done = deque[tuple[Path, Span, tuple[tuple[str, Path], ...]]](maxlen=_MOST_NOTED)

    def begin(self, request: SaveRequest, now_ns: int) -> Save:
        """Begin to save what is asked for now.

        Args:
            request: What; checked.
            now_ns: The moment, from the START of the recording.

        Raises:
            StateError: There is nothing to save, or too much is being saved, or it is over.
            OpenFileError: There is no descriptor to be had.
        """
        with self._turn:
            if self._over:
                raise StateError("the recording is over; its file is all there is")
            self._open = [each for each in self._open if not _ends(each)]
            if len(self._open) >= MOST_AT_ONCE:
                raise StateError(f"{MOST_AT_ONCE} saves are under way; wait for one of them")
            span = span_of(
                self._format,
                now_ns=now_ns,
                last_s=request.last_s,
                then_s=request.then_s,
                oldest=self._oldest,
                since=self._last_stop() if request.since_last_save else None,
            )
            reader: Reader | None = None
            try:
                self._check_descriptors()
                reader = self._open_reader(span.first, span.stop)
                stems = self._stems_of(request.path, reader, span)
            except (OSError, OpenFileError) as error:
                if reader is not None:
                    reader.close()
                raise OpenFileError(f"cannot save to {request.path}: {in_words(error)}") from None
            save = Save(
                request.path,
                span,
                reader,
                self._format,
                forgotten=self._forgotten,
                stems=stems,
                report=self._report,
                marks=self._marks,
                on_end=self._forget,
                clock=self._clock,
                disk=self._disk,
            )
            self._pending += (save,)
            self._open.append(save)
            self._asked.append(save)
        logger.debug("%s: saving samples %d to %d", request.path, span.first, span.stop)
        save.start()
        return save

    @property
    def under_way(self) -> bool:
        """Whether any waits for what is still to be written."""
        return bool(self._pending)

    def written(self) -> None:
        """There is more to copy."""
        now_ns = self._clock.now_ns()
        for save in self._pending:
            if save.busy_ns(now_ns) > MOST_HANG_S * NS_PER_S:
                save.give_up(_HANGS)
            else:
                save.go_on()

    def forget(self, stretches: Stretches) -> dict[Path, Future[bool]]:
        """Have these samples of the recording be silence in all that is being saved, or will be.

        Returns:
            For each save under way, whether that came in time.
        """
        with self._turn:
            self._forgotten |= stretches
            pending = self._pending
        return {
            save.path: save.forget(stretches)
            for save in pending
            if stretches.within(save.span.first, save.span.stop)
        }

    def holding(
        self, stretches: Stretches, *, concerns: Callable[[str], bool], but: Container[Path]
    ) -> list[Path]:
        """What was saved of these samples, of the latest thousand saves, but for some; and the
        stems of whoever it concerns."""
        with self._turn:
            done = [
                (path, stems)
                for path, span, stems in self._done
                if path not in but and stretches.within(span.first, span.stop)
            ]
        return [
            each
            for path, stems in done
            for each in (path, *(stem for name, stem in stems if concerns(name)))
        ]

    def finish(self) -> None:
        """Nothing more will be written: have each end with what there is, and wait for it."""
        with self._turn:
            self._over = True
        for save in self._pending:
            save.end_with_recording()
        for save in self._pending:
            self._wait_for(save)

    def let_go(self) -> None:
        """In a forked child: close the descriptors and do nothing else."""
        for save in tuple(self._open):
            save.let_go()

    def _wait_for(self, save: Save) -> None:
        while not save.outcome.done():
            before = save.progress
            try:
                save.outcome.exception(MOST_HANG_S)
            except TimeoutError:
                if save.progress == before:
                    save.give_up(_HANGS)

    def _stems_of(self, path: Path, reader: Reader, span: Span) -> SavedStems | None:
        if self._stems is None:
            return None
        first, stop = reader.position, span.stop
        return SavedStems(stems_beside(path), self._stems, first, stop, self._format, self._disk)

    def _check_descriptors(self) -> None:
        """Of a few files, opening them tells."""
        if self._stems is not None:
            mine = 2 + 2 * sum(1 for _ in self._stems())
            check_descriptors(mine + sum(each.to_open for each in self._open))

    def _last_stop(self) -> int:
        while self._asked and self._asked[-1].state is SaveState.FAILED:
            self._asked.pop()
        return self._asked[-1].span.stop if self._asked else 0

    def _forget(self, save: Save) -> None:
        with self._turn:
            self._pending = tuple(each for each in self._pending if each is not save)
            if save.state is SaveState.SAVED:
                stems = save.stems.named if save.stems is not None else ()
                self._done.append((save.path, save.span, stems))
            done = [each for each in self._asked if each.state is SaveState.SAVED]
            # Of those that are done, only the last one counts.
            self._asked = [
                each
                for each in self._asked
                if each.state is SaveState.COPYING or (done and each is done[-1])
            ]
        self._on_end(save)


def _ends(save: Save) -> bool:
    """Whether its thread has ended, or has nothing left to do that could take long."""
    return save.closed or (save.state is SaveState.SAVED and save.outcome.done())


_HANGS = f"the disk has not answered for {MOST_HANG_S:g} s"
