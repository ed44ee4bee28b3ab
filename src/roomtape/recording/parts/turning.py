"""A recording that becomes live, or cyclic again, while it goes on.

What is needed is made beside it, on a thread of its own: the live file with all that the ring
holds, or an empty ring. Then, in one turn on the thread that writes, the last of it is copied, the
file takes its name, and what is recorded goes there. Up to that moment the recording is as it was;
so whatever goes wrong leaves it so, and what a crash leaves is either of the two, or both.
"""

from __future__ import annotations

import dataclasses
import enum
import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from ...storage.disk import Disk
from ...storage.live import LiveFile
from ...storage.pieces.readers import Reader
from ...storage.ring import Ring
from ...storage.sink import Sink, SinkFormat
from ...storage.sinks import create_live
from ...storage.stems.files import StemFiles
from ...storage.stems.promotion import StemPromotion
from ...storage.stems.stem_file import StemFile
from ...types import AudioFormat
from ...types.clock import Clock
from ...types.errors import FileError, OpenFileError
from ..reservation import aside_in_words, in_words
from ..writing.disk_writer import CutAt, DiskWriter

logger = logging.getLogger(__name__)

MOST_HANG_S = 20.0
"""A disk that has not answered for so long is told as one on which it cannot be done."""
_NO_END = 1 << 62


class TurningState(enum.Enum):
    """Where in its life a turning is."""

    PREPARING = "being prepared"
    TURNING = "turning"
    """The thread that writes is at it."""
    DONE = "done"
    FAILED = "failed"
    """The recording goes on as it was."""


_MAY_FOLLOW = {
    TurningState.PREPARING: {TurningState.TURNING, TurningState.FAILED},
    TurningState.TURNING: {TurningState.DONE, TurningState.FAILED},
    TurningState.DONE: set[TurningState](),
    TurningState.FAILED: set[TurningState](),
}


