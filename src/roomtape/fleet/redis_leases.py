"""Leases in Redis, which every LiveKit service of several nodes has.

A lease is a key that expires (``SET NX PX``); its value is a token that only its holder has, and
renewing and giving back compare it first, in a script, since only there nobody can come between.
Beside it a hash remembers the last fence and who recorded the room lately.

An outage of Redis ends no recording: who comes back renews, and what has lapsed and was taken by
nobody is regained, also from a Redis that has lost everything.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from ..types.errors import ConfigurationError, FleetError
from .leases import FoundRoom, Holder, Lease, Leases, Load, Renewal

T = TypeVar("T")

_ANSWER_S = 2.0
"""A Redis that takes longer is taken for gone; the next beat asks again."""
_ALIVE_S = 5
"""A worker that has told nothing for so long is left out when it is decided who takes a room."""
_KEEP_S = 7 * 24 * 3600
_MOST_HOLDERS = 16
"""So many of a room are remembered, for reports that name the recording before and after."""
_MOST_FOUND = 500
"""Rooms in one message, or one question."""

# KEYS: lease, holders. ARGV: token, lease in ms, memory in s.
_TAKE = """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
local fence = redis.call('HINCRBY', KEYS[2], 'fence', 1)
redis.call('EXPIRE', KEYS[2], ARGV[3])
return {fence, redis.call('HGET', KEYS[2], 'last') or ''}
"""
# ARGV: token, lease in ms, memory in s, fence.
_RENEW = """
local token = redis.call('GET', KEYS[1])
if token == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  redis.call('EXPIRE', KEYS[2], ARGV[3])
  return 'held'
end
local fence = tonumber(redis.call('HGET', KEYS[2], 'fence') or '0')
if token or fence > tonumber(ARGV[4]) then return 'lost' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[2], 'fence', ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 'regained'
"""
# ARGV: token, fence, holder as JSON, how many to remember.
_NOTE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'last', ARGV[3], 'holder:' .. ARGV[2], ARGV[3])
redis.call('HDEL', KEYS[2], 'holder:' .. (tonumber(ARGV[2]) - tonumber(ARGV[4])))
return 1
"""
# ARGV: token.
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
# KEYS: when each worker was heard, what it said. ARGV: worker, load as JSON, seconds.
_LOADS = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[3]))) do
  redis.call('ZREM', KEYS[1], gone)
  redis.call('HDEL', KEYS[2], gone)
