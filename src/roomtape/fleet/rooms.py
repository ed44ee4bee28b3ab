"""The rooms that a worker records, each from its lease to its end: what recorders were told, and
what they say."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine

from ..types.errors import FleetError
from .files.upkeep import Upkeep
from .keeping import Keeper
from .leases import FoundRoom, Holder, Leases, Load, named
from .metrics import Metrics
from .options import WorkerOptions
from .processes import Processes
from .recorder.messages import EVERYBODY_LEFT, Began, Ended, Message, Record, Stop
from .service import LiveKitService
from .taken import TakenRoom, TakenRooms, TakenState
from .taking import Taker

logger = logging.getLogger(__name__)

_WELL_S = 60.0
"""A recording of that length was no failure."""


class Rooms:
    """Holds together who takes rooms, who keeps their leases, and who records them.

    :meth:`start`; :meth:`hand_over_all` and :meth:`stop_all`, which end them; :meth:`close`.

    Args:
        options: The worker's.
        leases: Which worker records which room.
        service: Whose rooms.
        metrics: Where it counts.
        upkeep: What is on the disk already.
        first_line: What each recorder process is told first.
        ending: Whether no further room is to be taken.
        tell: Tells all workers of a room that is free.
        on_hopeless: Called once recorder processes die too often.
    """

    def __init__(
        self,
        options: WorkerOptions,
        leases: Leases,
        service: LiveKitService,
        metrics: Metrics,
        upkeep: Upkeep,
        *,
        first_line: bytes,
        ending: Callable[[], bool],
        tell: Callable[[FoundRoom], Awaitable[None]],
        on_hopeless: Callable[[], None],
    ) -> None:
        self._options = options
        self._leases = leases
        self._service = service
        self._metrics = metrics
        self._upkeep = upkeep
        self._ending = ending
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()
        self.taken = TakenRooms()
        self.processes = Processes(
            options.processes,
            first_line,
            on_message=self._on_message,
            on_gone=self._on_process_gone,
            on_hopeless=on_hopeless,
        )
        self.keeper = Keeper(
            leases,
            self.taken,
            lease_s=options.lease_s,
            stop=self._tell_to_stop,
            on_lost=self._on_lost,
        )
        self.taker = Taker(
            leases,
            self.taken,
            wants=options.wants,
            room_left=self._room_left,
            load=self.load,
            take=self._take,
        )

    def records(self, room: object, lease: object) -> bool:
        """Whether a room is recorded here under that lease."""
        return any(each.found.name == room and each.lease.fence == lease for each in self.taken)

    def load(self) -> Load:
        """What the other workers are told."""
        rooms = len(self.taken)
        return Load(rooms, rooms + max(0, self._room_left()))

    async def hand_over_all(self, why: str, within_s: float) -> None:
        """Have other workers go on with all rooms, as far as they do within so long."""
        handing = [
            self.keeper.hand_over(taken, why, lost=False, within_s=within_s) for taken in self.taken
        ]
        await asyncio.gather(*handing)

    def stop_all(self, why: str) -> None:
        """Have all recordings finished. Any number of times."""
        for taken in self.taken:
            self.keeper.stop(taken, why)

    async def close(self) -> None:
        """End the recorder processes, and give back what is held. Any number of times."""
        await self.processes.close()
        for taken in self.taken:
            self._over(taken)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _room_left(self) -> int:
        if self._ending() or not self.keeper.may_take or not self._upkeep.disk_has_room:
            return 0
        return self._options.limit - len(self.taken) if self.processes.up() else 0

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
        up = self.processes.up()
        if found.name in self.taken or not up or self._ending():
            await self._leases.release(lease)
            return
        process = min(up, key=lambda number: len(self.taken.of_process(number)))
        name = self._options.name
        identity = f"roomtape-{name}-{lease.fence}"
        holder = Holder(lease.fence, name, found.sid, identity)
        taken = TakenRoom(found, lease, process, holder, previous)
        self.taken.add(taken)
        self._metrics.taken.inc()
        order = Record(found.name, found.sid, lease.fence, identity, facts)
        if not self.processes.send(process, order):
            self._over(taken)

    def _on_message(self, process: int, message: Message) -> None:
        match message:
            case Began():
                taken = self.taken.get(message.room, message.lease)
                if taken is not None and taken.enter(TakenState.RECORDING):
                    taken.holder = dataclasses.replace(taken.holder, file=message.file)
                    logger.info("recording", extra=_facts(taken))
                    self._spawn(self._tell_others(taken))
            case Ended():
                self._metrics.count_ended(message)
                taken = self.taken.get(message.room, message.lease)
                if taken is not None:
                    self._on_ended(taken, message)
            case _:
                logger.warning("recorder process %d said something odd", process)

    def _on_ended(self, taken: TakenRoom, ended: Ended) -> None:
        words = f"{ended.duration_s:.1f} s recorded; {ended.why}" if ended.file else ended.why
        level = logging.WARNING if ended.failed else logging.INFO
        logger.log(level, "ended: %s", words, extra=_facts(taken))
        told = taken.state not in (TakenState.ORDERED, TakenState.RECORDING)
        if ended.duration_s >= _WELL_S:
            self.taker.went_well(taken.found)
        # One that ends by itself after seconds would do so again and again.
        elif ended.failed or not (told or ended.why == EVERYBODY_LEFT):
            self.taker.failed(taken.found)
        previous = taken.previous
        if ended.file and previous is not None and previous.file:
            self._spawn(self._upkeep.name_next(previous.file, {**named(taken.holder)}))
        self._over(taken)

    def _over(self, taken: TakenRoom) -> None:
        if self.taken.discard(taken):
            self._spawn(self.keeper.release(taken))

    def _on_process_gone(self, process: int) -> None:
        if not self._ending():
            self._metrics.restarts.inc()
        for taken in self.taken.of_process(process):
            logger.warning("its recorder died; it is taken again", extra=_facts(taken))
            self.taker.failed(taken.found)
            if self.taken.discard(taken):
                self._spawn(self._release_and_tell(taken))

    async def _release_and_tell(self, taken: TakenRoom) -> None:
        await self.keeper.release(taken)
        await self._tell(taken.found)

    def _on_lost(self, taken: TakenRoom) -> None:
        self._metrics.lost.inc()
        why = "another worker has taken the room"
        within_s = self._options.lease_s
        self._spawn(self.keeper.hand_over(taken, why, lost=True, within_s=within_s))

    def _tell_to_stop(self, taken: TakenRoom, stop: Stop) -> None:
        if not self.processes.send(taken.process, stop):
            self._over(taken)

    async def _tell_others(self, taken: TakenRoom) -> None:
        """It is recorded now: who waits for that may stop, and who had it before is put out."""
        try:
            taken.noted = await self._leases.note(taken.lease, taken.holder)
            previous = taken.previous
            if previous is None or previous.handing_over:
                return
            if await self._service.remove(taken.found.name, previous.identity):
                logger.warning("put out the recorder of worker %s", previous.worker)
        except FleetError as error:
            logger.warning("%s", error, extra=_facts(taken))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


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
        "exclude": options.exclude,
        "consent": options.consent.value,
        "beep_s": options.beep_s,
        "alone_s": options.alone_s,
        "log": log,
        "debug": debug,
    }
    return json.dumps(given).encode() + b"\n"


def _facts(taken: TakenRoom) -> dict[str, object]:
    facts: dict[str, object] = {"room": taken.found.name, "lease": taken.lease.fence}
    return {**facts, "file": taken.holder.file} if taken.holder.file else facts