class Turning(ABC):
    """:meth:`start` once; :meth:`give_up` at any time, from any thread.

    Args:
        path: Where the recording goes from then on.
        writer: Who writes it.
        sink_format: Of the recording.
        stems: What is beside it, and turns with it; None if nothing is.
        on_end: Told once, before :attr:`outcome` is there.
        clock, disk: When, and where.
    """

    doing: str
    """In words."""

    def __init__(
        self,
        path: Path,
        writer: DiskWriter,
        sink_format: SinkFormat,
        *,
        stems: StemFiles | None,
        on_end: Callable[[Turning], None],
        clock: Clock,
        disk: Disk,
    ) -> None:
        self.path = path
        self._writer = writer
        self._format = sink_format
        self._stem_files = stems
        self._on_end = on_end
        self._clock = clock
        self._disk = disk
        self.state = TurningState.PREPARING
        self._turn = threading.Lock()  # held for no longer than a look takes
        self._over = threading.Event()
        self._had_turn = False  # then the thread that writes undoes what fails
        self._kind: type[FileError] = OpenFileError
        self.before: Sink = writer.sink
        """What was written to before."""
        self.error = ""
        """Why it failed; empty if it did not."""
        self.progress = 0
        """Grows as long as the disk answers."""
        self.outcome: Future[Path] = Future()
        """Where it goes now, or a FileError."""
        self.outcome.set_running_or_notify_cancel()  # who waits for it cannot cancel it
        self.tidied: Future[None] = Future()
        """It has ended, and nothing is left of it if it failed (unless the thread that writes is at
        it yet)."""
        self.tidied.set_running_or_notify_cancel()

    @property
    @abstractmethod
    def detail(self) -> str:
        """What else is to be told of it once it is done."""

    def start(self) -> None:
        """Begin."""
        if not self._clock.threads:
            self._run()
            return
        try:
            threading.Thread(target=self._run, name="roomtape-turn", daemon=True).start()
        except RuntimeError as error:
            self._fail(f"{error}: too many threads")
            self.tidied.set_result(None)

    def give_up(self, reason: str) -> None:
        """Wait for it no longer; the recording stays as it is."""
        self._fail(reason)
        if not self._clock.threads:
            self._undo_unless_turned()

    @abstractmethod
    def let_go(self) -> None:
        """In a forked child: close the descriptors and do nothing else."""

    @abstractmethod
    def _prepare(self) -> None:
        """All that can be done beside the recording. Raises OSError, FileError."""

    def _ask_for_turn(self) -> None:
        """Have :meth:`_in_turn` called on the thread that writes."""
        self._writer.do(self._in_turn)

    @abstractmethod
    def _take_turn(self) -> Sink:
        """The rest, on the thread that writes; what to write to from now on. Raises OSError."""

    @abstractmethod
    def _undo(self) -> None:
        """It failed: remove what was made. Raises nothing."""

    def _run(self) -> None:
        if self._guarded(self._prepare):
            self._kind = FileError
            self._ask_for_turn()
            if self._clock.threads:
                self._over.wait()
        self._undo_unless_turned()
        self.tidied.set_result(None)

    def _undo_unless_turned(self) -> None:
        if self.state is TurningState.FAILED and not self._had_turn:
            self._undo()

    def _in_turn(self) -> None:
        if self._enter(TurningState.TURNING) and not self._guarded(self._go_over):
            self._undo()

    def _go_over(self) -> None:
        sink = self._take_turn()
        if not self._enter(TurningState.DONE):
            return  # given up at the last moment
        self._writer.succeed(sink)
        self._settle()
        self._tell()

    @abstractmethod
    def _settle(self) -> None:
        """It is done: give back what was needed for it. Raises nothing."""

    def _guarded(self, work: Callable[[], None]) -> bool:
        """Whether it worked, and nobody has given up."""
        try:
            work()
        except (OSError, FileError) as error:
            self._fail(in_words(error))
        except Exception as error:  # a defect of ours harms this and nothing else
            logger.exception("%s failed", self.doing)
            self._fail(f"internal error: {error!r}")
        return self.state is not TurningState.FAILED

    def _fail(self, reason: str) -> None:
        if self._enter(TurningState.FAILED):
            self.error = reason
            self._tell()

    def _tell(self) -> None:
        self._on_end(self)
        if self.state is TurningState.DONE:
            self.outcome.set_result(self.path)
        else:
            self.outcome.set_exception(self._kind(f"cannot {self.doing}: {self.error}"))
        self._over.set()

    def _enter(self, state: TurningState) -> bool:
        with self._turn:
            if state not in _MAY_FOLLOW[self.state]:
                return False
            logger.debug("%s: %s, then %s", self.doing, self.state.value, state.value)
            self.state = state
            self._had_turn = self._had_turn or state is TurningState.TURNING
            return True