end
return redis.call('HGETALL', KEYS[2])
"""


class RedisLeases(Leases):
    """One worker's.

    Args:
        url: ``redis://...``, ``rediss://...`` or ``unix://...``; may hold a password.
        worker: The worker's name; no other has it.
        lease_s: A lease that is not renewed for so long is free again.
        prefix: In front of every key, for services that share a Redis.

    Raises:
        ConfigurationError: The URL is none.
    """

    def __init__(self, url: str, *, worker: str, lease_s: float, prefix: str = "roomtape") -> None:
        self._where = without_password(url)
        self._worker = worker
        self._lease_ms = max(1, round(lease_s * 1000))
        self._prefix = prefix
        try:
            self._redis = redis.asyncio.Redis.from_url(
                url,
                decode_responses=True,
                socket_timeout=_ANSWER_S,
                socket_connect_timeout=_ANSWER_S,
                # Connections that it closed meanwhile are opened anew; a Redis that is gone is
                # asked again by the next beat.
                retry=Retry(NoBackoff(), 1),
            )
        except ValueError:
            raise ConfigurationError(
                f"{self._where} is no Redis URL; it looks like redis://HOST:6379/0"
            ) from None
        self._take = self._redis.register_script(_TAKE)
        self._renew = self._redis.register_script(_RENEW)
        self._note = self._redis.register_script(_NOTE)
        self._release = self._redis.register_script(_RELEASE)
        self._loads = self._redis.register_script(_LOADS)

    async def take(self, room: str) -> tuple[Lease, Holder | None] | None:
        token = f"{self._worker}:{secrets.token_hex(8)}"
        taken = await self._ask(
            lambda: self._take(keys=self._keys(room), args=[token, self._lease_ms, _KEEP_S])
        )
        if taken is None:
            return None
        fence, last = taken
        return Lease(room, int(fence), token), _holder(last)

    async def renew(self, leases: Sequence[Lease]) -> list[Renewal]:
        async def renew_all() -> list[str]:
            async with self._redis.pipeline(transaction=False) as pipe:
                for lease in leases:
                    args: list[str | int] = [lease.token, self._lease_ms, _KEEP_S, lease.fence]
                    await self._renew(keys=self._keys(lease.room), args=args, client=pipe)
                return list(await pipe.execute())

        return [Renewal(each) for each in await self._ask(renew_all)] if leases else []

    async def note(self, lease: Lease, holder: Holder) -> bool:
        words = json.dumps(dataclasses.asdict(holder))
        args: list[str | int] = [lease.token, lease.fence, words, _MOST_HOLDERS]
        return bool(await self._ask(lambda: self._note(keys=self._keys(lease.room), args=args)))

    async def release(self, lease: Lease) -> None:
        await self._ask(lambda: self._release(keys=self._keys(lease.room)[:1], args=[lease.token]))

    async def held(self, rooms: Sequence[str]) -> list[bool]:
        held: list[bool] = []
        for start in range(0, len(rooms), _MOST_FOUND):
            keys = [self._keys(room)[0] for room in rooms[start : start + _MOST_FOUND]]
            held.extend(
                token is not None for token in await self._ask(partial(self._redis.mget, keys))
            )
        return held

    async def holders(self, room: str) -> list[Holder]:
        fields = cast(
            "dict[str, str]",  # decoded, as asked for
            await self._ask(lambda: self._redis.hgetall(self._keys(room)[1])),
        )
        found = [_holder(text) for name, text in fields.items() if name.startswith("holder:")]
        begun = [each for each in found if each is not None and each.file]
        return sorted(begun, key=lambda each: each.fence)

    async def tell_load(self, load: Load) -> Mapping[str, Load]:
        words = json.dumps(dataclasses.asdict(load))
        flat = await self._ask(
            lambda: self._loads(keys=self._worker_keys(), args=[self._worker, words, _ALIVE_S])
        )
        pairs = zip(flat[::2], flat[1::2], strict=True)
        loads = {worker: _load(text) for worker, text in pairs if worker != self._worker}
        return {worker: load for worker, load in loads.items() if load is not None}

    async def leave(self) -> None:
        heard, loads = self._worker_keys()
        await self._ask(lambda: self._redis.zrem(heard, self._worker))
        await self._ask(lambda: self._redis.hdel(loads, self._worker))

    async def my_turn(self, what: str, every_s: float) -> bool:
        key, every_ms = f"{self._prefix}:turn:{what}", max(1, round(every_s * 1000))
        return bool(
            await self._ask(lambda: self._redis.set(key, self._worker, nx=True, px=every_ms))
        )

    async def publish(self, found: Sequence[FoundRoom]) -> None:
        for start in range(0, len(found), _MOST_FOUND):
            rooms = [[each.name, each.sid] for each in found[start : start + _MOST_FOUND]]
            await self._ask(partial(self._redis.publish, self._channel, json.dumps(rooms)))

    async def published(self) -> AsyncIterator[Sequence[FoundRoom]]:
        pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
        try:
            await self._ask(lambda: pubsub.subscribe(self._channel))
            while True:
                message = await self._ask(lambda: pubsub.get_message(timeout=1.0))
                if message is not None:
                    yield _found(message["data"])
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        await self._redis.aclose()

    @property
    def _channel(self) -> str:
        return f"{self._prefix}:found"

    def _keys(self, room: str) -> list[str]:
        return [f"{self._prefix}:lease:{room}", f"{self._prefix}:holders:{room}"]

    def _worker_keys(self) -> list[str]:
        return [f"{self._prefix}:heard", f"{self._prefix}:loads"]

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        try:
            return await question()
        except AuthenticationError:
            raise FleetError(f"{self._where} refuses: the password or the user is wrong") from None
        except (RedisError, OSError, TimeoutError) as error:
            words = " ".join(str(error).split()) or type(error).__name__
            raise FleetError(f"{self._where} does not answer: {words}") from None


def without_password(url: str) -> str:
    """``url`` as it may be told to anybody."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme or 'redis'}://{host}{parts.path if parts.scheme == 'unix' else ''}"


def has_password(url: str) -> bool:
    """Whether there is one in ``url``."""
    parts = urlsplit(url)
    return "@" in parts.netloc or "password=" in parts.query


def _holder(text: str) -> Holder | None:
    """What another worker has written; None for what is odd, or written by a later version."""
    return _parsed(Holder, text)


def _load(text: str) -> Load | None:
    return _parsed(Load, text)


def _parsed(kind: type[T], text: str) -> T | None:
    try:
        facts: dict[str, Any] = json.loads(text)
        return kind(**facts)
    except (ValueError, TypeError):
        return None


def _found(text: str) -> list[FoundRoom]:
    try:
        return [FoundRoom(str(name), str(sid)) for name, sid in json.loads(text)]
    except (ValueError, TypeError):
        return []
