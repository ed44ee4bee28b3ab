"""Leases are kept while Redis is there, and while it is not; rooms are handed over once."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest

from roomtape.fleet.keeping import Keeper
from roomtape.fleet.leases import FoundRoom, Holder, Lease
from roomtape.fleet.recorder.messages import Stop
from roomtape.fleet.redis_leases import RedisLeases
from roomtape.fleet.taken import MAY_FOLLOW, TakenRoom, TakenRooms, TakenState
from support.redis_server import RedisServer
from support.scripted_recording import until

LEASE_S = 1.0


class Worker:
    """Only keeps rooms."""

    def __init__(self, server: RedisServer, name: str, lease_s: float = LEASE_S) -> None:
        self.name = name
        self.leases = RedisLeases(server.url, worker=name, lease_s=lease_s)
        self.taken = TakenRooms()
        self.stopped: list[Stop] = []
        self.lost: list[TakenRoom] = []
        self.keeper = Keeper(
            self.leases,
            self.taken,
            lease_s=lease_s,
            stop=lambda taken, stop: self.stopped.append(stop),
            on_lost=self.lost.append,
        )

    async def record(self, room: str) -> TakenRoom:
        got = await self.leases.take(room)
        assert got is not None
        lease: Lease = got[0]
        holder = Holder(lease.fence, self.name, "RM", "rec", f"/{self.name}.aac")
        taken = TakenRoom(FoundRoom(room, "RM"), lease, 0, holder)
        self.taken.add(taken)
        await self.leases.note(lease, holder)
        taken.enter(TakenState.RECORDING)
        return taken


@pytest.fixture
async def workers(redis_there: RedisServer) -> AsyncIterator[tuple[Worker, Worker]]:
    made = Worker(redis_there, "one"), Worker(redis_there, "two")
    yield made
    for each in made:
        await each.leases.close()


async def test_leases_are_kept_for_as_long_as_it_runs(workers: tuple[Worker, Worker]):
    one, two = workers
    await one.record("a")
    keeping = asyncio.create_task(one.keeper.run())
    for _ in range(15):
        await asyncio.sleep(LEASE_S / 5)
        assert await two.leases.take("a") is None
    keeping.cancel()
    assert one.lost == []


async def test_a_lost_lease_is_told_once(workers: tuple[Worker, Worker]):
    one, two = workers
    taken = await one.record("a")
    await one.leases.release(taken.lease)
    await two.record("a")
    await one.keeper.renew()
    assert one.lost == [taken]
    handing = asyncio.create_task(one.keeper.hand_over(taken, "lost", lost=True, within_s=60))
    await until(lambda: bool(one.stopped))
    await handing
    await one.keeper.renew()
    assert one.lost == [taken]
    (stop,) = one.stopped
    assert stop.next == {"file": "/two.aac", "worker": "two", "lease": taken.lease.fence + 1}
    assert await two.leases.held(["a"]) == [True]  # theirs is untouched


async def test_while_redis_is_gone_nothing_is_lost_or_taken(
    workers: tuple[Worker, Worker], redis_there: RedisServer
):
    one, two = workers
    taken = await one.record("a")
    redis_there.stop()
    for _ in range(3):
        await one.keeper.renew()
        await two.keeper.renew()
    assert (one.keeper.up, two.keeper.up) == (False, False)
    assert not two.keeper.may_take
    redis_there.start()
    # The one without rooms is back first, and leaves them to those who record them.
    await two.keeper.renew()
    assert two.keeper.up
    assert not two.keeper.may_take
    await one.keeper.renew()
    assert one.lost == []
    assert await two.leases.take("a") is None
    assert [each.file for each in await two.leases.holders("a")] == ["/one.aac"]
    await until(lambda: two.keeper.may_take)
    assert taken.state is TakenState.RECORDING


async def test_what_could_not_be_told_is_told_later(workers: tuple[Worker, Worker]):
    one, two = workers
    taken = await one.record("a")
    changed = dataclasses.replace(taken.holder, file="/begun.aac")
    taken.holder = changed  # and Redis did not answer
    await one.keeper.renew()
    assert await two.leases.holders("a") == [changed]
    assert taken.noted


async def test_a_room_is_handed_over_to_who_takes_it(workers: tuple[Worker, Worker]):
    one, two = workers
    taken = await one.record("a")
    handing = asyncio.create_task(one.keeper.hand_over(taken, "ends", lost=False, within_s=60))
    await until(lambda: taken.state is TakenState.HANDING_OVER)
    while (await two.leases.held(["a"])) == [True]:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert one.stopped == []  # it records on until the other does
    other = await two.record("a")
    await handing
    (stop,) = one.stopped
    assert (stop.why, stop.next) == (
        "ends",
        {"file": "/two.aac", "worker": "two", "lease": other.lease.fence},
    )
    one.keeper.stop(taken, "again")
    await one.keeper.hand_over(taken, "again", lost=False, within_s=60)
    assert len(one.stopped) == 1


async def test_who_is_told_again_to_end_waits_for_nobody(workers: tuple[Worker, Worker]):
    one, _ = workers
    taken = await one.record("a")
    handing = asyncio.create_task(one.keeper.hand_over(taken, "ends", lost=False, within_s=3600))
    await until(lambda: taken.state is TakenState.HANDING_OVER)
    one.keeper.stop(taken, "at once")
    async with asyncio.timeout(60):
        await handing
    assert [(each.why, each.next) for each in one.stopped] == [("at once", None)]


async def test_a_room_that_nobody_takes_is_finished(workers: tuple[Worker, Worker]):
    one, _ = workers
    taken = await one.record("a")
    await one.keeper.hand_over(taken, "ends", lost=False, within_s=0.3)
    assert [(each.why, each.next) for each in one.stopped] == [("ends", None)]


async def test_a_hand_over_without_redis_is_finished_at_once(
    workers: tuple[Worker, Worker], redis_there: RedisServer
):
    one, _ = workers
    taken = await one.record("a")
    redis_there.stop()
    async with asyncio.timeout(60):
        await one.keeper.hand_over(taken, "ends", lost=False, within_s=3600)
    assert [each.why for each in one.stopped] == ["ends"]


def test_nothing_leads_back():
    order = [*TakenState]
    for state, following in MAY_FOLLOW.items():
        assert all(order.index(each) > order.index(state) for each in following)


async def test_a_room_is_discarded_once():
    rooms = TakenRooms()
    await rooms.none_left()
    lease = Lease("a", 1, "token")
    taken = TakenRoom(FoundRoom("a", "RM"), lease, 0, Holder(1, "w", "RM", "rec"))
    rooms.add(taken)
    assert rooms.get("a", 1) is taken
    assert rooms.get("a", 2) is None
    assert [rooms.discard(taken), rooms.discard(taken)] == [True, False]
    assert taken.state is TakenState.OVER
    await rooms.none_left()
