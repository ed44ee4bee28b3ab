"""Which of the rooms that nobody records this worker takes, and when.

There is no scheduler: every worker hears of every free room, and who has fewer rooms is quicker. A
room that could not be recorded is left alone for a while, longer each time, until there is a new
session in it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from ..types.errors import FleetError
from .leases import FoundRoom, Leases, Load, least_rooms
from .taken import TakenRooms

logger = logging.getLogger(__name__)

_STEP_S, _MOST_DELAY_S = 0.05, 1.0
"""So much longer a worker waits for each room that it has more than the one with the fewest."""
_FIRST_COOLDOWN_S, _MOST_COOLDOWN_S = 2.0, 300.0
_MOST_CANDIDATES = 10_000
_MOST_FAILURES = 10_000


@dataclass(slots=True)
class _Failures:
    count: int
    until: float


class Taker:
    """Offer it what was found; it takes one room after the other.

    Args:
        leases: Of the fleet.
        taken: What this worker has already.
        wants: Whether a room's name is one to be recorded.
        room_left: How many rooms more this worker may take now.
        load: What the others are told of this one.
        take: Takes one room: its lease, and a recorder for it.
    """

    def __init__(
        self,
        leases: Leases,
        taken: TakenRooms,
        *,
        wants: Callable[[str], bool],
        room_left: Callable[[], int],
        load: Callable[[], Load],
        take: Callable[[FoundRoom], Awaitable[None]],
    ) -> None:
        self._leases = leases
        self._taken = taken
        self._wants = wants
        self._room_left = room_left
        self._load = load
        self._take = take
        self._candidates: OrderedDict[str, FoundRoom] = OrderedDict()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._offered = asyncio.Event()
        self._others: Mapping[str, Load] = {}

    def hear(self, others: Mapping[str, Load]) -> None:
        """What the other workers do, as of now; once a second is often enough."""
        self._others = others

    def offer(self, found: Sequence[FoundRoom]) -> None:
        """Rooms that nobody records."""
        now = time.monotonic()
        for room in found:
            failures = self._failures.get(_session(room))
            if (
                room.name in self._taken
                or not self._wants(room.name)
                or (failures is not None and now < failures.until)
                or len(self._candidates) >= _MOST_CANDIDATES
            ):
                continue
            self._candidates[room.name] = room
            self._offered.set()

    def failed(self, room: FoundRoom) -> None:
        """It could not be recorded; the first time it is tried again at once."""
        session = _session(room)
        count = self._failures[session].count + 1 if session in self._failures else 1
        wait_s = _FIRST_COOLDOWN_S * 2 ** min(count - 2, 10) if count > 1 else 0.0
        until = time.monotonic() + min(wait_s, _MOST_COOLDOWN_S)
        self._failures[session] = _Failures(count, until)
        self._failures.move_to_end(session)
        while len(self._failures) > _MOST_FAILURES:
            self._failures.popitem(last=False)

    def went_well(self, room: FoundRoom) -> None:
        """It was recorded: what failed before counts no more."""
        self._failures.pop(_session(room), None)

    async def run(self) -> None:
        """Take rooms until cancelled."""
        while True:
            await self._offered.wait()
            self._offered.clear()
            try:
                while self._candidates and self._room_left() > 0:
                    await self._take_next()
            except FleetError as error:
                logger.debug("no room is taken: %s", error)
            self._candidates.clear()  # what is still free is found again

    async def _take_next(self) -> None:
        """Take the first that is free still, after those who have fewer rooms."""
        # Nothing is asked of Redis before the wait: most of many workers find the room taken then.
        least = least_rooms(self._others.values())
        ahead = len(self._taken) - least if least is not None else 0
        if ahead > 0:
            await asyncio.sleep(min(ahead * _STEP_S, _MOST_DELAY_S))
        candidates = [*self._candidates.values()]
        held = await self._leases.held([each.name for each in candidates])
        for room, is_held in zip(candidates, held, strict=True):
            if is_held or room.name in self._taken:
                self._candidates.pop(room.name, None)
        if self._candidates and self._room_left() > 0:
            _, room = self._candidates.popitem(last=False)
            await self._take(room)
            self.hear(await self._leases.tell_load(self._load()))


def _session(room: FoundRoom) -> str:
    return room.sid or room.name
