"""Which rooms there are that nobody records: listed every few seconds by one worker for all, and
told by webhooks at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from ..types.errors import FleetError
from .leases import FoundRoom, Leases
from .service import LiveKitService

logger = logging.getLogger(__name__)

_AGAIN_S = 1.0


class Finder:
    """Finds rooms for as long as :meth:`run` runs.

    Args:
        service: Whose rooms.
        leases: What is recorded already, and the way to the other workers.
        every_s: How often rooms are listed.
        found: Called with free rooms.
        on_service: Called with whether the service answers, and with why it does not.
    """

    def __init__(
        self,
        service: LiveKitService,
        leases: Leases,
        *,
        every_s: float,
        found: Callable[[Sequence[FoundRoom]], None],
        on_service: Callable[[str], None],
    ) -> None:
        self._service = service
        self._leases = leases
        self._every_s = every_s
        self._found = found
        self._on_service = on_service

    async def run(self) -> None:
        """Find rooms until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._list())
            if self._leases.shared:
                group.create_task(self._listen())

    async def told(self, room: FoundRoom) -> None:
        """A webhook has told of a room."""
        with contextlib.suppress(FleetError):  # then it is listed
            await self._spread([room])

    async def _list(self) -> None:
        while True:
            # Redis is asked whose turn it is; without it nobody takes a room, and nobody need list.
            with contextlib.suppress(FleetError):
                if await self._leases.my_turn("list", self._every_s * 0.9):
                    await self._list_once()
            await asyncio.sleep(self._every_s)

    async def _list_once(self) -> None:
        try:
            rooms = await self._service.rooms()
        except FleetError as error:
            self._on_service(str(error))
            return
        self._on_service("")
        # Whom the service counts are people: not us, and no agents.
        peopled = [each.found for each in rooms if each.participants > 0]
        held = await self._leases.held([each.name for each in peopled])
        free = [room for room, is_held in zip(peopled, held, strict=True) if not is_held]
        if free:
            await self._spread(free)

    async def _spread(self, free: Sequence[FoundRoom]) -> None:
        if self._leases.shared:
            await self._leases.publish(free)  # and hear it as all others do
        else:
            self._found(free)

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(FleetError):
                async for found in self._leases.published():
                    self._found(found)
            await asyncio.sleep(_AGAIN_S)
