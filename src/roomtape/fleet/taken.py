"""The rooms that a worker records: each with its lease, its recorder process, and its state."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterator
from dataclasses import dataclass

from .leases import FoundRoom, Holder, Lease


class TakenState(enum.Enum):
    """Where a room is, as the worker sees it."""

    ORDERED = "ordered"
    """A recorder was told; there is no file yet."""
    RECORDING = "recording"
    HANDING_OVER = "handing over"
    """It is recorded still, and another worker may go on with it; the lease is not ours."""
    STOPPING = "stopping"
    """The recorder was told to finish."""
    OVER = "over"


MAY_FOLLOW: dict[TakenState, frozenset[TakenState]] = {
    TakenState.ORDERED: frozenset({TakenState.RECORDING, TakenState.STOPPING, TakenState.OVER}),
    TakenState.RECORDING: frozenset(
        {TakenState.HANDING_OVER, TakenState.STOPPING, TakenState.OVER}
    ),
    TakenState.HANDING_OVER: frozenset({TakenState.STOPPING, TakenState.OVER}),
    TakenState.STOPPING: frozenset({TakenState.OVER}),
    TakenState.OVER: frozenset(),
}
"""A recorder that is gone, or that ends by itself, leads to OVER from anywhere."""


@dataclass(slots=True, eq=False)
class TakenRoom:
    """One room.

    Attributes:
        found: Which.
        lease: Of it.
        process: The number of the recorder process.
        holder: What the others are told of it.
        previous: Who recorded the same session of the room before.
        state: See :meth:`enter`.
        noted: Whether the others know what is recorded.
        ours: Whether its lease is to be renewed: it was neither lost nor handed over.
    """

    found: FoundRoom
    lease: Lease
    process: int
    holder: Holder
    previous: Holder | None = None
    state: TakenState = TakenState.ORDERED
    noted: bool = False
    ours: bool = True

    def enter(self, state: TakenState) -> bool:
        """Go on to ``state``; False where that may not follow."""
        if state not in MAY_FOLLOW[self.state]:
            return False
        self.state = state
        return True


class TakenRooms:
    """All of them, by name: no room is recorded twice here."""

    def __init__(self) -> None:
        self._rooms: dict[str, TakenRoom] = {}
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return len(self._rooms)

    def __iter__(self) -> Iterator[TakenRoom]:
        return iter(tuple(self._rooms.values()))

    def __contains__(self, room: str) -> bool:
        return room in self._rooms

    def add(self, taken: TakenRoom) -> None:
        """It is recorded from now on; the name must be free."""
        assert taken.found.name not in self._rooms
        self._rooms[taken.found.name] = taken
        self._none.clear()

    def get(self, room: str, fence: int) -> TakenRoom | None:
        """The room, if it is under that lease."""
        taken = self._rooms.get(room)
        return taken if taken is not None and taken.lease.fence == fence else None

    def discard(self, taken: TakenRoom) -> bool:
        """It is over. Any number of times; the first one returns True."""
        if self._rooms.get(taken.found.name) is not taken:
            return False
        del self._rooms[taken.found.name]
        taken.enter(TakenState.OVER)
        if not self._rooms:
            self._none.set()
        return True

    async def none_left(self) -> None:
        """Wait until there is none."""
        await self._none.wait()

    def of_process(self, process: int) -> list[TakenRoom]:
        """Those that one recorder process has."""
        return [each for each in self if each.process == process]
