"""Who records which room: the same rules for one worker alone and for many that share a Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from roomtape.fleet.leases import FoundRoom, Holder, Lease, Leases, Load, LocalLeases, Renewal
from roomtape.fleet.redis_leases import RedisLeases, has_password, without_password
from roomtape.types.errors import ConfigurationError, FleetError
from support.redis_server import RedisServer, redis_server

LEASE_S = 30.0
SHORT_S = 0.2


@contextmanager
def no_redis(directory: Path) -> Iterator[None]:
    del directory
    yield None


@asynccontextmanager
async def opened(leases: Leases) -> AsyncIterator[Leases]:
    try:
        yield leases
    finally:
        await leases.close()


@pytest.fixture(params=["local", "redis"])
async def leases(request, tmp_path: Path) -> AsyncIterator[Leases]:
    with (redis_server if request.param == "redis" else no_redis)(tmp_path) as server:
        made = LocalLeases() if server is None else worker(server, "one")
        async with opened(made):
            yield made


def worker(server: RedisServer, name: str, lease_s: float = LEASE_S) -> RedisLeases:
    return RedisLeases(server.url, worker=name, lease_s=lease_s)


def holder(lease: Lease, file: str, worker: str = "one", sid: str = "RM_1") -> Holder:
    return Holder(lease.fence, worker, sid, f"rec-{lease.fence}", file)


async def taken(leases: Leases, room: str) -> Lease:
    taking = await leases.take(room)
    assert taking is not None
    return taking[0]


async def until_free(leases: Leases, room: str) -> None:
    while await leases.held([room]) == [True]:  # noqa: ASYNC110 (nobody tells)
        await asyncio.sleep(0.02)


# -- whoever keeps them ------------------------------------------------------------------------


async def test_a_room_is_taken_once_until_it_is_given_back(leases: Leases):
    lease = await taken(leases, "a")
    assert await leases.take("a") is None
    assert await leases.held(["a", "b"]) == [True, False]
    await leases.release(lease)
    await leases.release(lease)
    assert await leases.held(["a"]) == [False]
    later = await taken(leases, "a")
    assert later.fence > lease.fence


async def test_who_gave_a_lease_back_cannot_harm_the_next(leases: Leases):
    old = await taken(leases, "a")
    await leases.release(old)
    new = await taken(leases, "a")
    await leases.release(old)
    assert await leases.renew([old, new]) == [Renewal.LOST, Renewal.HELD]
    assert not await leases.note(old, holder(old, "/old.aac"))
    assert await leases.note(new, holder(new, "/new.aac"))
    assert [each.file for each in await leases.holders("a")] == ["/new.aac"]


async def test_the_next_one_learns_who_recorded_before(leases: Leases):
    lease = await taken(leases, "a")
    first = holder(lease, "/first.aac")
    await leases.note(lease, Holder(lease.fence, "one", "RM_1", "rec"))
    assert await leases.holders("a") == []  # it has not begun
    await leases.note(lease, first)
    await leases.release(lease)
    taking = await leases.take("a")
    assert taking is not None
    later, before = taking
    assert before == first
    await leases.note(later, holder(later, "/second.aac"))
    assert [each.file for each in await leases.holders("a")] == ["/first.aac", "/second.aac"]


async def test_only_the_last_recordings_of_a_room_are_remembered(leases: Leases):
    for number in range(40):
        lease = await taken(leases, "a")
        await leases.note(lease, holder(lease, f"/{number}.aac"))
        await leases.release(lease)
    files = [each.file for each in await leases.holders("a")]
    assert files == [f"/{number}.aac" for number in range(24, 40)]


async def test_room_names_may_be_anything(leases: Leases):
    rooms = ["", "a b", "{a}", "}", "*", "会议", "x" * 1000, "a:b:lease"]
    held = [await taken(leases, room) for room in rooms]
    assert await leases.renew(held) == [Renewal.HELD] * len(rooms)
    assert await leases.held(rooms) == [True] * len(rooms)


# -- in Redis ----------------------------------------------------------------------------------


async def test_of_many_who_try_at_once_one_gets_the_room(redis_there: RedisServer):
    workers = [worker(redis_there, f"w{number}") for number in range(8)]
    try:
        for room in ("a", "b", "c"):
            takings = await asyncio.gather(*(each.take(room) for each in workers))
            assert sum(taking is not None for taking in takings) == 1
    finally:
        await asyncio.gather(*(each.close() for each in workers))


async def test_a_lease_that_is_not_renewed_is_free_again(redis_there: RedisServer):
    async with (
        opened(worker(redis_there, "one", SHORT_S)) as one,
        opened(worker(redis_there, "two", SHORT_S)) as two,
    ):
        lease = await taken(one, "a")
        await one.note(lease, holder(lease, "/one.aac"))
        await until_free(two, "a")
        taking = await two.take("a")
        assert taking is not None
        assert taking[1] == holder(lease, "/one.aac")
        assert await one.renew([lease]) == [Renewal.LOST]
        await one.release(lease)
        assert not await one.note(lease, holder(lease, "/late.aac"))
        assert (await two.renew([taking[0]])) == [Renewal.HELD]


async def test_a_lease_that_lapsed_and_that_nobody_took_is_regained(redis_there: RedisServer):
    async with opened(worker(redis_there, "one", SHORT_S)) as one:
        lease = await taken(one, "a")
        await until_free(one, "a")
        assert await one.renew([lease]) == [Renewal.REGAINED]
        assert await one.take("a") is None


async def test_one_that_was_taken_meanwhile_is_lost_even_if_it_is_free_again(
    redis_there: RedisServer,
):
    async with (
        opened(worker(redis_there, "one", SHORT_S)) as one,
        opened(worker(redis_there, "two")) as two,
    ):
        lease = await taken(one, "a")
        await until_free(two, "a")
        await two.release(await taken(two, "a"))
        assert await one.renew([lease]) == [Renewal.LOST]


async def test_a_redis_that_lost_everything_gets_it_back_from_who_records(
    redis_there: RedisServer,
):
    async with (
        opened(worker(redis_there, "one")) as one,
        opened(worker(redis_there, "two")) as two,
    ):
        lease = await taken(one, "a")
        redis_there.stop()
        with pytest.raises(FleetError, match="does not answer"):
            await one.renew([lease])
        redis_there.start()
        assert await one.renew([lease]) == [Renewal.REGAINED]
        assert await two.take("a") is None
        assert await one.note(lease, holder(lease, "/one.aac"))
        await one.release(lease)
        taking = await two.take("a")
        assert taking is not None
        assert taking[0].fence > lease.fence
        assert taking[1] == holder(lease, "/one.aac")


async def test_workers_know_each_other_and_who_left(redis_there: RedisServer):
    async with (
        opened(worker(redis_there, "one")) as one,
        opened(worker(redis_there, "two")) as two,
    ):
        assert await one.tell_load(Load(3, 10)) == {}
        assert await two.tell_load(Load(0, 4)) == {"one": Load(3, 10)}
        assert await one.tell_load(Load(4, 10)) == {"two": Load(0, 4)}
        await two.leave()
        await two.leave()
        assert await one.tell_load(Load(4, 10)) == {}


async def test_what_is_done_every_so_often_is_done_by_one(redis_there: RedisServer):
    async with (
        opened(worker(redis_there, "one")) as one,
        opened(worker(redis_there, "two")) as two,
    ):
        turns = [await each.my_turn("list", 60) for each in (one, two, one)]
        assert turns == [True, False, False]
        assert await two.my_turn("something else", 60)


async def test_everybody_hears_of_rooms_that_are_free(redis_there: RedisServer):
    async with (
        opened(worker(redis_there, "one")) as one,
        opened(worker(redis_there, "two")) as two,
    ):
        found = [FoundRoom(f"room {number}", f"RM_{number}") for number in range(1200)]

        async def heard(leases: Leases) -> list[FoundRoom]:
            rooms: list[FoundRoom] = []
            async for some in leases.published():
                rooms.extend(some)
                if len(rooms) >= len(found):
                    break
            return rooms

        listening = [asyncio.create_task(heard(each)) for each in (one, two)]
        while not all(each.done() for each in listening):  # until both have subscribed
            await one.publish(found)
            await asyncio.sleep(0.05)
        for each in listening:
            assert {*await each} == {*found}


async def test_what_others_write_does_no_harm(redis_there: RedisServer):
    import redis

    with redis.Redis.from_url(redis_there.url) as other:
        other.hset("roomtape:holders:a", mapping={"last": "no JSON", "holder:7": '{"x": 1}'})
        other.hset("roomtape:loads", mapping={"odd": "[]"})
        async with opened(worker(redis_there, "one")) as one:
            taking = await one.take("a")
            assert taking is not None
            assert taking[1] is None
            assert await one.holders("a") == []
            assert await one.tell_load(Load(0, 1)) == {}


async def test_connections_that_were_closed_meanwhile_do_not_count(redis_there: RedisServer):
    async with opened(worker(redis_there, "one")) as one:
        leases = [await taken(one, f"{number}") for number in range(8)]
        await asyncio.gather(*(one.renew([each]) for each in leases))  # so many are open
        redis_there.stop()
        redis_there.start()
        renewals = await asyncio.gather(*(one.renew([each]) for each in leases))
        assert renewals == [[Renewal.REGAINED]] * 8
        noted = await asyncio.gather(*(one.note(each, holder(each, "/a.aac")) for each in leases))
        assert noted == [True] * 8


async def test_a_redis_that_is_frozen_is_gone_and_comes_back(redis_there: RedisServer):
    async with opened(worker(redis_there, "one")) as one:
        lease = await taken(one, "a")
        redis_there.freeze()
        with pytest.raises(FleetError, match="does not answer"):
            await one.renew([lease])
        redis_there.thaw()
        assert await one.renew([lease]) == [Renewal.HELD]


def test_a_password_is_never_told():
    url = "redis://user:very-secret@example.org:6379/0"
    assert without_password(url) == "redis://example.org:6379"
    assert has_password(url)
    assert has_password("redis://example.org?password=very-secret")
    assert not has_password("redis://example.org:6379/3")


async def test_a_wrong_password_is_one_line_without_it(tmp_path: Path):
    with redis_server(tmp_path, password="right") as server:
        url = server.url.replace("redis://", "redis://:very-secret@")
        async with opened(RedisLeases(url, worker="one", lease_s=1)) as one:
            with pytest.raises(FleetError, match="password") as caught:
                await one.take("a")
        async with opened(worker(server, "two")) as two:
            with pytest.raises(FleetError, match="password"):
                await two.take("a")
    assert "very-secret" not in str(caught.value)
    assert str(server.port) in str(caught.value)


@pytest.mark.parametrize("url", ["", "nothing", "http://127.0.0.1", "redis://host:port/0"])
def test_a_url_that_is_none_is_a_configuration_error(url: str):
    with pytest.raises(ConfigurationError, match="no Redis URL"):
        RedisLeases(url, worker="one", lease_s=1)
