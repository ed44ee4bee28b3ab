"""Which worker records which room.

A lease is taken, renewed every few seconds, and given back. One that is not renewed is free again
after a while. Whoever takes it gets a *fence*, a number that only grows, so that of two who believe
that a room is theirs everybody can tell which one is right; and learns who had it before.
"""

from __future__ import annotations

import enum
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FoundRoom:
    """A room of the service: its name, and the session that goes on in it now."""

    name: str
    sid: str


@dataclass(frozen=True, slots=True)
class Holder:
    """Who records a room, and into what.

    Attributes:
        fence: Of the lease.
        worker: Whose lease it is.
        sid: The room's session.
        identity: The participant who records.
        file: The recording; empty until it has begun.
        handing_over: The holder is waiting for the next one to begin.
    """

    fence: int
    worker: str
    sid: str
    identity: str
    file: str = ""
    handing_over: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to record ``room``; only who has ``token`` can renew it or give it back."""

    room: str
    fence: int
    token: str


class Renewal(enum.Enum):
    """What became of a lease."""

    HELD = "held"
    REGAINED = "regained"
    """It had lapsed, and nobody else had taken it."""
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Load:
    """How many rooms a worker records, and how many it would at most."""

    rooms: int
    limit: int


class Leases(ABC):
    """What the workers of a fleet share. Every method may raise FleetError: nobody answers."""

    shared = True
    """Whether there may be other workers."""

    @abstractmethod
    async def take(self, room: str) -> tuple[Lease, Holder | None] | None:
        """Take a free lease.

        Returns:
            The lease, and who recorded the room before, if anybody; None where it is not free.
        """

    @abstractmethod
    async def renew(self, leases: Sequence[Lease]) -> list[Renewal]:
        """Renew them all; the answers are in their order."""

    @abstractmethod
    async def note(self, lease: Lease, holder: Holder) -> bool:
        """Write down what is recorded under a lease; False where it is lost."""

    @abstractmethod
    async def release(self, lease: Lease) -> None:
        """Give it back, if it is still held. Any number of times."""

    @abstractmethod
    async def held(self, rooms: Sequence[str]) -> list[bool]:
        """Which of the rooms somebody has a lease of."""

    @abstractmethod
    async def holders(self, room: str) -> list[Holder]:
        """Who recorded the room lately, by fence; only who has begun to."""

    @abstractmethod
    async def tell_load(self, load: Load) -> Mapping[str, Load]:
        """Say how much this worker does; learn it of all the others that are alive."""

    @abstractmethod
    async def leave(self) -> None:
        """This worker is no longer one of them. Any number of times."""

    @abstractmethod
    async def my_turn(self, what: str, every_s: float) -> bool:
        """Whether this worker is to do now what one of them does every so often."""

    @abstractmethod
    async def publish(self, found: Sequence[FoundRoom]) -> None:
        """Tell all workers, this one too, of rooms that nobody records."""

    @abstractmethod
    def published(self) -> AsyncIterator[Sequence[FoundRoom]]:
        """What any worker publishes, until it is closed or nobody answers."""

    @abstractmethod
    async def close(self) -> None:
        """Close what is open. Any number of times."""


_MOST_REMEMBERED = 1000


class LocalLeases(Leases):
    """Of a worker that has no others: it gets every room."""

    shared = False

    def __init__(self) -> None:
        self._held: dict[str, Lease] = {}
        self._holders: OrderedDict[str, list[Holder]] = OrderedDict()
        # Nothing else remembers that there was a worker before, and a fence only grows.
        self._fence = int(time.time())

    async def take(self, room: str) -> tuple[Lease, Holder | None] | None:
        if room in self._held:
            return None
        self._fence += 1
        lease = self._held[room] = Lease(room, self._fence, str(self._fence))
        before = self._holders.get(room)
        return lease, before[-1] if before else None

    async def renew(self, leases: Sequence[Lease]) -> list[Renewal]:
        return [
            Renewal.HELD if self._held.get(each.room) == each else Renewal.LOST for each in leases
        ]

    async def note(self, lease: Lease, holder: Holder) -> bool:
        if self._held.get(lease.room) != lease:
            return False
        others = [each for each in self._holders.get(lease.room, []) if each.fence < lease.fence]
        self._holders[lease.room] = [*others[-15:], holder]
        self._holders.move_to_end(lease.room)
        while len(self._holders) > _MOST_REMEMBERED:
            self._holders.popitem(last=False)
        return True

    async def release(self, lease: Lease) -> None:
        if self._held.get(lease.room) == lease:
            del self._held[lease.room]

    async def held(self, rooms: Sequence[str]) -> list[bool]:
        return [room in self._held for room in rooms]

    async def holders(self, room: str) -> list[Holder]:
        return [each for each in self._holders.get(room, []) if each.file]

    async def tell_load(self, load: Load) -> Mapping[str, Load]:
        del load
        return {}

    async def leave(self) -> None:
        pass

    async def my_turn(self, what: str, every_s: float) -> bool:
        del what, every_s
        return True

    async def publish(self, found: Sequence[FoundRoom]) -> None:
        raise NotImplementedError

    async def published(self) -> AsyncIterator[Sequence[FoundRoom]]:
        return
        yield ()

    async def close(self) -> None:
        pass


def least_rooms(others: Collection[Load]) -> int | None:
    """How many rooms the one has that would be the first to take another; None where all are full,
    or there are none."""
    return min((each.rooms for each in others if each.rooms < each.limit), default=None)


def named(holder: Holder) -> dict[str, str | int]:
    """A recording as the report of another names it."""
    return {"file": holder.file, "worker": holder.worker, "lease": holder.fence}
