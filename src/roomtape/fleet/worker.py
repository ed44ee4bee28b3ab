"""A worker: what finds rooms, holds their leases, and has its recorder processes record them.

It does no audio, so nothing in it is ever late. Each part runs until the worker is told to end:
:mod:`.finding` finds rooms, :mod:`.rooms` has them recorded, :mod:`.files.upkeep` sees to the disk,
:mod:`.front` answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from typing import Any

from ..types.errors import FleetError
from .files.upkeep import Upkeep
from .finding import Finder
from .front import Health
from .leases import FoundRoom, Leases
from .metrics import Metrics
from .options import WorkerOptions
from .rooms import Rooms, first_line
from .service import LiveKitService

logger = logging.getLogger(__name__)

_BEAT_S = 1.0
_TOLD = "the worker was told to end"
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
        self._told_to_end = asyncio.Event()
        self._hurry = False
        self._hopeless = False
        self._service_error = ""
        self._others: frozenset[str] = frozenset()
        self._upkeep = Upkeep(options, leases, metrics, self._living)
        self._rooms = Rooms(
            options,
            leases,
            service,
            metrics,
            self._upkeep,
            first_line=first_line(options, log, debug=debug),
            ending=self._told_to_end.is_set,
            tell=self.told,
            on_hopeless=self._give_up,
        )
        self._finder = Finder(
            service,
            leases,
            every_s=options.list_s,
            found=self._rooms.taker.offer,
            on_service=self._on_service,
        )

    async def run(self) -> bool:
        """Record until told to end, and then until all is finished or handed over.

        Returns:
            Whether it ended as it should; False where its processes died too often.
        """
        self._enter(WorkerState.RUNNING)
        self._rooms.processes.start()
        work = [
            asyncio.create_task(each)
            for each in (
                self._finder.run(),
                self._rooms.taker.run(),
                self._rooms.keeper.run(),
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
            await self._rooms.close()
            results = await asyncio.gather(*work, return_exceptions=True)
            with contextlib.suppress(FleetError):
                await self._leases.leave()
            await self._leases.close()
            await self._service.close()
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
            self._rooms.stop_all(_TOLD)

    async def told(self, room: FoundRoom) -> None:
        """A webhook has told of a room."""
        await self._finder.told(room)

    def health(self) -> Health:
        """Whether it does what it is there for, and the details."""
        processes = len(self._rooms.processes.up())
        well = (
            self.state is WorkerState.RUNNING
            and not self._service_error
            and self._rooms.keeper.up
            and processes == self._options.processes
        )
        return well, {
            "worker": self._options.name,
            "state": self.state.value,
            "rooms": len(self._rooms.taken),
            "limit": self._options.limit,
            "processes": processes,
            "redis": self._rooms.keeper.up,
            "livekit": not self._service_error,
            "disk": self._upkeep.disk_has_room,
        }

    def refresh_metrics(self) -> None:
        """Bring the gauges up to now."""
        metrics = self._metrics
        metrics.rooms.set(len(self._rooms.taken))
        metrics.rooms_limit.set(self._options.limit)
        metrics.processes.set(len(self._rooms.processes.up()))
        metrics.redis_up.set(self._rooms.keeper.up)
        metrics.livekit_up.set(not self._service_error)
        metrics.draining.set(self.state is WorkerState.DRAINING)
        metrics.disk_free_bytes.set(self._upkeep.free_bytes)
        metrics.show_beats(self._rooms.processes.beats())

    def _living(self, facts: dict[str, Any]) -> bool:
        """Whether somebody records what an entry of the journal tells of."""
        worker = facts.get("worker")
        if worker == self._options.name:
            return self._rooms.records(facts.get("room"), facts.get("lease"))
        return worker in self._others

    def _give_up(self) -> None:
        self._hopeless = True
        self._told_to_end.set()

    def _on_service(self, error: str) -> None:
        if error and error != self._service_error:
            logger.error("%s; recordings go on", error)
        elif self._service_error and not error:
            logger.warning("the LiveKit service answers again")
        self._service_error = error

    async def _drain(self) -> None:
        logger.info("draining: %d rooms", len(self._rooms.taken))
        with contextlib.suppress(FleetError):
            self._others = frozenset(await self._leases.tell_load(self._rooms.load()))
            await self._leases.leave()  # nobody waits for this one
        # One that is full now, or has just started, may have room in a moment.
        if self._others and not self._hurry:
            await self._rooms.hand_over_all(_TOLD, self._options.drain_s)
        self._rooms.stop_all(_TOLD)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                await self._rooms.taken.none_left()

    async def _beat(self) -> None:
        while self.state is WorkerState.RUNNING:
            with contextlib.suppress(FleetError):
                others = await self._leases.tell_load(self._rooms.load())
                self._others = frozenset(others)
                self._rooms.taker.hear(others)
            await asyncio.sleep(_BEAT_S)

    def _enter(self, state: WorkerState) -> None:
        if state in MAY_FOLLOW[self.state]:
            self.state = state
