"""One recording: sources in, a file and a report out.

The recorder is the shell around three parts that know nothing of each other: the session (audio,
no I/O), the sink (a file), and the health check (warnings). It owns what they lack: time, threads
and the event loop.

* Five times a second the session mixes what has come, on a thread of a pool (see :mod:`.scheduler`:
  all recorders share one beat).
* What it gives goes to the disk writer, which has a thread of its own.
* Events are delivered on the event loop, in order; a callback that raises is logged.

States: new -> ready (``prepare``) -> recording (``begin``) -> over. Nothing leads back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from aiortc import MediaStreamTrack

from ..audio.session import RecordingSession
from ..clock import SYSTEM_CLOCK, Clock
from ..errors import FileError, StateError
from ..storage.disk import Disk
from ..storage.report_file import write_report_file
from ..storage.sink import Finished, SinkFormat
from ..types import (
    NS_PER_S,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingPosition,
    AudioRecordingQuality,
    AudioRecordingWarning,
    RecordingReport,
)
from .disk_writer import DiskWriter
from .events import EventFeed, EventListener
from .health import Warnings
from .pump import Pump
from .report import make_report
from .reservation import Reservation, in_words
from .scheduler import Beat, Scheduler
from .source import Source, pull

logger = logging.getLogger(__name__)

_HUNG_DISK_S = 60.0
_SLOWEST_BYTES_PER_S = 1 << 20


@dataclass(frozen=True, slots=True)
class _Run:
    """What there is only while it records."""

    writer: DiskWriter
    pump: Pump
    beat: Beat


class AudioRecorder:
    """Records any number of sources into one file.

    Args:
        config: What to record, and where to.
        on_event: Called with each :class:`RecordingEvent` on the event loop's thread.
        clock: Where the time comes from.
        disk: Where the file goes.

    Raises:
        ConfigurationError: A value is not in the contract's table (SuffixError: the suffix).
    """

    def __init__(
        self,
        config: AudioRecordingConfiguration,
        *,
        on_event: EventListener | None = None,
        clock: Clock | None = None,
        disk: Disk | None = None,
    ) -> None:
        config.validate()
        self.config = config
        self.path = config.path
        """The absolute path of the file."""
        self._events = EventFeed(config.path, on_event)
        self._clock = clock or SYSTEM_CLOCK
        self._disk = disk or Disk()
        self._position = AudioRecordingPosition(config.position)
        self._session = RecordingSession(
            rate_hz=config.sample_rate,
            audio_format=config.format,
            quality=AudioRecordingQuality(config.quality),
        )
        self._sources: list[Source] = []
        self._pulls: set[asyncio.Task[None]] = set()
        self._target: Reservation | None = None
        self._run: _Run | None = None
        self._start_ns = 0
        self._ended_ns = 0  # from the start
        self._started_at = self._clock.utc()
        self._ending: asyncio.Task[None] | None = None
        self._report: RecordingReport | None = None
        self._error = ""

    # -- life ---------------------------------------------------------------------------------

    async def __aenter__(self) -> AudioRecorder:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            await self._stop_for_good()
        elif not self.over:
            # What went wrong first is what the caller must see; the event and the report have
            # the rest.
            with suppress(FileError):
                await self._stop_for_good()

    async def start(self) -> None:
        """Create the file and begin to record.

        Raises:
            OpenFileError: The file cannot be created; nothing is left behind.
            StateError: It was started before.
        """
        await self.prepare()
        await self.begin()

    async def prepare(self) -> None:
        """Reserve what the file needs, leaving the target's name alone.

        Raises:
            OpenFileError, StateError: As for :meth:`start`.
        """
        if self._target is not None:
            raise StateError("this recorder was started before; make a new one for each recording")
        encoder = self._session.encoder
        sink_format = SinkFormat(
            audio_format=self.config.format,
            rate_hz=self.config.sample_rate,
            unit_samples=encoder.unit_samples,
            most_unit_bytes=encoder.most_unit_bytes,
            cycle_s=int(self.config.cycle_time),
            started_at=self._clock.utc(),
        )
        self._target = Reservation(self.path, sink_format, self._disk)
        await self._target.reserve()

    async def take_name(self) -> None:
        """Take the target's name, which :meth:`begin` does otherwise; needs :meth:`prepare`.

        Raises:
            OpenFileError: The target's name cannot be taken; nothing is left behind.
        """
        if self._target is None or self._run is not None or self.over:
            raise StateError("a name is taken after prepare() and before begin()")
        await self._target.place()

    async def begin(self) -> None:
        """Record from now on; needs :meth:`prepare`.

        Raises:
            OpenFileError: The target's name cannot be taken; nothing is left behind.
        """
        target = self._target
        if target is None or self._run is not None or self.over:
            raise StateError("a recorder begins once, after prepare()")
        sink = await target.place()
        loop = asyncio.get_running_loop()

        def later(function: Callable[..., None], *args: object) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                loop.call_soon_threadsafe(function, *args)

        self._start_ns = self._clock.now_ns()
        self._started_at = self._clock.utc()
        writer = DiskWriter(
            sink,
            target.sink_format,
            disk=self._disk,
            clock=self._clock,
            on_failure=lambda error: later(self._break_off, in_words(error)),
        )
        pump = Pump(
            self._session,
            writer,
            clock=self._clock,
            start_ns=self._start_ns,
            cycle_s=int(self.config.cycle_time),
            on_warnings=partial(later, self._warn),
            on_failure=partial(later, self._break_off),
        )
        self._run = _Run(writer, pump, Scheduler.shared(self._clock).add(pump.tick))
        for source in self._sources:
            self._let_in(source)
        self._events.tell(AudioRecordingCode.START)
        for words in target.left_rings():
            self._events.warn(0.0, AudioRecordingWarning.UNRECOVERED_RING, words)

    async def stop(self) -> RecordingReport:
        """Record up to now, complete the file, and say what is in it.

        Where the recording is over already, this says the same again.

        Raises:
            StateError: It was never started.
            FileError: The recording was broken off, or the file could not be completed. ERROR has
                been delivered, and :attr:`report` says what there is.
        """
        if self._run is None:
            raise StateError("nothing is being recorded: start() comes before stop()")
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end())
        # Whoever waits may give up; the file is completed all the same.
        await asyncio.shield(self._ending)
        assert self._report is not None
        if self._error:
            raise FileError(f"{self.path}: {self._error}")
        return self._report

    async def _stop_for_good(self) -> None:
        """Stop, and let not even a cancellation end the wait: the event loop may end next."""
        try:
            await self.stop()
        except asyncio.CancelledError:
            assert self._ending is not None
            await asyncio.wait([self._ending])
            raise

    async def discard(self) -> None:
        """Give up what :meth:`prepare` reserved; for a recorder that has not begun."""
        if self._target is not None and self._run is None:
            await self._target.discard()

    @property
    def recording(self) -> bool:
        """Whether it runs."""
        return self._run is not None and self._ending is None

    @property
    def over(self) -> bool:
        """Whether it has run, and ended."""
        return self._report is not None

    @property
    def report(self) -> RecordingReport | None:
        """What the recording holds and lacks; None until it is over."""
        return self._report

    @property
    def duration_s(self) -> float:
        """For how long it has been recording."""
        if self._report is not None:
            return self._report.duration_s
        return (self._clock.now_ns() - self._start_ns) / NS_PER_S if self._run else 0.0

    @property
    def sources(self) -> tuple[Source, ...]:
        """Everybody who is or was in the recording."""
        return tuple(self._sources)

    # -- sources ------------------------------------------------------------------------------

    def add_source(self, name: str, *, local: bool = False) -> Source:
        """Let somebody in, before the start or at any time while it runs.

        Args:
            name: For the report; two sources may share one.
            local: What the local user publishes (positions RECORDING and MIXED_PLAYBACK tell it
                from the others).

        Raises:
            StateError: The recording is over.
        """
        if self.over:
            raise StateError("the recording is over; it takes no more sources")
        source = Source(name, local=local, clock=self._clock)
        self._sources.append(source)
        if self._run is not None:
            self._let_in(source)
        return source

    def add_track(
        self, track: MediaStreamTrack, *, name: str | None = None, local: bool = False
    ) -> Source:
        """Record an aiortc audio track until it ends.

        The track must have no other reader: give each reader its own proxy with aiortc's
        ``MediaRelay``.

        Args:
            track: Any aiortc track of kind "audio".
            name: For the report; the track's id if left out.
            local: See :meth:`add_source`.

        Raises:
            ValueError: It is not an audio track.
            StateError: The recording is over.
        """
        if track.kind != "audio":
            raise ValueError(f"a {track.kind} track cannot be recorded: an audio track is needed")
        source = self.add_source(name or track.id, local=local)
        task = asyncio.get_running_loop().create_task(pull(track, source))
        self._pulls.add(task)
        task.add_done_callback(self._pulls.discard)
        return source

    def _let_in(self, source: Source) -> None:
        if self._position.takes(local=source.local):
            track = self._session.add_source(
                source.name, local=source.local, joined_ns=self._now_ns()
            )
            source._connect(track, self._start_ns)

    # -- the work -----------------------------------------------------------------------------

    def _now_ns(self) -> int:
        return self._clock.now_ns() - self._start_ns

    async def _end(self) -> None:
        assert self._run is not None
        now_ns = self._ended_ns = self._now_ns()
        self._run.beat.stop()
        finished: Finished | None = None
        # A cyclic recording is copied to its file, and a memory card may take its time for that.
        copied = self._session.encoder.bytes_per_s * int(self.config.cycle_time)
        most_s = _HUNG_DISK_S + copied / _SLOWEST_BYTES_PER_S
        try:
            await self._clock.offload(self._run.pump.finish, now_ns)
            finishing = asyncio.wrap_future(self._run.writer.finish())
            finished = await asyncio.wait_for(finishing, most_s)
        except TimeoutError:
            self._error = self._error or f"the disk has not answered for {most_s:.0f} s"
        except Exception as error:
            if not isinstance(error, OSError):
                logger.exception("finishing %s failed", self.path)
            self._error = self._error or in_words(error)
        await self._close(finished)

    def _break_off(self, reason: str) -> None:
        """The recording cannot go on: say so once, and end what can be ended."""
        if self.over or self._ending is not None:
            return  # stop() is at it already and will see the same error
        assert self._run is not None
        self._error = reason
        self._ended_ns = self._now_ns()
        self._run.beat.stop()
        self._run.writer.finish()
        self._ending = asyncio.get_running_loop().create_task(self._close(None))

    async def _close(self, finished: Finished | None) -> None:
        """Write the report and deliver the last event."""
        assert self._run is not None
        self._run.pump.stop()
        for task in self._pulls:
            task.cancel()
        for source in self._sources:
            source.close()
        report = make_report(
            self.config,
            self._session,
            self._run.writer,
            started_at=self._started_at,
            ended_ns=self._ended_ns,
            finished=finished,
            warnings=self._events.warnings,
            error=self._error,
        )
        if self.config.report and self._run.writer.outcome.done():  # not on a disk that hangs
            writing = asyncio.to_thread(
                write_report_file, Path(report.file_path), report.as_dict(), self._disk
            )
            try:
                await asyncio.wait_for(writing, _HUNG_DISK_S)
            except OSError as error:  # a TimeoutError is one
                logger.warning("the report of %s cannot be written: %s", self.path, error)
        self._report = report
        if self._error:
            self._events.tell(AudioRecordingCode.ERROR, self._error)
        else:
            self._events.tell(AudioRecordingCode.FINISH)

    def _warn(self, now_ns: int, warnings: Warnings) -> None:
        if not self.over:
            for code, detail in warnings:
                self._events.warn(now_ns / NS_PER_S, code, detail)
