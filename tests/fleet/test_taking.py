"""Who has fewer rooms takes first, nobody takes more than it may, and what fails is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from roomtape.fleet import taking
from roomtape.fleet.leases import FoundRoom, Holder, Lease, Load, LocalLeases
from roomtape.fleet.redis_leases import RedisLeases
from roomtape.fleet.taken import TakenRoom, TakenRooms
from roomtape.fleet.taking import Taker
from support.redis_server import RedisServer
from support.scripted_recording import until


class Worker:
    """Only takes rooms."""

    def __init__(self, leases: LocalLeases | RedisLeases, limit: int = 100) -> None:
        self.leases = leases
        self.taken = TakenRooms()
        self.limit = limit
        self.refuses = False
        self.taker = Taker(
            leases,
            self.taken,
            wants=lambda room: not room.startswith("other"),
            room_left=lambda: self.limit - len(self.taken),
            load=lambda: Load(len(self.taken), self.limit),
            take=self._take,
        )

    async def _take(self, found: FoundRoom) -> None:
        if self.refuses:
            self.taker.failed(found)
            return
        got = await self.leases.take(found.name)
        if got is not None:
            lease: Lease = got[0]
            holder = Holder(lease.fence, "w", found.sid, "rec")
            self.taken.add(TakenRoom(found, lease, 0, holder))

    @property
    def rooms(self) -> list[str]:
        return sorted(each.found.name for each in self.taken)


def rooms(*names: str) -> list[FoundRoom]:
    return [FoundRoom(name, f"RM_{name}") for name in names]


async def run(*workers: Worker) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(each.taker.run()) for each in workers]


async def ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_rooms_that_are_wanted_are_taken_up_to_the_limit():
    worker = Worker(LocalLeases(), limit=3)
    tasks = await run(worker)
    worker.taker.offer(rooms("a", "other-b", "c"))
    await until(lambda: worker.rooms == ["a", "c"])
    worker.taker.offer(rooms("a", "d", "e", "f"))
    await until(lambda: len(worker.taken) == 3)
    await asyncio.sleep(0.05)
    assert worker.rooms == ["a", "c", "d"]
    await ended(tasks)


async def test_what_fails_is_left_alone_for_longer_and_longer(monkeypatch: pytest.MonkeyPatch):
    now_s = 1000.0
    monkeypatch.setattr(taking.time, "monotonic", lambda: now_s)
    worker = Worker(LocalLeases())
    worker.refuses = True
    waits_s = []
    for _ in range(12):
        failed_s = now_s
        worker.taker.failed(FoundRoom("a", "RM_a"))
        while not worker.taker._candidates:
            worker.taker.offer(rooms("a"))
            now_s += 0.5
        waits_s.append(now_s - failed_s)
        worker.taker._candidates.clear()
    assert waits_s[:5] == [0.5, 2.5, 4.5, 8.5, 16.5]
    assert max(waits_s) == 300.5
    worker.taker.offer([FoundRoom("a", "RM_b")])  # another session of it is no failure
    assert worker.taker._candidates
    worker.taker._candidates.clear()
    worker.taker.went_well(FoundRoom("a", "RM_a"))
    worker.taker.failed(FoundRoom("a", "RM_a"))
    worker.taker.offer(rooms("a"))  # the first failure costs nothing
    assert worker.taker._candidates


async def test_load_spreads_over_workers(redis_there: RedisServer):
    leases = [RedisLeases(redis_there.url, worker=f"w{n}", lease_s=60) for n in range(3)]
    workers = [Worker(each) for each in leases]
    for name in ("x", "y", "z"):
        await workers[0]._take(FoundRoom(name, "RM"))  # one has some already
    tasks = await run(*workers)
    for _ in range(2):  # so that all have heard of all
        for each in workers:
            each.taker.hear(await each.leases.tell_load(Load(len(each.taken), each.limit)))
    found = rooms(*(f"room {number}" for number in range(21)))
    for each in workers:
        each.taker.offer(found)
    await until(lambda: sum(len(each.taken) for each in workers) == 24)
    counts = sorted(len(each.taken) for each in workers)
    assert counts[-1] - counts[0] <= 3, counts
    everything = [room for each in workers for room in each.rooms]
    assert len({*everything}) == len(everything) == 24
    await ended(tasks)
    for each in leases:
        await each.close()


async def test_a_full_worker_is_waited_for_by_nobody(redis_there: RedisServer):
    leases = [RedisLeases(redis_there.url, worker=f"w{n}", lease_s=60) for n in range(2)]
    full, busy = Worker(leases[0], limit=0), Worker(leases[1])
    await full.leases.tell_load(Load(0, 0))
    for name in ("x", "y"):
        await busy._take(FoundRoom(name, "RM"))
    busy.taker.hear(await busy.leases.tell_load(Load(2, 100)))
    tasks = await run(full, busy)
    for each in (full, busy):
        each.taker.offer(rooms("a", "b"))
    await until(lambda: busy.rooms == ["a", "b", "x", "y"])
    assert full.rooms == []
    await ended(tasks)
    for each in leases:
        await each.close()
