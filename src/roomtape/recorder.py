"""One recording: sources in, a file and a report out.

The recorder is the shell around three parts that know nothing of each other: the session (audio,
no I/O), the sink (a file), and the watch (warnings). It owns what they lack: time, threads and the
event loop.

* Five times a second the session mixes what has come, on a thread of a pool that all recorders
  share.
* What it gives goes to the disk writer, which has a thread of its own.
* Events are delivered on the event loop, in order; a callback that raises is logged.

States: new -> ready (``prepare``) -> recording (``begin``) -> over. Nothing leads back.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType

from aiortc import MediaStreamTrack

from .audio.session import RecordingSession
from .clock import Clock, SystemClock
from .disk_writer import DiskWriter
from .errors import FileError, StateError
from .files.disk import Disk
from .files.report_file import write_report_file
from .files.sink import Finished, SinkFormat
from .notices import EventListener, Notices
from .reporting import make_report
from .source import Source, pull
from .target import Target, in_words
from .types import (
    NS_PER_S,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingPosition,
    AudioRecordingQuality,
    AudioRecordingWarning,
    RecordingReport,
)
from .watch import Snapshot, Watch

logger = logging.getLogger(__name__)

TICK_NS = NS_PER_S // 5
_WATCH_NS = NS_PER_S
_MOST_BACKLOG_S = 60
"""A disk that hangs for longer ends the recording: the audio must not fill the memory."""
_HUNG_DISK_S = 60.0


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
        self._notices = Notices(config.path, on_event)
        self._clock = clock or SystemClock()
        self._disk = disk or Disk()
        self._position = AudioRecordingPosition(config.position)
        self._session = RecordingSession(
            rate_hz=config.sample_rate,
            audio_format=config.format,
            quality=AudioRecordingQuality(config.quality),
        )
        self._sources: list[Source] = []
        self._pulls: set[asyncio.Task[None]] = set()
        self._target: Target | None = None
        self._writer: DiskWriter | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._mixing = Lock()
        self._start_ns = 0
        self._started_at = self._clock.utc()
        self._mixed_ns = 0
        self._watch = Watch()
        self._watched_ns = 0
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
        self._target = Target(self.path, sink_format, self._disk)
        await self._target.reserve()

    async def take_name(self) -> None:
        """Take the target's name, which :meth:`begin` does otherwise; needs :meth:`prepare`.

        Raises:
            OpenFileError: The target's name cannot be taken; nothing is left behind.
        """
        if self._target is None or self._ticker is not None or self.over:
            raise StateError("a name is taken after prepare() and before begin()")
        await self._target.place()

    async def begin(self) -> None:
        """Record from now on; needs :meth:`prepare`.

        Raises:
            OpenFileError: The target's name cannot be taken; nothing is left behind.
        """
        target = self._target
        if target is None or self._ticker is not None or self.over:
            raise StateError("a recorder begins once, after prepare()")
        sink = await target.place()
        loop = asyncio.get_running_loop()
        self._start_ns = self._clock.now_ns()
        self._started_at = self._clock.utc()
        self._writer = DiskWriter(
            sink,
            target.sink_format,
            disk=self._disk,
            clock=self._clock,
            on_failure=lambda error: _on_loop(loop, self._disk_failed, error),
        )
        for source in self._sources:
            self._let_in(source)
        self._notices.tell(AudioRecordingCode.START)
        for ring in target.left_rings:
            self._notices.warn(
                0.0,
                AudioRecordingWarning.UNRECOVERED_RING,
                f"{ring} is what a crashed cyclic recording left; it is kept. Finish it with: "
                f"roomtape recover {shlex.quote(str(ring))}",
            )
        self._ticker = loop.create_task(self._run())

    async def stop(self) -> RecordingReport:
        """Record up to now, complete the file, and say what is in it.

        Where the recording is over already, this says the same again.

        Raises:
            StateError: It was never started.
            FileError: The recording was broken off, or the file could not be completed. ERROR has
                been delivered, and :attr:`report` says what there is.
        """
        if self._ticker is None:
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
        if self._target is not None and self._ticker is None:
            await self._target.discard()

    @property
    def recording(self) -> bool:
        """Whether it runs."""
        return self._ticker is not None and not self.over and self._ending is None

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
        return (self._clock.now_ns() - self._start_ns) / NS_PER_S if self._ticker else 0.0

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
        if self._ticker is not None or self._writer is not None:
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
        wanted = {
            AudioRecordingPosition.MIXED_RECORDING_AND_PLAYBACK: True,
            AudioRecordingPosition.RECORDING: source.local,
            AudioRecordingPosition.MIXED_PLAYBACK: not source.local,
        }
        if wanted[self._position]:
            track = self._session.add_source(
                source.name, local=source.local, joined_ns=self._now_ns()
            )
            source._connect(track, self._start_ns)

    # -- the work -----------------------------------------------------------------------------

    def _now_ns(self) -> int:
        return self._clock.now_ns() - self._start_ns

    async def _run(self) -> None:
        due_ns = self._start_ns
        while True:
            due_ns = max(due_ns + TICK_NS, self._clock.now_ns())
            await self._clock.sleep_until(due_ns)
            # After a stall of ours (a blocked loop, SIGSTOP) what came meanwhile still waits in
            # sockets and queues. The mix head goes after the clock at twice its speed at most,
            # so that it can still be placed.
            self._mixed_ns = min(self._now_ns(), self._mixed_ns + 2 * TICK_NS)
            try:
                await self._offload(self._session.advance, self._mixed_ns)
                self._look()
            except Exception as error:
                logger.exception("mixing %s failed", self.path)
                self._break_off(f"internal error: {error!r}")
                return

    async def _offload(self, step: Callable[[int], list[bytes]], now_ns: int) -> None:
        """Do a step of the session on a thread of the pool, and write what it gives."""
        writer, mixing = self._writer, self._mixing
        assert writer is not None

        def mix_and_write(now_ns: int) -> None:
            # One at a time: a step goes on to its end even where whoever waits is cancelled.
            with mixing:
                writer.write(step(now_ns))

        await self._clock.offload(mix_and_write, now_ns)

    async def _end(self) -> None:
        assert self._ticker is not None
        assert self._writer is not None
        now_ns = self._now_ns()
        self._ticker.cancel()
        await asyncio.wait([self._ticker])
        finished: Finished | None = None
        try:
            await self._offload(self._session.finish, now_ns)
            finished = await asyncio.wait_for(
                asyncio.wrap_future(self._writer.finish()), _HUNG_DISK_S
            )
        except TimeoutError:
            self._error = self._error or f"the disk has not answered for {_HUNG_DISK_S:.0f} s"
        except Exception as error:
            if not isinstance(error, OSError):
                logger.exception("finishing %s failed", self.path)
            self._error = self._error or in_words(error)
        await self._close(finished)

    def _disk_failed(self, error: OSError) -> None:
        self._break_off(in_words(error))

    def _break_off(self, reason: str) -> None:
        """The recording cannot go on: say so once, and end what can be ended."""
        if self.over or self._ending is not None:
            return  # stop() is at it already and will see the same error
        self._error = reason
        assert self._ticker is not None
        self._ticker.cancel()
        assert self._writer is not None
        self._writer.finish()
        self._ending = asyncio.get_running_loop().create_task(self._close(None))

    async def _close(self, finished: Finished | None) -> None:
        """Write the report and deliver the last event."""
        assert self._writer is not None
        for task in self._pulls:
            task.cancel()
        for source in self._sources:
            source.close()
        report = make_report(
            self.config,
            self._session,
            self._writer,
            started_at=self._started_at,
            finished=finished,
            warnings=self._notices.warnings,
            error=self._error,
        )
        if self.config.report and self._writer.outcome.done():  # not on a disk that hangs
            writing = asyncio.to_thread(
                write_report_file, Path(report.file_path), report.as_dict(), self._disk
            )
            try:
                await asyncio.wait_for(writing, _HUNG_DISK_S)
            except OSError as error:  # a TimeoutError is one
                logger.warning("the report of %s cannot be written: %s", self.path, error)
        self._report = report
        if self._error:
            self._notices.tell(AudioRecordingCode.ERROR, self._error)
        else:
            self._notices.tell(AudioRecordingCode.FINISH)

    # -- telling ------------------------------------------------------------------------------

    def _look(self) -> None:
        now_ns = self._now_ns()
        if now_ns - self._watched_ns < _WATCH_NS or self._writer is None:
            return
        self._watched_ns = now_ns
        rate_hz = self.config.sample_rate
        backlog_s = self._writer.backlog_samples / rate_hz
        progress = self._session.progress
        snapshot = Snapshot(
            now_ns=now_ns,
            sources=[track for track in self._session.sources if track.left_ns is None],
            mixed_samples=progress.mixed_samples,
            limited_samples=progress.limited_samples,
            disk_busy_ns=self._writer.busy_ns(self._clock.now_ns()),
            backlog_s=backlog_s,
            free_bytes=self._writer.free_bytes,
            bytes_per_s=self._session.encoder.bytes_per_s,
            cycle_s=int(self.config.cycle_time),
        )
        for code, detail in self._watch.look(snapshot):
            self._notices.warn(now_ns / NS_PER_S, code, detail)
        if backlog_s > _MOST_BACKLOG_S:
            self._break_off(
                f"the disk has not kept up: {backlog_s:.0f} s of audio wait in memory, more than "
                f"the {_MOST_BACKLOG_S} s allowed"
            )


def _on_loop(
    loop: asyncio.AbstractEventLoop, function: Callable[[OSError], None], error: OSError
) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
        loop.call_soon_threadsafe(function, error)
