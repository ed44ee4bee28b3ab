"""What killed recorders left on this disk becomes finished files, by itself.

The journal says what was being recorded; an entry that nobody has locked is of a process that is
gone. Each is recovered as ``roomtape recover`` does it, gets a report, and waits for a while to
learn which recording went on from it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...storage import recover as recovery
from ...storage.disk import Disk
from ...storage.naming import stands_at
from ...storage.notes.journal import Entry, Journal
from ...storage.report_file import read_report_file, replace_report_file, write_report_file
from ...types.errors import DamagedFileError, FileError
from ..leases import Leases, named
from .names import is_recording

logger = logging.getLogger(__name__)

Living = Callable[[dict[str, Any]], bool]
RECOVERED = "recovered"
"""What the report of a recording says ended it, if its recorder did not."""
_MOST_AT_ONCE = 64
_YOUNG_S = 60.0
"""An entry comes before its file; one without, that is older, never got any."""


class Recovery:
    """Of one directory.

    Args:
        journal: Its journal.
        leases: Who recorded a room after whom.
        link_s: For how long a recovered file waits for the one that goes on from it.
        disk: Where the files are.
    """

    def __init__(
        self, journal: Journal, leases: Leases, *, link_s: float, disk: Disk | None = None
    ) -> None:
        self._journal = journal
        self._leases = leases
        self._link_s = link_s
        self._disk = disk or Disk()
        self._told: set[str] = set()  # entries that cannot be recovered, and of which it was said

    async def sweep(self, living: Living, count: Callable[[int], None]) -> None:
        """Recover all that was left.

        Args:
            living: Whether what an entry tells of is being recorded, as far as is known without
                locks, which not every disk has.
            count: Called with how many files were recovered.

        Raises:
            FleetError: Nobody answers who could say which recording went on. All are recovered, and
                that is asked again next time.
        """
        left, recovered = await asyncio.to_thread(self._recover_all, living)
        count(recovered)
        try:
            for entry in left:
                await self._link(entry)
        finally:
            for entry in left:
                entry.close()

    def name_next(self, before: Path, following: dict[str, Any]) -> None:
        """Have the report of a recording that is on this disk name the one that went on, if it
        names none: who handed the room over may not have learnt which it was.

        Raises:
            OSError: The report cannot be written. It is as it was.
        """
        if not before.is_relative_to(self._journal.directory.parent):
            return
        report = read_report_file(before, self._disk)
        fleet = report.get("fleet") if report is not None else None
        if report is not None and isinstance(fleet, dict) and fleet.get("next") is None:
            fleet["next"] = following
            replace_report_file(before, report, self._disk)

    def went_before(self, room: str, sid: str) -> dict[str, Any] | None:
        """The last recording of the same session of a room that was left here, as a report names
        it."""
        of_room = [
            facts
            for facts in self._journal.facts()
            if facts.get("room") == room and facts.get("sid") == sid
        ]
        if not of_room:
            return None
        last = max(of_room, key=lambda facts: str(facts.get("started_at")))
        return {name: last.get(name) for name in ("file", "worker", "lease")}

    def _recover_all(self, living: Living) -> tuple[list[Entry], int]:
        left: list[Entry] = []
        recovered = 0
        for entry in self._journal.left():
            if living(entry.facts):
                entry.close()
                continue
            try:
                done = self._recover(entry)
                recovered += done
                left.append(entry)
            except (OSError, FileError) as error:
                if entry.name not in self._told:
                    self._told.add(entry.name)
                    logger.warning("what was left is not recovered: %s", error)
                entry.close()
            if len(left) >= _MOST_AT_ONCE:
                break
        return left, recovered

    def _recover(self, entry: Entry) -> bool:
        path = recording_of(entry.facts, self._journal.directory.parent)
        if path is None:
            raise FileError(f"entry {entry.name} of the journal names no file of this directory")
        if read_report_file(path, self._disk) is not None:
            return False  # recovered before, or its recorder came as far as that
        if not stands_at(path):
            return False
        try:
            found = recovery.recover(path, disk=self._disk)
        except DamagedFileError as error:  # it was killed before the first frame was written
            write_report_file(path, _report(entry, path, None, str(error)), self._disk)
            return True
        write_report_file(path, _report(entry, path, found, ""), self._disk)
        logger.info(
            "recovered %.1f s that worker %s left",
            found.duration_s,
            entry.facts.get("worker"),
            extra={"room": entry.facts.get("room"), "file": str(path)},
        )
        return True

    async def _link(self, entry: Entry) -> None:
        """Name in the report which recording went on; then the entry has done its work."""
        facts = entry.facts
        path = recording_of(facts, self._journal.directory.parent)
        if path is None:
            return
        report = await asyncio.to_thread(read_report_file, path, self._disk)
        if report is None:  # there is no file, or not yet
            if entry.age_s > _YOUNG_S:
                entry.remove()
            return
        fleet = report.get("fleet")
        if (
            not isinstance(fleet, dict)
            or fleet.get("ended") != RECOVERED
            or fleet.get("next") is not None
        ):
            entry.remove()
            return
        for holder in await self._leases.holders(str(facts.get("room"))):
            if holder.fence > int(facts.get("lease", 0)) and holder.sid == facts.get("sid"):
                fleet["next"] = named(holder)
                await asyncio.to_thread(replace_report_file, path, report, self._disk)
                entry.remove()
                return
        if time.time() - os.stat(path).st_mtime > self._link_s:  # noqa: PTH116
            entry.remove()


def recording_of(facts: dict[str, Any], directory: Path) -> Path | None:
    """The recording that an entry of the journal is of; None if it names none of ``directory``."""
    parts = Path(str(facts.get("path"))).parts
    if len(parts) != 2 or parts[0].startswith((".", "/")) or not is_recording(parts[1]):
        return None
    return directory.joinpath(*parts)


def _report(
    entry: Entry, path: Path, found: recovery.Recovered | None, error: str
) -> dict[str, Any]:
    facts = entry.facts
    return {
        "file_path": str(path),
        "format": path.suffix[1:],
        "sample_rate": found.sample_rate if found else facts.get("sample_rate"),
        "channels": 1,
        "duration_s": found.duration_s if found else 0.0,
        "sha256": found.sha256 if found else "",
        "started_at": facts.get("started_at"),
        "bytes_written": path.stat().st_size,
        "warnings": [],
        "sources": [],
        "consent": facts.get("consent", ""),
        "error": error
        or "its recorder ended without finishing it: at most the last second is missing, and "
        "nothing is known of each participant",
        "fleet": {**_fleet(facts), "next": None, "ended": RECOVERED},
    }


def _fleet(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: facts.get(name) for name in ("room", "sid", "worker", "lease", "previous")}
