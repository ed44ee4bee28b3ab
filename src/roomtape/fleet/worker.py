"""A worker: what finds rooms, holds their leases, and has its recorder processes record them.

It does no audio, so nothing in it is ever late. Each part runs until the worker is told to end:
:mod:`.finding` finds rooms, :mod:`.taking` takes them, :mod:`.keeping` keeps their leases,
:mod:`.processes` keeps the recorders up, :mod:`.files.upkeep` sees to the disk, :mod:`.front`
answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
import json
import logging
from collections.abc import Coroutine

from ..types.errors import FleetError
from .files.upkeep import Upkeep
from .finding import Finder
from .front import Health
from .keeping import Keeper
from .leases import FoundRoom, Holder, Leases, Load, named
from .messages import Began, Ended, Message, Record, Stop
from .metrics import Metrics
from .options import WorkerOptions
from .processes import Processes
from .service import LiveKitService
from .taken import TakenRoom, TakenRooms, TakenState
from .taking import Taker

logger = logging.getLogger(__name__)

_BEAT_S = 1.0
_WELL_S = 60.0
"""A recording of that length was no failure."""
_LEAVE_S = 100.0
"""For what is left to be finished, once no other worker is waited for."""


class WorkerState(enum.Enum):
    """Where in its life a worker is."""

    NEW = "new"
    RUNNING = "running"
    DRAINING = "draining"
    OVER = "over"


MAY_FOLLOW: dict[WorkerState, frozenset[WorkerState]] = {
    WorkerState.NEW: frozenset({WorkerState.RUNNING}),
    WorkerState.RUNNING: frozenset({WorkerState.DRAINING}),
    WorkerState.DRAINING: frozenset({WorkerState.OVER}),
    WorkerState.OVER: frozenset(),
}


class Worker:
    """Call :meth:`run` once; :meth:`drain` ends it, and ends it faster the second time.

    Args:
        options: What it is to do.
        leases: Which worker records which room.
        service: Whose rooms.
        metrics: Where it counts.
        log: How its recorders log: ``text`` or ``json``, and whether everything.
    """

    def __init__(
        self,
        options: WorkerOptions,
        leases: Leases,
        service: LiveKitService,
        metrics: Metrics,
        *,
        log: str = "text",
        debug: bool = False,
    ) -> None:
        self._options = options
        self._leases = leases
        self._service = service
        self._metrics = metrics
        self.state = WorkerState.NEW
        self._taken = TakenRooms()
        self._told_to_end = asyncio.Event()
        self._hurry = False
        self._hopeless = False
        self._service_error = ""
        self._others: frozenset[str] = frozenset()
        self._tasks: set[asyncio.Task[None]] = set()
        self._processes = Processes(
            options.processes,
            first_line(options, log, debug=debug),
            on_message=self._on_message,
            on_gone=self._on_process_gone,
            on_hopeless=self._give_up,
        )
        self._keeper = Keeper(
            leases,
            self._taken,
            lease_s=options.lease_s,
            stop=self._tell_to_stop,
            on_lost=self._on_lost,
        )
        self._taker = Taker(
            leases,
            self._taken,
            wants=options.wants,
            room_left=self._room_left,
            load=self._load,
            take=self._take,
        )
        self._finder = Finder(
            service,
            leases,
            every_s=options.list_s,
            found=self._taker.offer,
            on_service=self._on_service,
        )
        self._upkeep = Upkeep(options, leases, metrics, lambda: self._others)

    async def run(self) -> bool:
        """Record until told to end, and then until all is finished or handed over.

        Returns:
            Whether it ended as it should; False where its processes died too often.
        """
        self._enter(WorkerState.RUNNING)
        self._processes.start()
        work = [
            asyncio.create_task(each)
            for each in (
                self._finder.run(),
                self._taker.run(),
                self._keeper.run(),
                self._beat(),
                self._upkeep.run(),
            )
        ]
        try:
            ended = asyncio.create_task(self._told_to_end.wait())
            await asyncio.wait([ended, *work], return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            self._enter(WorkerState.DRAINING)
            await self._drain()
        finally:
            for task in work:
                task.cancel()
            await self._processes.close()
            results = await asyncio.gather(*work, return_exceptions=True)
            await self._leave()
            self._enter(WorkerState.OVER)
        for result in results:
            if isinstance(result, Exception):  # a defect of ours; the files are finished
                raise result
        return not self._hopeless

    def drain(self) -> None:
        """Take no further rooms, hand those over that there are, and end; told again, finish the
        files at once."""
        self._hurry = self._told_to_end.is_set()
        self._told_to_end.set()
        if self._hurry:
            for taken in self._taken:
                self._keeper.stop(taken, "the worker was told to end")

    async def told(self, room: FoundRoom) -> None:
        """A webhook has told of a room."""
        await self._finder.told(room)

    def health(self) -> Health:
        """Whether it does what it is there for, and the details."""
        processes = len(self._processes.up())
        well = (
            self.state is WorkerState.RUNNING
            and not self._service_error
            and self._keeper.up
            and processes == self._options.processes
        )
        return well, {
            "worker": self._options.name,
            "state": self.state.value,
            "rooms": len(self._taken),
            "limit": self._options.limit,
            "processes": processes,
            "redis": self._keeper.up,
            "livekit": not self._service_error,
            "disk": self._upkeep.disk_has_room,
        }

    def refresh_metrics(self) -> None:
        """Bring the gauges up to now."""
        metrics = self._metrics
        metrics.rooms.set(len(self._taken))
        metrics.rooms_limit.set(self._options.limit)
        metrics.processes.set(len(self._processes.up()))
        metrics.redis_up.set(self._keeper.up)
        metrics.livekit_up.set(not self._service_error)
        metrics.draining.set(self.state is WorkerState.DRAINING)
        metrics.disk_free_bytes.set(self._upkeep.free_bytes)
        metrics.show_beats(self._processes.beats())

    # -- taking and ending rooms -----------------------------------------------------------------

    def _room_left(self) -> int:
        running = self.state is WorkerState.RUNNING and not self._told_to_end.is_set()
        if not running or not self._keeper.may_take or not self._upkeep.disk_has_room:
            return 0
        return self._options.limit - len(self._taken) if self._processes.up() else 0

    def _load(self) -> Load:
        rooms = len(self._taken)
        return Load(rooms, rooms + max(0, self._room_left()))

    async def _take(self, found: FoundRoom) -> None:
        taking = await self._leases.take(found.name)
        if taking is None:
            return
        lease, before = taking
        previous = before if before is not None and before.sid == found.sid else None
        if previous is not None and previous.file:
            facts: dict[str, object] | None = {**named(previous)}
        else:
            facts = await self._upkeep.went_before(found.name, found.sid)
        # Nothing is awaited from here on: who drains sees a room that has its order, or none.
        up = self._processes.up()
        if found.name in self._taken or not up or self._told_to_end.is_set():
            await self._leases.release(lease)
            return
        process = min(up, key=lambda number: len(self._taken.of_process(number)))
        name = self._options.name
        identity = f"roomtape-{name}-{lease.fence}"
        holder = Holder(lease.fence, name, found.sid, identity)
        taken = TakenRoom(found, lease, process, holder, previous)
        self._taken.add(taken)
        self._metrics.taken.inc()
        order = Record(found.name, found.sid, lease.fence, identity, facts)
        if not self._processes.send(process, order):
            self._over(taken)

    def _on_message(self, process: int, message: Message) -> None:
        match message:
            case Began():
                taken = self._taken.get(message.room, message.lease)
                if taken is not None and taken.enter(TakenState.RECORDING):
                    taken.holder = dataclasses.replace(taken.holder, file=message.file)
                    logger.info("recording", extra=_facts(taken))
                    self._spawn(self._tell_others(taken))
            case Ended():
                self._metrics.count_ended(message)
                taken = self._taken.get(message.room, message.lease)
                if taken is not None:
                    self._on_ended(taken, message)
            case _:
                logger.warning("recorder process %d said something odd", process)

    def _on_ended(self, taken: TakenRoom, ended: Ended) -> None:
        words = f"{ended.duration_s:.1f} s recorded; {ended.why}" if ended.file else ended.why
        level = logging.WARNING if ended.failed else logging.INFO
        logger.log(level, "ended: %s", words, extra=_facts(taken))
        if ended.failed or (not ended.file and taken.state is TakenState.ORDERED):
            self._taker.failed(taken.found.name)
        elif ended.duration_s >= _WELL_S:
            self._taker.went_well(taken.found.name)
        previous = taken.previous
        if ended.file and previous is not None and previous.file:
            self._spawn(self._upkeep.name_next(previous.file, {**named(taken.holder)}))
        self._over(taken)

    def _over(self, taken: TakenRoom) -> None:
        if self._taken.discard(taken):
            self._spawn(self._keeper.release(taken))

    def _on_process_gone(self, process: int) -> None:
        if self.state is WorkerState.RUNNING:
            self._metrics.restarts.inc()
        for taken in self._taken.of_process(process):
            logger.warning("its recorder died; it is taken again", extra=_facts(taken))
            self._taker.failed(taken.found.name)
            if self._taken.discard(taken):
                self._spawn(self._release_and_tell(taken))

    async def _release_and_tell(self, taken: TakenRoom) -> None:
        await self._keeper.release(taken)
        await self._finder.told(taken.found)

    def _on_lost(self, taken: TakenRoom) -> None:
        self._metrics.lost.inc()
        why = "another worker has taken the room"
        within_s = self._options.lease_s
        self._spawn(self._keeper.hand_over(taken, why, lost=True, within_s=within_s))

    def _tell_to_stop(self, taken: TakenRoom, stop: Stop) -> None:
        if not self._processes.send(taken.process, stop):
            self._over(taken)

    async def _tell_others(self, taken: TakenRoom) -> None:
        """It is recorded now: who waits for that may stop, and who had it before is put out."""
        try:
            await self._leases.note(taken.lease, taken.holder)
            previous = taken.previous
            if previous is None or previous.handing_over:
                return
            if await self._service.remove(taken.found.name, previous.identity):
                logger.warning("put out the recorder of worker %s", previous.worker)
        except FleetError as error:
            logger.warning("%s", error, extra=_facts(taken))

    def _give_up(self) -> None:
        self._hopeless = True
        self._told_to_end.set()

    def _on_service(self, error: str) -> None:
        if error and error != self._service_error:
            logger.error("%s; recordings go on", error)
        elif self._service_error and not error:
            logger.warning("the LiveKit service answers again")
        self._service_error = error

    # -- draining --------------------------------------------------------------------------------

    async def _drain(self) -> None:
        why = "the worker was told to end"
        logger.info("draining: %d rooms", len(self._taken))
        with contextlib.suppress(FleetError):
            self._others = frozenset(await self._leases.tell_load(self._load()))
            await self._leases.leave()  # nobody waits for this one
        # One that is full now, or has just started, may have room in a moment.
        within_s = self._options.drain_s if self._others and not self._hurry else 0
        handing = [
            self._keeper.hand_over(taken, why, lost=False, within_s=within_s)
            for taken in self._taken
            if within_s
        ]
        await asyncio.gather(*handing)
        for taken in self._taken:
            self._keeper.stop(taken, why)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self._taken.none_left()

    async def _leave(self) -> None:
        for taken in self._taken:
            self._taken.discard(taken)
            await self._keeper.release(taken)
        if self._tasks:
            await asyncio.wait(self._tasks)
        with contextlib.suppress(FleetError):
            await self._leases.leave()
        await self._leases.close()
        await self._service.close()

    # -- what is done every so often -------------------------------------------------------------

    async def _beat(self) -> None:
        while self.state is WorkerState.RUNNING:
            with contextlib.suppress(FleetError):
                others = await self._leases.tell_load(self._load())
                self._others = frozenset(others)
                self._taker.hear(others)
            await asyncio.sleep(_BEAT_S)
        await asyncio.Event().wait()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _enter(self, state: WorkerState) -> None:
        if state in MAY_FOLLOW[self.state]:
            self.state = state


def first_line(options: WorkerOptions, log: str, *, debug: bool) -> bytes:
    """What a recorder process is told first: how to record, and the key of the service."""
    given = {
        "url": options.service.url,
        "key": options.service.key,
        "secret": options.service.secret,
        "worker": options.name,
        "directory": str(options.directory),
        "visible": options.visible,
        "sample_rate": int(options.sample_rate),
        "quality": int(options.quality),
        "alone_s": options.alone_s,
        "log": log,
        "debug": debug,
    }
    return json.dumps(given).encode() + b"\n"


def _facts(taken: TakenRoom) -> dict[str, object]:
    facts: dict[str, object] = {"room": taken.found.name, "lease": taken.lease.fence}
    return {**facts, "file": taken.holder.file} if taken.holder.file else facts
