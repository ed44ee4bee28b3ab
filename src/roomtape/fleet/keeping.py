"""Keeping the leases of the rooms that are recorded, and handing rooms over."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable

from ..types.errors import FleetError
from .leases import Holder, Leases, Renewal, named
from .recorder.messages import Stop
from .taken import TakenRoom, TakenRooms, TakenState

logger = logging.getLogger(__name__)

_POLL_S = 0.2


class Keeper:
    """Renews leases for as long as :meth:`run` runs.

    While nobody answers, recordings go on. When somebody does again, each lease is renewed, or
    regained; a room that another worker has taken meanwhile is handed over to it. For as long as a
    lease lasts after that no other rooms are taken: those who record them are regaining theirs.

    Args:
        leases: Of the fleet.
        taken: The rooms.
        lease_s: How long a lease lasts.
        stop: Tells the recorder of a room to finish.
        on_lost: Called with each room whose lease is somebody else's.
    """

    def __init__(
        self,
        leases: Leases,
        taken: TakenRooms,
        *,
        lease_s: float,
        stop: Callable[[TakenRoom, Stop], None],
        on_lost: Callable[[TakenRoom], None],
    ) -> None:
        self._leases = leases
        self._taken = taken
        self._lease_s = lease_s
        self._stop = stop
        self._on_lost = on_lost
        self._quiet_until = 0.0
        self.up = True
        """Whether Redis answers."""

    @property
    def may_take(self) -> bool:
        """Whether rooms may be taken now."""
        return self.up and time.monotonic() >= self._quiet_until

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            await self.renew()
            await asyncio.sleep(self._lease_s / 5)

    async def renew(self) -> None:
        """Renew all leases once."""
        kept = [each for each in self._taken if each.ours]
        try:
            # Also with no room: who is asked nothing does not tell that it is gone.
            renewals = await self._leases.renew([each.lease for each in kept])
            if not kept:
                await self._leases.held(["-"])
            for taken, renewal in zip(kept, renewals, strict=True):
                await self._renewed(taken, renewal)
        except FleetError as error:
            if self.up:
                logger.error("%s; recordings go on, and no further room is taken", error)
            self.up = False
            return
        if not self.up:
            self.up = True
            self._quiet_until = time.monotonic() + self._lease_s
            logger.warning("Redis answers again")

    async def _renewed(self, taken: TakenRoom, renewal: Renewal) -> None:
        match renewal:
            case Renewal.REGAINED:
                logger.warning("a lease had lapsed, and is ours again", extra=_facts(taken))
                taken.noted = await self._leases.note(taken.lease, taken.holder)
            case Renewal.HELD if taken.holder.file and not taken.noted:
                # Nobody answered when it was to be told that this is recorded.
                taken.noted = await self._leases.note(taken.lease, taken.holder)
            case Renewal.LOST if taken.ours:
                taken.ours = False
                logger.warning("another worker has the lease", extra=_facts(taken))
                self._on_lost(taken)

    async def hand_over(self, taken: TakenRoom, why: str, *, lost: bool, within_s: float) -> None:
        """Record on until another worker does, for so long at most; then stop.

        Args:
            taken: The room.
            why: For the report.
            lost: Whether another worker has the lease already.
            within_s: How long at most.
        """
        if not taken.enter(TakenState.HANDING_OVER):
            self.stop(taken, why)
            return
        taken.ours = False
        taken.holder = dataclasses.replace(taken.holder, handing_over=True)
        if not lost:
            try:
                await self._leases.note(taken.lease, taken.holder)
                await self._leases.release(taken.lease)
                await self._leases.publish([taken.found])
            except FleetError as error:
                logger.warning("a room is not handed over: %s", error, extra=_facts(taken))
                within_s = 0
        following = await self._wait_for_the_next(taken, within_s)
        if following is not None:
            logger.info("handed over", extra={**_facts(taken), "other": following.worker})
        self.stop(taken, why, following)

    def stop(self, taken: TakenRoom, why: str, following: Holder | None = None) -> None:
        """Have its recorder finish. Any number of times."""
        if taken.enter(TakenState.STOPPING):
            following_facts = named(following) if following is not None else None
            self._stop(taken, Stop(taken.found.name, taken.lease.fence, why, following_facts))

    async def release(self, taken: TakenRoom) -> None:
        """Give its lease back; one that cannot be given back lapses."""
        with contextlib.suppress(FleetError):
            await self._leases.release(taken.lease)

    async def _wait_for_the_next(self, taken: TakenRoom, within_s: float) -> Holder | None:
        deadline = time.monotonic() + within_s
        while taken.state is TakenState.HANDING_OVER and time.monotonic() < deadline:
            with contextlib.suppress(FleetError):
                for holder in await self._leases.holders(taken.found.name):
                    if holder.fence > taken.lease.fence:
                        return holder
            await asyncio.sleep(_POLL_S)
        return None


def _facts(taken: TakenRoom) -> dict[str, object]:
    return {"room": taken.found.name, "lease": taken.lease.fence}