class Promotion(Turning):
    """From a ring to a live file that begins with all that the ring holds."""

    def __init__(
        self,
        path: Path,
        writer: DiskWriter,
        sink_format: SinkFormat,
        *,
        stems: StemFiles | None,
        on_end: Callable[[Turning], None],
        clock: Clock,
        disk: Disk,
    ) -> None:
        live_format = dataclasses.replace(sink_format, cycle_s=0)
        super().__init__(
            path, writer, live_format, stems=stems, on_end=on_end, clock=clock, disk=disk
        )
        self.doing = f"record live to {path}"
        assert isinstance(self.before, Ring)
        self._ring = self.before
        self._reader: Reader | None = None
        self._file: LiveFile | None = None
        self._stems = None if stems is None else StemPromotion(stems, live_format)

    @property
    def detail(self) -> str:
        return aside_in_words(self.path, self._file.aside if self._file is not None else None)

    def let_go(self) -> None:
        for each in (self._reader, self._file, self._stems):
            if each is not None:
                each.let_go()

    def _prepare(self) -> None:
        unit = self._format.unit_samples
        first = self._ring.oldest_sample
        if self._format.audio_format is AudioFormat.AAC:
            first = first // unit * unit
        if self._stems is not None:
            self._stems.open(first)
        self._reader = self._writer.reader(first, _NO_END)
        first = self._reader.position
        self._file = create_live(self.path, self._format, self._disk, first_sample=first)
        if self._stems is not None:
            self._stems.begin_at(first)
        self._copy()
        self._sync()  # here, where nobody waits for it: little is left then

    def _copy(self) -> None:
        reader, file = self._reader, self._file
        assert reader is not None
        assert file is not None
        more = True
        while more and self._wanted():
            pieces = reader.read()
            if pieces:
                wav = self._format.audio_format is AudioFormat.WAV
                file.write([b"".join(pieces)] if wav else [bytes(each) for each in pieces])
            copied = self._stems is not None and self._stems.copy(self._wanted)
            more = copied or bool(pieces)
            self.progress += 1

    def _wanted(self) -> bool:
        return self.state is not TurningState.FAILED

    def _sync(self) -> None:
        if self._stems is not None:
            self._stems.sync()
        assert self._file is not None
        self._file.sync()

    def _take_turn(self) -> Sink:
        assert self._file is not None
        self._copy()
        self._file.sync()
        if self._stems is not None:  # first: where the recording is live, they are beside it
            self._stems.take_turn()
        self._file.place()
        return self._file

    def _settle(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._stems is not None:
            self._stems.settle(self.path)
        self._ring.retire()

    def _undo(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._file is not None:
            self._file.discard()
        if self._stems is not None:
            self._stems.discard()


class Demotion(Turning):
    """From a live file to a ring, which begins anew: the file is complete with what it has.

    Args:
        at: The sample up to which that is to be; it may be that all up to the end of its unit is.
    """

    def __init__(
        self,
        path: Path,
        writer: DiskWriter,
        sink_format: SinkFormat,
        *,
        at: int,
        stems: StemFiles | None,
        on_end: Callable[[Turning], None],
        clock: Clock,
        disk: Disk,
    ) -> None:
        super().__init__(
            path, writer, sink_format, stems=stems, on_end=on_end, clock=clock, disk=disk
        )
        self.doing = f"keep the last {sink_format.cycle_s} s for {path}"
        self._ring: Ring | None = None
        self._at = at
        self.stem_rings: dict[StemFile, Ring] = {}
        """What the stems go on in that are there; the listener's once it is done."""

    @property
    def detail(self) -> str:
        return ""

    def let_go(self) -> None:
        for ring in self._rings():
            ring.let_go()

    def _prepare(self) -> None:
        stems = self._stem_files
        directory = None if stems is None else stems.directory
        self._ring = Ring(self.path, self._format, self._disk, stems=directory)
        self.progress += 1
        for stem in () if stems is None else stems.files:
            if self.state is not TurningState.FAILED and not (stem.over or stem.closed):
                assert stems is not None
                cycle_s = self._format.cycle_s
                self.stem_rings[stem] = stem.new_ring(cycle_s, self.path, stems.next_part)
                self.progress += 1

    def _ask_for_turn(self) -> None:
        self._writer.cut(CutAt(self._writer, self._at, self._in_turn))

    def _take_turn(self) -> Sink:
        assert self._ring is not None
        unit = self._format.unit_samples
        for stem, ring in self.stem_rings.items():
            ring.begin_at(max(stem.begins, self.before.samples) // unit)
        self._ring.begin_at(self.before.samples // unit)
        return self._ring

    def _settle(self) -> None:
        """The file is whoever's who is told."""

    def _undo(self) -> None:
        for ring in self._rings():
            ring.discard()

    def _rings(self) -> list[Ring]:
        mine = () if self._ring is None else (self._ring,)
        return [*mine, *self.stem_rings.values()]
