"""One room, recorded: joining it, a file from the first participant on, its report, leaving.

Whatever goes wrong here ends this recording alone, is in what :meth:`RoomRecording.run` returns,
and leaves either a finished file with its report, or an entry in the journal by which it is
recovered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...engine import ChannelEventCallback, RtcEngine
from ...rooms import Room
from ...storage.disk import Disk
from ...storage.notes.journal import Entry, Journal
from ...storage.report_file import write_report_file
from ...types import (
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingQuality,
    AudioRecordingWarning,
    Consent,
    ErrorCode,
    RecordingReport,
)
from ...types.clock import SYSTEM_CLOCK, Clock
from ..files.names import JOURNAL, entry_name, recording_path
from .life import MAY_FOLLOW, RoomState
from .messages import EVERYBODY_LEFT, Began, Ended, Record, Stop

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Setting:
    """What all recordings of a process have in common.

    Attributes:
        worker: Whose they are.
        directory: Where they go.
        sample_rate, quality: How they are encoded.
        exclude, consent, beep_s: See :class:`roomtape.AudioRecordingConfiguration`.
        alone_s: For how long a room is recorded, or waited in, in which nobody is.
        clock, disk: When, and where.
    """

    worker: str
    directory: Path
    sample_rate: int = 32000
    quality: AudioRecordingQuality = AudioRecordingQuality.MEDIUM
    exclude: tuple[str, ...] = ()
    consent: Consent = Consent.NOT_ASKED
    beep_s: float | None = None
    alone_s: float = 30.0
    clock: Clock = SYSTEM_CLOCK
    disk: Disk = field(default_factory=Disk)


class RoomRecording(ChannelEventCallback):
    """Call :meth:`run` once; :meth:`stop` ends it, at any moment and any number of times.

    Args:
        order: What to record.
        room: How to reach it; nobody else uses it.
        token: What lets in.
        setting: How, and where to.
        on_began: Called once the file is there.
    """

    def __init__(
        self,
        order: Record,
        room: Room,
        token: str | None,
        setting: Setting,
        on_began: Callable[[Began], None],
    ) -> None:
        self.order = order
        self.state = RoomState.JOINING
        self._room = room
        self._token = token
        self._setting = setting
        self._on_began = on_began
        self._present: set[str] = set()
        self._changed = asyncio.Event()  # somebody came or went, or it is to end
        self._why = ""  # what ends it; empty while nothing does
        self._failed = False
        self._next: dict[str, Any] | None = None
        self._engine: RtcEngine | None = None
        self._file: Path | None = None
        self._finished_file = ""
        self._entry: Entry | None = None
        self._warnings: Counter[str] = Counter()
        self._report: RecordingReport | None = None

    def stop(self, order: Stop) -> None:
        """Finish it."""
        if self.state in (RoomState.ENDING, RoomState.OVER):
            return
        self._next = order.next
        self._end(order.why)

    @property
    def recorded_s(self) -> float:
        """How much is in the file by now."""
        recorder = self._engine.recorder if self._engine is not None else None
        if recorder is not None:
            return recorder.duration_s
        return self._report.duration_s if self._report is not None else 0.0

    async def run(self) -> Ended:
        """Record until the room is closed or empty, something fails, or :meth:`stop`."""
        try:
            async with RtcEngine(
                self._room, clock=self._setting.clock, disk=self._setting.disk
            ) as engine:
                self._engine = engine
                engine.set_event_callback(self)
                await self._join_and_record(engine)
                self._enter(RoomState.ENDING)
        except Exception as error:  # whatever a room's adapter raises concerns this room alone
            logger.exception("the recording of a room failed", extra=self._facts())
            self._fail(f"internal error: {type(error).__name__}: {error}")
        finally:
            self._enter(RoomState.ENDING)
            await self._put_on_record()
            self._enter(RoomState.OVER)
        return self._ended()

    async def _join_and_record(self, engine: RtcEngine) -> None:
        order = self.order
        joining = asyncio.ensure_future(
            engine.join_channel(self._token, order.room, order.identity)
        )
        if not await self._done_or_ended(joining):
            return
        if joining.result() is not ErrorCode.OK:
            self._fail(f"cannot join: {engine.last_error}")
            return
        if not self._enter(RoomState.WAITING) or not await self._somebody():
            return
        if not await self._begin(engine):
            return
        await self._until_over()
        if engine.recorder is not None:
            await engine.stop_audio_recording()

    async def _done_or_ended(self, work: asyncio.Future[ErrorCode]) -> bool:
        """Wait for ``work``, and give it up where this is to end."""
        while not work.done() and not self._why:
            waiting = asyncio.create_task(self._changed.wait())
            both: set[asyncio.Future[Any]] = {work, waiting}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            self._changed.clear()
        if work.done():
            return True
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        return False

    async def _somebody(self) -> bool:
        """Whether somebody is there, or comes in time."""
        return await self._until(lambda: bool(self._present)) or self._end("nobody came")

    async def _until_over(self) -> None:
        while not self._why:
            self._changed.clear()
            await self._changed.wait()
            if (
                not self._present
                and not self._why
                and not await self._until(lambda: bool(self._present))
            ):
                self._end(EVERYBODY_LEFT)

    async def _until(self, true: Callable[[], bool]) -> bool:
        """Wait until it is so, or this is to end, for as long as a room may be empty."""
        try:
            async with asyncio.timeout(self._setting.alone_s):
                while not true() and not self._why:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _begin(self, engine: RtcEngine) -> bool:
        """Begin a file.

        Returns:
            Whether it was begun.
        """
        if self._why:
            return False
        setting, order = self._setting, self.order
        path = recording_path(setting.directory, order.room, setting.clock.utc())
        facts = {
            **self._fleet(),
            "file": str(path),
            "path": str(path.relative_to(setting.directory)),  # the disk may be found elsewhere
            "started_at": setting.clock.utc().isoformat(),
            "sample_rate": setting.sample_rate,
            "consent": setting.consent.value,
        }
        name = entry_name(path, setting.worker, order.lease)
        try:
            await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
            journal = Journal(setting.directory / JOURNAL, setting.disk)
            self._entry = await asyncio.to_thread(journal.enter, name, facts)
        except OSError as error:
            self._fail(f"cannot record to {path}: {error.strerror or error}")
            return False
        config = AudioRecordingConfiguration(
            path,
            sample_rate=setting.sample_rate,
            quality=setting.quality,
            exclude=setting.exclude,
            consent=setting.consent,
            beep_s=setting.beep_s,
        )
        self._file = path
        if await engine.start_audio_recording_with_config(config) is not ErrorCode.OK:
            self._fail(engine.last_error)
            return False
        if self._enter(RoomState.RECORDING):
            self._on_began(Began(order.room, order.lease, str(path)))
        return True

    # -- what ends it ----------------------------------------------------------------------------

    def _end(self, why: str) -> bool:
        """It is to end; only the first reason counts. Returns False."""
        self._why = self._why or why or "it was told to end"
        self._changed.set()
        return False

    def _fail(self, why: str) -> None:
        if not self._why:
            self._failed = True
        self._end(why)

    def _enter(self, state: RoomState) -> bool:
        if state not in MAY_FOLLOW[self.state]:
            return False
        logger.debug("%s, then %s", self.state.value, state.value, extra=self._facts())
        self.state = state
        return True

    async def _put_on_record(self) -> None:
        """The report beside the file; then the journal needs no entry any more."""
        report = self._report = self._engine.last_recording_report if self._engine else None
        try:
            if report is not None:
                self._finished_file = report.file_path
                facts = {**report.as_dict(), "fleet": self._fleet(ended=self._why)}
                await asyncio.to_thread(
                    write_report_file, Path(report.file_path), facts, self._setting.disk
                )
            if self._entry is not None:
                await asyncio.to_thread(self._entry.remove)
        except OSError as error:
            logger.warning(
                "the report cannot be written: %s", error.strerror or error, extra=self._facts()
            )
        finally:
            if self._entry is not None:
                self._entry.close()

    def _ended(self) -> Ended:
        report = self._report
        sources = report.sources if report is not None else ()
        return Ended(
            self.order.room,
            self.order.lease,
            self._why,
            file=self._finished_file,
            failed=self._failed or bool(report and report.error),
            duration_s=report.duration_s if report is not None else 0.0,
            lost_s=sum(each.lost_s for each in sources),
            late_s=sum(each.late_s for each in sources),
            warnings=dict(self._warnings),
        )

    def _fleet(self, **more: Any) -> dict[str, Any]:
        """What the report says of the fleet."""
        order = self.order
        return {
            "room": order.room,
            "sid": order.sid,
            "worker": self._setting.worker,
            "lease": order.lease,
            "previous": order.previous,
            "next": self._next,
            **more,
        }

    def _facts(self) -> dict[str, Any]:
        """For the log."""
        facts: dict[str, Any] = {"room": self.order.room, "lease": self.order.lease}
        return facts if self._file is None else {**facts, "file": str(self._file)}

    # -- the engine's callback -------------------------------------------------------------------

    def on_user_joined(self, uid: str) -> None:
        self._present.add(uid)
        self._changed.set()

    def on_user_left(self, uid: str, reason: str) -> None:
        del reason
        self._present.discard(uid)
        self._changed.set()

    def on_audio_recording(self, code: AudioRecordingCode, file_path: str) -> None:
        del file_path
        if code is AudioRecordingCode.ERROR:
            engine = self._engine
            self._fail(engine.last_error if engine is not None else "the disk failed")

    def on_audio_recording_warning(self, code: AudioRecordingWarning, detail: str) -> None:
        self._warnings[code.name.lower()] += 1
        logger.info("%s: %s", code.name.lower(), detail, extra=self._facts())

    def on_disconnect(self, reason: str) -> None:
        self._end(reason)
