"""Keeps a disk that is slow, full or broken away from everybody else.

One thread at a time (:mod:`.disk_threads`), the *writer's thread*, is at a recording's
:class:`~roomtape.storage.sink.Sink`. :meth:`DiskWriter.write` only puts units in a queue, so the
event loop and the mixer never wait for a disk; the thread writes what has come in one go, and syncs
about once a second. After the first error it leaves the file readable, and that is the end. (In a
script there is no thread, and :meth:`DiskWriter.write` writes.)
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from ...storage.disk import Disk
from ...storage.notes.cuts_note import Places
from ...storage.pieces.chain import Chain
from ...storage.pieces.readers import Reader
from ...storage.pieces.silence import silent_unit
from ...storage.pieces.stretches import Stretches
from ...storage.ring import Ring
from ...storage.sink import Finished, Sink, SinkFormat
from ...storage.stems.files import StemFiles
from ...types import NS_PER_S, Mark
from ...types.clock import Clock
from ...types.errors import StateError
from .disk_threads import DiskThreads, Errand

logger = logging.getLogger(__name__)

SYNC_NS = 7 * NS_PER_S // 10
"""A power cut costs what was not synced. Audio comes every fifth of a second, so this syncs every
0.8 s; with what the mix is behind, a power cut costs less than 2 s. A sync takes milliseconds."""

_LOOK_AT_SPACE_NS = 5 * NS_PER_S
_NO_END = 1 << 62

_Item = list[bytes] | Callable[[], None] | None
"""Units to be written; something to be done in its turn; None is the end."""


class Cut(Protocol):
    """Something to be done between two units, on the writer's thread. Raises nothing."""

    def room(self, units: list[bytes]) -> int:
        """How many of these units, which come next, are to be written before it."""
        ...

    def take(self) -> bool:
        """It is due; whether it is asked again for another time. There is room then."""
        ...


