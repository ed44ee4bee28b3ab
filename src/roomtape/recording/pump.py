"""The part of a recording that runs beside the event loop: mixing, and looking at what goes wrong.

A tick may come on any thread of the pool, but only one at a time. What it has to tell goes to the
callbacks, on that thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import RLock
from typing import TypeVar

from ..audio.outputs import Output, Stem
from ..audio.session import RecordingSession
from ..audio.source_track import SourceTrack
from ..storage.stems.files import StemFiles
from ..storage.stems.stem_file import StemFile
from ..types import NS_PER_S, AudioRecordingWarning
from ..types.clock import Clock
from .health import HealthCheck, Snapshot, Warnings
from .scheduler import Stage
from .writing.disk_writer import DiskWriter

T = TypeVar("T")

logger = logging.getLogger(__name__)

_LOOK_NS = NS_PER_S * 9 // 10  # ticks that are a second apart are so by the machine's clock
_SLEPT_NS = NS_PER_S // 10
_MOST_BACKLOG_S = 60
"""A disk that hangs for longer ends the recording: the audio must not fill the memory."""


@dataclass
class Line:
    """One output on its way to its file."""

    output: Output
    writer: DiskWriter
    encoded: list[bytes] = field(default_factory=list)


@dataclass
class StemLine:
    """A stem on its way to its file."""

    stem: Stem
    file: StemFile
    encoded: list[bytes | memoryview] = field(default_factory=list)


class Pump:
    """From the session to the disk writers, tick by tick, until :meth:`finish`.

    A failure of ours in mixing ends the recording where it happened: nothing is mixed behind it,
    because it would stand at the wrong time. What was mixed before is still written.

    Args:
        session, lines: What is mixed, and where it goes; the first line is the recording.
        clock: For how long a disk has been busy.
        start_ns: When the recording began, on the clock.
        on_warnings: Told when in the recording, and what is new.
        on_failure: Told, once, that :attr:`failure` is set.
        stems: Where the session's stems go.
    """

    def __init__(
        self,
        session: RecordingSession,
        lines: Sequence[Line],
        *,
        clock: Clock,
        start_ns: int,
        on_warnings: Callable[[int, Warnings], None],
        on_failure: Callable[[], None],
        stems: StemFiles | None = None,
    ) -> None:
        self._session = session
        self._lines = lines
        self._clock = clock
        self._start_ns = start_ns
        self._on_warnings = on_warnings
        self._on_failure = on_failure
        self._stems = stems
        self._stem_lines: list[StemLine] = []
        self.stem_files: dict[SourceTrack, StemFile] = {}
        """The stem of each source that has one."""
        self._told_full = False
        self._health = HealthCheck()
        self._looked_ns = 0
        self._told_failures = 0
        self._slept_ns = clock.slept_ns()
        self._lock = RLock()  # in a script, what is written is reported in the same stage
        self._over = False
        self.failure = ""
        """Why the recording cannot go on; empty if it can. It stays what it was first."""
        self.disk_hangs = False
        """Whether that is because the disk has not taken anything for long."""
        self.suspended_ns = 0
        """For how long the machine slept meanwhile."""

    @property
    def nothing_came(self) -> bool:
        """Whether a tick would find nothing but silence; between two ticks."""
        return self._session.nothing_waits

    def tick(self, until_ns: int) -> Stage:
        """Mix what has come by ``until_ns`` on the clock. The next stage encodes it, and the one
        after that writes it."""

        def work() -> None:
            self._session.mix(until_ns - self._start_ns)
            self._begin_stems()

        self._guarded(work)
        return self._encode

    def finish(self, now_ns: int) -> None:
        """Mix all up to ``now_ns`` of the recording, and write it; nothing comes after it. A tick
        that is running is waited for. Raises nothing: :attr:`failure` says what went wrong."""
        with self._lock:
            failed_before = bool(self.failure)
            self._over = True
            if failed_before or not self._try(lambda: self._session.finish(now_ns)):
                self._try(self._session.end)
            for line in self._lines:
                self._try(partial(line.writer.write, line.encoded))
                self._try(partial(_write_rest, line))
            self._try(self._begin_stems)
            self._try(self._encode_stems)
            self._try(self._write_stems)

    def _begin_stems(self) -> None:
        if self._stems is None:
            return
        gone = self._stems.take_gone()
        if gone:
            self._session.let_go_of_stems(len(gone))
            for track in [each for each, file in self.stem_files.items() if file in gone]:
                del self.stem_files[track]
        for stem in self._session.take_begun_stems():
            file = self._stems.begin(stem.source.name, stem.silent_units)
            self.stem_files[stem.source] = file
            self._stem_lines.append(StemLine(stem, file))

    def _encode_stems(self) -> None:
        for line in self._stem_lines:
            line.encoded += line.stem.encode()

    def _write_stems(self) -> None:
        if self._stems is not None and self._stem_lines:
            units = [
                (line.file, line.encoded, line.stem.over)
                for line in self._stem_lines
                if line.encoded or line.stem.over
            ]
            if units:
                self._stems.write(units)
            self._stem_lines = [
                StemLine(line.stem, line.file) for line in self._stem_lines if not line.stem.over
            ]

    def while_still(self, work: Callable[[], T]) -> T:
        """Do ``work`` while nothing is mixed; it must be quick."""
        with self._lock:
            return work()

    def _encode(self) -> Stage:
        def work() -> None:
            for line in self._lines:
                line.encoded += line.output.encode()
            self._encode_stems()

        self._guarded(work)
        return self._write

    def _write(self) -> None:
        def work() -> None:
            for line in self._lines:
                units, line.encoded = line.encoded, []
                line.writer.write(units)
            self._write_stems()

        self._guarded(work)
        self._guarded(self._look)

    def _guarded(self, work: Callable[[], None]) -> None:
        with self._lock:
            if not self._over and not self._try(work):
                self._over = True
                self._on_failure()

    def _try(self, work: Callable[[], None]) -> bool:
        """Whether it worked, and the recording can go on."""
        try:
            work()
        except Exception as error:
            logger.exception("mixing failed")
            self._fail(f"internal error: {error!r}")
            return False
        return not self.failure

    def _fail(self, reason: str) -> None:
        self.failure = self.failure or reason

    def _look(self) -> None:
        now_ns = self._clock.now_ns() - self._start_ns
        if now_ns - self._looked_ns < _LOOK_NS:
            return
        self._looked_ns = now_ns
        warnings = [*self._new_failures(), *self._sleep()]
        session, line = self._session, self._lines[0]
        writer = line.writer
        backlog_s = writer.backlog_samples / line.output.rate_hz
        snapshot = Snapshot(
            now_ns=now_ns,
            sources=[track for track in session.sources if track.left_ns is None],
            mixed_samples=line.output.mixed_samples,
            limited_samples=line.output.limited_samples,
            disk_busy_ns=writer.busy_ns(self._clock.now_ns()),
            backlog_s=backlog_s,
            free_bytes=writer.free_bytes,
            bytes_per_s=line.output.encoder.bytes_per_s
            + sum(each.stem.encoder.bytes_per_s for each in self._stem_lines),
            cycle_s=writer.cycle_s,
        )
        try:
            warnings += self._health.look(snapshot)
        except Exception:
            logger.exception("looking for warnings failed, which harms nothing else")
        if warnings:
            self._on_warnings(now_ns, warnings)
        if backlog_s > _MOST_BACKLOG_S:
            self.disk_hangs = True
            self._fail(
                f"the disk has not kept up: {backlog_s:.0f} s of audio wait in memory, more than "
                f"the {_MOST_BACKLOG_S} s allowed"
            )

    def _new_failures(self) -> Warnings:
        failures = self._session.failures[self._told_failures :]
        self._told_failures += len(failures)
        told = [(AudioRecordingWarning.SOURCE_FAILED, words) for words in failures]
        if self._session.stems_full and not self._told_full:
            self._told_full = True
            words = f"{len(self.stem_files)} stems are all that a recording has: later participants"
            told.append((AudioRecordingWarning.STEM_FAILED, f"{words} are in the mix alone"))
        if self._stems is not None:
            failed = self._stems.take_failures()
            told += [(AudioRecordingWarning.STEM_FAILED, words) for words in failed]
        return told

    def _sleep(self) -> Warnings:
        """Whether the machine slept since this was asked last."""
        before, self._slept_ns = self._slept_ns, self._clock.slept_ns()
        slept_ns = self._slept_ns - before
        if slept_ns < _SLEPT_NS:
            return []
        self.suspended_ns += slept_ns
        slept_s = slept_ns / NS_PER_S
        return [
            (
                AudioRecordingWarning.SUSPENDED,
                f"the machine slept for {slept_s:.1f} s; nothing of that time is in the recording",
            )
        ]


def _write_rest(line: Line) -> None:
    line.writer.write(line.output.finish())
