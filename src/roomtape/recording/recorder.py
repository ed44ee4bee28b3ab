"""One recording: sources in, a file and a report out.

The recorder is the shell around three parts that know nothing of each other: the session (audio,
no I/O), the sink (a file), and the health check (warnings). It owns what they lack: time, threads
and the event loop.

* Five times a second the session mixes what has come, on a thread of a pool (see :mod:`.scheduler`:
  all recorders share one beat).
* What it gives goes to the disk writer, which has a thread of its own.
* Events are delivered on the event loop, in order; a callback that raises is logged.

Its states, and what may follow what, are in :mod:`.life`; what happens from START to the end, and
how it ends, in :mod:`.run`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from types import TracebackType

from ..audio.encoder import make_encoder, make_stem_encoder
from ..audio.outputs import channels_of
from ..audio.session import RecordingSession
from ..storage.disk import Disk
from ..storage.sink import SinkFormat
from ..types import (
    NS_PER_S,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingPosition,
    AudioRecordingQuality,
    AudioRecordingWarning,
    RecordingReport,
)
from ..types.clock import SYSTEM_CLOCK, Clock
from ..types.errors import ConfigurationError, FileError, OpenFileError, StateError
from .events import EventFeed, EventListener
from .life import RecorderState
from .reporting.signing import Signing
from .reservation import Reservation, in_words
from .sources.participant import Participant
from .while_recording import WhileRecording

_MOST_STEMS = 200
"""Each holds two descriptors, and somebody may come and go for ever."""
_MOST_STEM_RINGS = 64
"""At a time, of those too who left and are still in what a cyclic recording keeps: each takes up to
86 MB of the disk."""


class AudioRecorder(WhileRecording):
    """Records any number of sources into one file.

    :meth:`start` and :meth:`stop`, each once; between them, sources come and go. Everything belongs
    to one event loop, except what :class:`Source` says is thread-safe. If the loop or the program
    ends without :meth:`stop`, the recording is finished all the same.

    Args:
        config: What to record, and where to.
        on_event: Called with each :class:`RecordingEvent` on the event loop's thread; it may be
            ``async``. (Where the loop has ended meanwhile, the last event comes on another thread.)
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
        config = config.checked()
        if config.beep_s is not None:
            raise ConfigurationError(
                "beep_s: only a room hears a beep; record it with an RtcEngine"
            )
        # By the first recorder that is made: all that one needs from its START to its end.
        from .run import Run  # noqa: PLC0415

        self._run_class = Run
        events = EventFeed(config.first_path, on_event)
        super().__init__(
            config, clock or SYSTEM_CLOCK, events, RecordingSession(level=config.level)
        )
        self._disk = disk or Disk()
        quality = AudioRecordingQuality(config.quality)
        self._output = self._session.add_output(
            make_encoder(config.format, config.sample_rate, quality, channels=config.channels),
            rate_hz=config.sample_rate,
            channels=channels_of(AudioRecordingPosition(config.position), config.channels),
        )
        if config.stems is not None:
            of_stem = partial(make_stem_encoder, config.format, config.sample_rate, quality)
            most = _MOST_STEM_RINGS if config.cycle_time else _MOST_STEMS
            self._session.add_stems(of_stem, most=most)
        self._reservation: Reservation | None = None
        self._signing = Signing(config.sign)
        for name in config.exclude:
            self.exclude(name, by="configuration")

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
            ConfigurationError: The key to sign with cannot be used.
            StateError: It was started before.
        """
        await self.prepare()
        try:
            await self.begin()
        except BaseException:
            await self.discard()
            raise

    async def prepare(self, *, take_name: bool = False) -> None:
        """Reserve what the file needs. Then :meth:`begin`, or :meth:`discard`.

        Args:
            take_name: Put the file at its name right now, moving what stands there aside, so that
                nothing is left that could fail later. :meth:`begin` does it otherwise.

        Raises:
            OpenFileError, ConfigurationError, StateError: As for :meth:`start`.
        """
        if not self._life.enter(RecorderState.READY):
            raise StateError("this recorder was started before; make a new one for each recording")
        encoder = self._output.encoder
        sink_format = SinkFormat(
            audio_format=self.config.format,
            rate_hz=self.config.sample_rate,
            unit_samples=encoder.unit_samples,
            most_unit_bytes=encoder.most_unit_bytes,
            cycle_s=int(self.config.cycle_time),
            started_at=self._clock.utc(),
            channels=self.config.channels,
        )
        self._reservation = Reservation(
            self.path,
            sink_format,
            self._disk,
            first=self._signing.load,
            stems=self.config.stems_path,
        )
        try:
            await self._reservation.reserve()
            if take_name:
                await self._reservation.place()
        except BaseException:
            await self.discard()
            raise

    async def begin(self) -> None:
        """Record from now on; once, after :meth:`prepare`.

        Raises:
            OpenFileError: The target's name cannot be taken; nothing is left behind.
            StateError: It is not prepared, or has begun.
        """
        reservation = self._reservation
        if reservation is None or self._life.state is not RecorderState.READY:
            raise StateError("a recorder begins once, after prepare()")
        try:
            await reservation.place()
        except StateError:  # somebody else is at it; theirs goes on
            raise
        except BaseException:
            await self.discard()
            raise
        self._begin(reservation)
        self._events.tell(AudioRecordingCode.START, reservation.aside)
        for words in reservation.left_rings():
            self._events.warn(0.0, AudioRecordingWarning.UNRECOVERED_RING, words)

    def _begin(self, reservation: Reservation) -> None:
        sink = reservation.take()
        try:
            self._run = self._run_class(
                self.config,
                self._session,
                self._output,
                sink,
                reservation.sink_format,
                sources=self._sources,
                life=self._life,
                events=self._events,
                on_over=self._readers.stop,
                acts=self._discretion.acts,
                signer=self._signing.key,
                clock=self._clock,
                disk=self._disk,
            )
        except BaseException as error:
            self._life.enter(RecorderState.OVER)
            sink.discard()
            if isinstance(error, OSError):
                raise OpenFileError(f"cannot record to {self.path}: {in_words(error)}") from None
            raise
        self._life.enter(RecorderState.RECORDING)
        for source in tuple(self._sources):
            self._let_in(source)

    async def stop(self) -> RecordingReport:
        """Record up to now, complete the file, and say what is in it.

        Where the recording is over already, this says the same again.

        Raises:
            StateError: It was never started, or by another process, of which this is a fork.
            FileError: The recording was broken off, or the file could not be completed. ERROR has
                been delivered, and :attr:`report` says what there is.
        """
        run = self._own_run("stop")
        run.end()
        # Whoever waits may give up; the file is completed all the same.
        await asyncio.wrap_future(run.ended)
        if run.error:
            raise FileError(f"{self.path}: {run.error}")
        assert run.report is not None
        return run.report

    async def _stop_for_good(self) -> None:
        """Stop, and let not even a cancellation end the wait: the event loop may end next."""
        try:
            await self.stop()
        except asyncio.CancelledError:
            assert self._run is not None
            await asyncio.wait([asyncio.wrap_future(self._run.ended)])
            raise

    async def discard(self) -> None:
        """Give up what :meth:`prepare` reserved; does nothing once it has begun. Any number of
        times."""
        if self._life.state is RecorderState.READY:
            self._life.enter(RecorderState.OVER)
        if self._reservation is not None:
            await self._reservation.discard()

    @property
    def state(self) -> RecorderState:
        """Where in its life it is."""
        return self._life.state

    @property
    def over(self) -> bool:
        """Whether it has ended, or was given up before it began."""
        return self._life.state is RecorderState.OVER

    @property
    def report(self) -> RecordingReport | None:
        """What the recording holds and lacks; None until it is over."""
        return self._run.report if self._run is not None else None

    @property
    def duration_s(self) -> float:
        """For how long it has been recording."""
        if self._run is None:
            return 0.0
        report = self._run.report
        return self._run.now_ns / NS_PER_S if report is None else report.duration_s

    @property
    def _runs_on(self) -> asyncio.AbstractEventLoop | None:
        return None if self._run is None else self._run.loop

    def _let_in(self, source: Participant) -> None:
        # While it is ending, it hears nobody.
        if self._run is not None and self.recording:
            source.enter(self._session, start_ns=self._run.start_ns)
