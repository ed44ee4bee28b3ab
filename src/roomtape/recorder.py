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
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame as AvAudioFrame
from av import AudioResampler

from .audio.session import RecordingSession
from .clock import Clock, SystemClock
from .disk_writer import DiskWriter
from .errors import FileError, OpenFileError, StateError
from .files import create_sink
from .files.disk import Disk
from .files.naming import rings_beside
from .files.report_file import write_report_file
from .files.sink import Finished, Sink, SinkFormat
from .source import Source
from .types import (
    NS_PER_S,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingPosition,
    AudioRecordingQuality,
    AudioRecordingWarning,
    RecordingEvent,
    RecordingReport,
)
from .watch import Snapshot, Watch

logger = logging.getLogger(__name__)

TICK_NS = NS_PER_S // 5
_WATCH_NS = NS_PER_S
_MOST_BACKLOG_S = 60
"""A disk that hangs for longer ends the recording: the audio must not fill the memory."""
_HUNG_DISK_S = 60.0
_MOST_WARNINGS = 1000

EventListener = Callable[[RecordingEvent], object]


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
        self._on_event = on_event
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
        self._sink: Sink | None = None
        self._writer: DiskWriter | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._mixing: asyncio.Task[None] | None = None
        self._start_ns = 0
        self._started_at = self._clock.utc()
        self._mixed_ns = 0
        self._watch = Watch()
        self._watched_ns = 0
        self._warnings: list[str] = []
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
        if not self.over:
            await self.stop()

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
        if self._sink is not None:
            raise StateError("this recorder was started before; make a new one for each recording")
        self._sink_format = SinkFormat(
            audio_format=self.config.format,
            rate_hz=self.config.sample_rate,
            unit_samples=self._session.encoder.unit_samples,
            most_unit_bytes=self._session.encoder.most_unit_bytes,
            cycle_s=int(self.config.cycle_time),
            started_at=self._clock.utc(),
        )
        try:
            left_rings = await asyncio.to_thread(rings_beside, self.path)
            self._sink = await asyncio.to_thread(
                create_sink, self.path, self._sink_format, self._disk
            )
        except (OSError, FileError) as error:
            raise _cannot_open(self.path, error) from None
        self._left_rings = left_rings

    async def begin(self) -> None:
        """Take the target's name and record from now on; needs :meth:`prepare`.

        Raises:
            OpenFileError: The target's name cannot be taken; nothing is left behind.
        """
        if self._sink is None or self._ticker is not None or self.over:
            raise StateError("a recorder begins once, after prepare()")
        sink = self._sink
        try:
            await asyncio.to_thread(sink.place)
        except OSError as error:
            await asyncio.to_thread(sink.discard)
            raise _cannot_open(self.path, error) from None
        loop = asyncio.get_running_loop()
        self._start_ns = self._clock.now_ns()
        self._started_at = self._clock.utc()
        self._writer = DiskWriter(
            sink,
            self._sink_format,
            disk=self._disk,
            clock=self._clock,
            on_failure=lambda error: _on_loop(loop, self._disk_failed, error),
        )
        for source in self._sources:
            self._let_in(source)
        self._emit(AudioRecordingCode.START)
        for ring in self._left_rings:
            self._warn(
                AudioRecordingWarning.UNRECOVERED_RING,
                f"{ring} is what another cyclic recording left or still writes; it is kept. "
                f"If that one crashed, finish it with: roomtape recover '{ring}'",
            )
        self._ticker = loop.create_task(self._run())

    async def stop(self) -> RecordingReport:
        """Record up to now, complete the file, and say what is in it.

        Raises:
            StateError: Nothing is being recorded.
            FileError: The file could not be completed. ERROR has been delivered, and
                :attr:`report` says what there is.
        """
        if self._ticker is None or self.over:
            raise StateError("nothing is being recorded")
        if self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._end())
        # Whoever waits may give up; the file is completed all the same.
        await asyncio.shield(self._ending)
        assert self._report is not None
        if self._error:
            raise FileError(f"{self.path}: {self._error}")
        return self._report

    async def discard(self) -> None:
        """Give up what :meth:`prepare` reserved."""
        if self._sink is not None and self._ticker is None:
            await asyncio.to_thread(self._sink.discard)

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
        task = asyncio.get_running_loop().create_task(_pull(track, source))
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
                await self._mix(self._session.advance, self._mixed_ns)
            except Exception as error:
                logger.exception("mixing %s failed", self.path)
                self._break_off(f"internal error: {error!r}")
                return
            self._look()

    async def _mix(self, step: Callable[[int], list[bytes]], now_ns: int) -> None:
        async def mix_and_write() -> None:
            assert self._writer is not None
            self._writer.write(await self._clock.offload(step, now_ns))

        # Whoever waits may be cancelled; what is being mixed is written all the same.
        self._mixing = asyncio.get_running_loop().create_task(mix_and_write())
        await asyncio.shield(self._mixing)

    async def _end(self) -> None:
        assert self._ticker is not None
        assert self._writer is not None
        now_ns = self._now_ns()
        self._ticker.cancel()
        with suppress(asyncio.CancelledError):
            await self._ticker
        finished: Finished | None = None
        try:
            if self._mixing is not None:
                await self._mixing
            await self._mix(self._session.finish, now_ns)
            finished = await asyncio.wait_for(
                asyncio.wrap_future(self._writer.finish()), _HUNG_DISK_S
            )
        except TimeoutError:
            self._error = self._error or f"the disk has not answered for {_HUNG_DISK_S:.0f} s"
        except Exception as error:
            if not isinstance(error, OSError):
                logger.exception("finishing %s failed", self.path)
            self._error = self._error or _in_words(error)
        await self._close(finished)

    def _disk_failed(self, error: OSError) -> None:
        self._break_off(_in_words(error))

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
        for task in self._pulls:
            task.cancel()
        for source in self._sources:
            source.close()
        report = self._make_report(finished)
        if self.config.report:
            try:
                await asyncio.to_thread(
                    write_report_file, Path(report.file_path), report.as_dict(), self._disk
                )
            except OSError as error:
                logger.warning("the report of %s cannot be written: %s", self.path, error)
        self._report = report
        if self._error:
            self._emit(AudioRecordingCode.ERROR, self._error)
        else:
            self._emit(AudioRecordingCode.FINISH)

    def _make_report(self, finished: Finished | None) -> RecordingReport:
        assert self._writer is not None
        rate_hz = self.config.sample_rate
        mixed = self._session.progress
        there = finished or self._writer.abandoned
        samples = there.samples if there else self._writer.samples
        first = there.first_sample if there else 0
        start_ns = first * NS_PER_S // rate_hz
        # The last AAC frame is padded; the recording is not longer for it.
        end_ns = min(first + samples, mixed.mixed_samples) * NS_PER_S // rate_hz
        return RecordingReport(
            file_path=str(there.path if there else self.path),
            format=self.config.format.value,
            sample_rate=rate_hz,
            channels=1,
            duration_s=samples / rate_hz,
            started_at=_later(self._started_at, start_ns),
            bytes_written=there.file_bytes if there else 0,
            limited_s=mixed.limited_samples / rate_hz,
            unwritten_s=0.0
            if finished
            else max(0, mixed.mixed_samples - self._writer.samples) / rate_hz,
            skipped_s=first / rate_hz,
            warnings=tuple(self._warnings),
            sources=tuple(
                track.report(start_ns=start_ns, end_ns=end_ns) for track in self._session.sources
            ),
            error=self._error,
        )

    # -- telling ------------------------------------------------------------------------------

    def _look(self) -> None:
        now_ns = self._now_ns()
        if now_ns - self._watched_ns < _WATCH_NS or self._writer is None:
            return
        self._watched_ns = now_ns
        rate_hz = self.config.sample_rate
        backlog_s = self._writer.backlog_samples / rate_hz
        progress = self._session.progress
        warnings = self._watch.look(
            Snapshot(
                now_ns=now_ns,
                sources=[track for track in self._session.sources if track.left_ns is None],
                mixed_samples=progress.mixed_samples,
                limited_samples=progress.limited_samples,
                disk_busy_ns=self._writer.busy_ns(self._clock.now_ns()),
                backlog_s=backlog_s,
                free_bytes=self._writer.free_bytes,
                bytes_per_s=0 if self.config.cycle_time else self._session.encoder.bytes_per_s,
            )
        )
        for code, detail in warnings:
            self._warn(code, detail)
        if backlog_s > _MOST_BACKLOG_S:
            self._break_off(
                f"the disk has not kept up: {backlog_s:.0f} s of audio wait in memory, more than "
                f"the {_MOST_BACKLOG_S} s allowed"
            )

    def _warn(self, code: AudioRecordingWarning, detail: str) -> None:
        at_s = self._now_ns() / NS_PER_S
        if len(self._warnings) < _MOST_WARNINGS:
            self._warnings.append(f"{at_s:.1f} s: {detail}")
        self._emit(code, detail)

    def _emit(self, code: AudioRecordingCode | AudioRecordingWarning, detail: str = "") -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(RecordingEvent(code, str(self.path), detail))
        except Exception:
            logger.exception("the callback for %s of %s raised", code.name, self.path)


