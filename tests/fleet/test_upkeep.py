"""What a worker does for its disk: sees how much is free, recovers, removes what is old."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path

from roomtape.fleet.files.names import JOURNAL
from roomtape.fleet.files.upkeep import Upkeep
from roomtape.fleet.leases import LocalLeases
from roomtape.fleet.metrics import Metrics
from roomtape.fleet.options import Service, WorkerOptions
from roomtape.storage.notes.journal import Journal
from support.scripted_recording import until

SERVICE = Service("ws://127.0.0.1:9", "key", "secret")
OLD, RECORDED, LEFT = (f"2026112{day}T101530.123Z.aac" for day in (1, 2, 3))


def upkeep(directory: Path, **options: float) -> tuple[Upkeep, Metrics]:
    metrics = Metrics()
    made = WorkerOptions(directory=directory, service=SERVICE, name="w", **options)
    return Upkeep(made, LocalLeases(), metrics, lambda facts: False), metrics


def test_below_the_floor_there_is_no_room_for_more(tmp_path: Path):
    assert upkeep(tmp_path, disk_floor_bytes=0)[0].disk_has_room
    assert not upkeep(tmp_path, disk_floor_bytes=1 << 60)[0].disk_has_room
    gone, _ = upkeep(tmp_path / "gone", disk_floor_bytes=1)
    assert not gone.disk_has_room


def test_old_recordings_go_and_none_that_the_journal_knows(tmp_path: Path):
    folder = tmp_path / "room"
    folder.mkdir()
    for name in (OLD, RECORDED, LEFT):
        (folder / name).write_bytes(b"audio")
    for name in (OLD, RECORDED):  # the third may be recovered before it is looked at, or after
        os.utime(folder / name, (time.time() - 3 * 86400,) * 2)
    journal = Journal(tmp_path / JOURNAL)
    facts = {"room": "room", "worker": "w", "lease": 1}
    entry = journal.enter("recorded", {**facts, "path": f"room/{RECORDED}"})
    journal.enter("left", {**facts, "path": f"room/{LEFT}"}).close()
    made, metrics = upkeep(tmp_path, keep_days=1)

    async def run() -> None:
        running = asyncio.create_task(made.run())
        await until(lambda: "removed_files_total 1.0" in metrics.text().decode())
        await until(lambda: "recovered_files_total 1.0" in metrics.text().decode())
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    asyncio.run(run())
    assert not (folder / OLD).exists()
    assert (folder / RECORDED).read_bytes() == b"audio"
    assert (folder / LEFT).exists()
    entry.remove()
