"""What a worker does for its disk: looks at what is free, recovers what was left, removes what is
old."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

from ...storage.notes.journal import Journal
from ...types.errors import FleetError
from ..leases import Leases
from ..metrics import Metrics
from ..options import WorkerOptions
from .names import JOURNAL
from .recovery import Living, Recovery, recording_of
from .retention import remove_old

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
_RETENTION_S = 300.0


class Upkeep:
    """Of one directory, for as long as :meth:`run` runs.

    Args:
        options: The worker's.
        leases: Who recorded a room after whom.
        metrics: Where it counts.
        living: See :meth:`~.recovery.Recovery.sweep`.
    """

    def __init__(
        self,
        options: WorkerOptions,
        leases: Leases,
        metrics: Metrics,
        living: Living,
    ) -> None:
        self._options = options
        self._metrics = metrics
        self._living = living
        self._journal = Journal(options.directory / JOURNAL)
        self._recovery = Recovery(self._journal, leases, link_s=3 * options.lease_s)
        self.free_bytes = 0
        self.look()

    async def run(self) -> None:
        """Look after it until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_looking())
            group.create_task(self._recover())
            if self._options.keep_days:
                group.create_task(self._remove_old())

    @property
    def disk_has_room(self) -> bool:
        """Whether further rooms may be recorded."""
        return self.free_bytes >= self._options.disk_floor_bytes

    def look(self) -> None:
        """See how much is free."""
        self.free_bytes = 0
        with contextlib.suppress(OSError):
            self.free_bytes = shutil.disk_usage(self._options.directory).free

    async def went_before(self, room: str, sid: str) -> dict[str, Any] | None:
        """See :meth:`~.recovery.Recovery.went_before`."""
        return await asyncio.to_thread(self._recovery.went_before, room, sid)

    async def name_next(self, before: str, following: dict[str, Any]) -> None:
        """See :meth:`~.recovery.Recovery.name_next`; what cannot be written is logged."""
        try:
            await asyncio.to_thread(self._recovery.name_next, Path(before), following)
        except OSError as error:
            logger.warning("the report of %s cannot name the next: %s", before, error)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(_LOOK_S)

    async def _recover(self) -> None:
        while True:
            try:
                await self._recovery.sweep(self._living, self._metrics.recovered.inc)
            except FleetError:
                pass  # which recording went on is asked next time
            except OSError as error:
                logger.warning("what was left cannot be looked through: %s", error)
            await asyncio.sleep(max(1.0, self._options.lease_s / 2))

    async def _remove_old(self) -> None:
        while True:
            facts = await asyncio.to_thread(self._journal.facts)
            remove = partial(
                remove_old,
                self._options.directory,
                keep_s=self._options.keep_days * 86400,
                now_s=time.time(),
                in_use={
                    recording
                    for each in facts
                    if (recording := recording_of(each, self._options.directory)) is not None
                },
            )
            removed = await asyncio.to_thread(remove)
            if removed.files:
                self._metrics.removed.inc(removed.files)
                logger.info("removed %d old files, %d bytes", removed.files, removed.bytes)
            await asyncio.sleep(_RETENTION_S)