async def _pull(track: MediaStreamTrack, source: Source) -> None:
    """Push what an aiortc track gives, until it ends."""
    resampler: AudioResampler | None = None
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            break
        if not isinstance(frame, AvAudioFrame):
            logger.warning("%s: the track gives %s, not audio", source.name, type(frame).__name__)
            break
        rate_hz = frame.sample_rate
        pts = frame.pts
        if pts is not None and frame.time_base is not None:
            pts = round(pts * frame.time_base * rate_hz)
        if frame.format.name != "s16":
            resampler = resampler or AudioResampler(format="s16")
            frame = resampler.resample(frame)[0]
        channels = len(frame.layout.channels)
        pcm = np.frombuffer(bytes(frame.planes[0]), np.int16, frame.samples * channels)
        source.push(pcm.reshape(-1, channels) if channels > 1 else pcm, rate_hz, pts)
    source.close()


def _on_loop(
    loop: asyncio.AbstractEventLoop, function: Callable[[OSError], None], error: OSError
) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
        loop.call_soon_threadsafe(function, error)


def _cannot_open(path: Path, error: OSError | FileError) -> OpenFileError:
    return OpenFileError(f"cannot record to {path}: {_in_words(error)}")


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def _later(start: datetime, ns: int) -> datetime:
    return start + timedelta(microseconds=ns / 1000)