class CutAt:
    """Does ``work`` once, when the recording is written up to a sample, or as soon as it is."""

    def __init__(self, writer: DiskWriter, sample: int, work: Callable[[], None]) -> None:
        self._writer = writer
        self._sample = sample
        self._work = work

    def room(self, units: list[bytes]) -> int:
        del units
        return -(-max(0, self._sample - self._writer.samples) // self._writer.unit_samples)

    def take(self) -> bool:
        self._work()
        return False


class DiskWriter:
    """Writes one recording. :meth:`write` and then :meth:`finish`, from one thread at a time; after
    :meth:`finish`, or after an error, what is written is left out.

    However it ends, the sink is closed then, and :attr:`outcome` says what came of it.

    Args:
        sink: What to write to, placed already. It belongs to the writer from now on.
        sink_format: What the units are.
        disk, clock: Where, and when.
        on_failure: Called once, on the writer's thread, with the first error, after the file has
            been left readable.
        on_idle: Called on the writer's thread each second in which nothing came.
        on_written: Called on the writer's thread when the file has grown.
        stems: What is written beside it, on the same thread; it ends with it.

    Raises:
        OSError: There is no thread to be had. The sink is still the caller's.
    """

    def __init__(
        self,
        sink: Sink,
        sink_format: SinkFormat,
        *,
        disk: Disk,
        clock: Clock,
        on_failure: Callable[[OSError], None],
        on_idle: Callable[[], None],
        on_written: Callable[[], None],
        stems: StemFiles | None = None,
    ) -> None:
        self._chain = Chain(sink)
        self._format = sink_format
        self._disk = disk
        self._clock = clock
        self._on_failure = on_failure
        self._on_idle = on_idle
        self._on_written = on_written
        self._stems = stems
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._cuts: list[Cut] = []  # by the writer's thread alone
        self._queued_samples = 0  # by the mixing thread alone
        self._marks: Sequence[Mark] = ()
        self._to_silence = Stretches()  # of what is still to come
        self.silenced = Stretches()
        """What was recorded and is silence now, since somebody was forgotten; by the writer's
        thread."""
        self._cut_places: Places = ()
        self._busy_since_ns: int | None = None
        self._synced_ns = clock.now_ns()
        self._looked_ns = 0
        self.free_bytes: int | None = None
        """Free space on the target's disk, as last seen."""
        self.written_bytes = 0
        """What the disk has taken, without headers."""
        self.outcome: Future[Finished] = Future()
        """The finished file, or the error that ended it."""
        # Whoever gives up waiting for it must not cancel it: the thread still sets it.
        self.outcome.set_running_or_notify_cancel()
        self.abandoned: Finished | None = None
        """What an error left behind."""
        self._errand: Errand | None = None
        if clock.threads:
            try:
                self._errand = DiskThreads.shared().begin(self._work)
            except RuntimeError as error:
                raise OSError(f"{error}: too many threads") from None

    @property
    def sink(self) -> Sink:
        """What is written to now."""
        return self._chain.sink

    @property
    def cycle_s(self) -> int:
        """So many seconds are kept; 0 while all are."""
        sink = self.sink
        return sink.cycle_s if isinstance(sink, Ring) else 0

    @property
    def unit_samples(self) -> int:
        """Of one unit."""
        return self._format.unit_samples

    @property
    def samples(self) -> int:
        """Samples of the recording that are written."""
        return self.sink.samples

    @property
    def backlog_samples(self) -> int:
        """Samples that wait for the disk."""
        return max(0, self._queued_samples - self.samples)

    def oldest_sample(self, now: int) -> int:
        """The first sample that can be read back from, at a moment: what is older than the cycle is
        the ring's to overwrite at any time."""
        if self.cycle_s:
            return max(0, now - self.cycle_s * self._format.rate_hz)
        return self._chain.first_sample

    def busy_ns(self, now_ns: int) -> int:
        """For how long the disk has been at one call."""
        since = self._busy_since_ns
        return 0 if since is None else now_ns - since

    def write(self, units: list[bytes]) -> None:
        """Append ``units`` to the file, some time. Never blocks."""
        if units:
            self._queued_samples += self._format.samples_in(len(units), len(units[-1]))
            self._put(units)

    def finish(self, marks: Sequence[Mark] = ()) -> Future[Finished]:
        """Complete the file once everything is written, with these marks in it; the result is
        :attr:`outcome`."""
        self._marks = marks
        self._put(None)
        return self.outcome

    def reader(self, first: int, stop: int) -> Reader:
        """Read the samples ``[first, stop)``, on another thread; see :class:`~.sink.Sink`."""
        return self._chain.reader(first, stop)

    def do(self, work: Callable[[], None]) -> None:
        """Have ``work`` done on the writer's thread, when all that was given before is written; it
        raises nothing. It is left out where :meth:`write` would be."""
        self._put(work)

    def silence(self, stretches: Stretches) -> Future[int]:
        """Write silence in place of these samples from now on, whatever still waits here, and have
        a ring forget what it holds of them. What is in a live file stays. From any thread.

        Returns:
            How many samples a ring has forgotten, once that is on the disk; an OSError where it
            cannot be written, and the recording goes on; a StateError where it ended before.
        """
        # At once: before anything that waits is written.
        self._to_silence = (self._to_silence | stretches).within(self.samples, _NO_END)
        done: Future[int] = Future()
        done.set_running_or_notify_cancel()

        def work() -> None:
            try:
                sink = self.sink
                forgotten = sink.silence(stretches) if isinstance(sink, Ring) else 0
                if forgotten:
                    held = stretches.within(sink.first_sample, sink.samples)
                    self.silenced |= held
                done.set_result(forgotten)
            except OSError as error:
                done.set_exception(error)

        def ended(_: Future[Finished]) -> None:
            with suppress(InvalidStateError):  # nearly always it was done before
                done.set_exception(StateError(f"{self.sink.path}: the recording has ended"))

        self.do(work)
        self.outcome.add_done_callback(ended)
        return done

    def holding(self, stretches: Stretches) -> list[Path]:
        """The live files in which any of these samples are as they were recorded."""
        return self._chain.live_files_with(stretches - self.silenced)

    def cut(self, cut: Cut) -> None:
        """Ask this one before anything is written from now on."""
        self._put(lambda: self._cuts.append(cut))

    def succeed(self, sink: Sink) -> None:
        """Write to this one from now on, which belongs to the writer; on the writer's thread, and
        whoever calls it closes the one before."""
        self._chain.succeed(sink)
        self._note_cuts()

    def note_cuts(self, places: Places) -> None:
        """Have it on the disk what was cut out so far, before anything that comes from now on. From
        any thread."""

        def work() -> None:
            self._cut_places = places
            self._note_cuts()

        self.do(work)

    def _note_cuts(self) -> None:
        try:
            self.sink.note_cuts(self._cut_places)
        except OSError as error:  # the recording has them, as long as it lives
            words = "%s: a crash would lose what was cut out of it: %s"
            logger.warning(words, self.sink.path, error)

    def let_go(self) -> None:
        """In a forked child, where the thread is not: close the descriptor and do nothing else."""
        self.sink.let_go()
        if self._stems is not None:
            self._stems.let_go()

    def _put(self, item: _Item) -> None:
        self._queue.put(item)
        if self._errand is not None:
            self._errand.wake()
        else:
            self._work()

    def _work(self, unasked: bool = False) -> bool:
        """Do all that waits; whether there can be more."""
        if unasked and not self.outcome.done():
            self._do_next(self._nothing_came)
        while not self.outcome.done() and not self._queue.empty():
            self._do_next(self._write_what_waits)
        return not self.outcome.done()

    def _do_next(self, work: Callable[[], bool]) -> None:
        """Do it; after the end, finish."""
        try:
            if work():
                self._sync_if_due()
                self._look_at_space()
            else:
                self._busy_since_ns = self._clock.now_ns()
                finished = self.sink.finish(self._marks)
                if self._stems is not None:
                    self._stems.finish(finished.samples)
                self.outcome.set_result(finished)
        except OSError as error:
            self._fail(error)
        except Exception as error:  # a defect of ours must not look like a recording that goes on
            logger.exception("writing %s failed", self.sink.path)
            self._fail(OSError(f"internal error: {error!r}"))
        finally:
            self._busy_since_ns = None

    def _nothing_came(self) -> bool:
        self._on_idle()
        return True

    def _write_what_waits(self) -> bool:
        """False when that was the end."""
        item = self._queue.get_nowait()
        batch: list[bytes] = []
        with suppress(queue.Empty):
            while isinstance(item, list):
                batch += item
                item = self._queue.get_nowait()
        self._write(batch)
        if callable(item):
            self._busy_since_ns = self._clock.now_ns()
            item()
            self._write([])  # for what is due already
            self._busy_since_ns = None
        return item is not None

    def _write(self, units: list[bytes]) -> None:
        """Write these, and do what is due before, between and after them."""
        while True:
            room = {cut: cut.room(units) for cut in self._cuts}
            due = [cut for cut, count in room.items() if count <= 0]
            self._cuts = [cut for cut in self._cuts if cut not in due or cut.take()]
            if due:
                continue
            count = min([len(units), *room.values()])
            if not count:
                return
            self._write_at_once(units[:count])
            units = units[count:]

    def _write_at_once(self, units: list[bytes]) -> None:
        self._busy_since_ns = self._clock.now_ns()
        self.sink.write(self._without_forgotten(units) if self._to_silence else units)
        if self._stems is not None:
            self._stems.work(self.sink.samples)
        self._busy_since_ns = None
        self.written_bytes += sum(map(len, units))
        self._on_written()

    def _without_forgotten(self, units: list[bytes]) -> list[bytes]:
        first, unit = self.samples, self._format.unit_samples
        after: list[bytes] = []
        for number, each in enumerate(units):
            start = first + number * unit
            if self._to_silence.within(start, start + unit):
                self.silenced |= Stretches([(start, start + unit)])
                after.append(silent_unit(len(each), self._format))
            else:
                after.append(each)
        return after

    def _sync_if_due(self) -> None:
        now_ns = self._clock.now_ns()
        if now_ns - self._synced_ns >= SYNC_NS:
            self._busy_since_ns = now_ns
            self.sink.sync()
            if self._stems is not None:
                self._stems.sync()
            self._busy_since_ns = None
            self._synced_ns = now_ns

    def _look_at_space(self) -> None:
        now_ns = self._clock.now_ns()
        if self.free_bytes is None or now_ns - self._looked_ns >= _LOOK_AT_SPACE_NS:
            self._looked_ns = now_ns
            with suppress(OSError):  # that does the recording no harm
                self.free_bytes = self._disk.free_bytes(Path(self.sink.path).parent)

    def _fail(self, error: OSError) -> None:
        try:
            self.abandoned = self.sink.abandon()
        except Exception:
            logger.exception("%s cannot be closed", self.sink.path)
        if self._stems is not None:
            self._stems.abandon(self.sink.samples)
        self.outcome.set_exception(error)  # first: who is told looks here
        self._on_failure(error)
