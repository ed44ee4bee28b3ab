"""Two workers and one service, for real: rooms are shared out, and go on in another worker when one
dies, is told to end, or cannot reach Redis.

The usual form is small and quick. ``ROOMTAPE_FLEET=full`` has twelve rooms, the default lease of
ten seconds, and a Redis that is gone for a minute.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from support.fleet import (
    RunningWorker,
    check_heard,
    crowd,
    files,
    named,
    names,
    recordings,
    running_worker,
    wait_until,
)
from support.livekit_server import SECRET, LiveKitServer, livekit_server
from support.redis_server import RedisServer, redis_server

pytestmark = [pytest.mark.network, pytest.mark.slow]

FULL = os.environ.get("ROOMTAPE_FLEET") == "full"
ROOMS = 12 if FULL else 4
LEASE_S = 10.0 if FULL else 3.0
RUN_S = 20.0 if FULL else 3.0
REDIS_GONE_S = 60.0 if FULL else 4.0
TIMES = () if FULL else ("--lease", f"{LEASE_S}", "--list-every", "0.5")


class Fleet:
    """A service, a Redis, a crowd, and workers on one disk."""

    def __init__(self, tmp_path: Path, stack: ExitStack) -> None:
        self.directory = tmp_path / "recordings"
        self._tmp_path = tmp_path
        self._stack = stack
        (tmp_path / "redis").mkdir()
        self.redis: RedisServer = stack.enter_context(redis_server(tmp_path / "redis"))
        self.server: LiveKitServer = stack.enter_context(livekit_server())
        self._workers = 0

    def worker(self) -> RunningWorker:
        self._workers += 1
        return self._stack.enter_context(
            running_worker(
                self.directory,
                self.server.url,
                "--processes",
                "1",
                "--max-rooms",
                "20",
                *TIMES,
                log=self._tmp_path / f"worker-{self._workers}.log",
                redis=self.redis.url,
            )
        )

    def crowd(self) -> None:
        self._stack.enter_context(crowd(self.server.url, ROOMS))

    def begun(self, count: int) -> bool:
        """Whether each room has so many files."""
        return all(len(files(self.directory, room)) >= count for room in names(ROOMS))

    def reported(self, count: int) -> bool:
        """Whether each room has so many reports."""
        return all(len(recordings(self.directory, room)) >= count for room in names(ROOMS))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(tmp_path, stack)


def test_rooms_go_on_in_another_worker(fleet: Fleet, lag):
    one, two = fleet.worker(), fleet.worker()
    wait_until(lambda: one.health()["well"] and two.health()["well"], "both are up")
    fleet.crowd()
    wait_until(lambda: fleet.begun(1), "all rooms are recorded")
    rooms = [each.health()["rooms"] for each in (one, two)]
    assert sum(rooms) == ROOMS
    assert max(rooms) - min(rooms) <= ROOMS // 4, rooms  # shared out
    time.sleep(RUN_S)

    killed_s = time.time()
    two.kill_all()
    moved_s = (
        wait_until(lambda: one.health()["rooms"] == ROOMS, "the other has taken all") - killed_s
    )
    wait_until(lambda: one.metric("recovered_files_total") == rooms[1], "files are recovered")
    time.sleep(RUN_S)

    three = fleet.worker()  # takes nothing, since nothing is free, and is not up yet
    assert three.health()["rooms"] == 0
    ended_s = time.time()
    assert one.drain() == 0, one.log
    assert three.health()["rooms"] == ROOMS
    time.sleep(RUN_S)
    told_s = time.time()
    assert three.drain() == 0, three.log

    lost_s, resumed_s, gaps_s = [], [], []
    for number, room in enumerate(names(ROOMS)):
        chain = recordings(fleet.directory, room)
        by_two = [each for each in chain if each.fleet["worker"] == two.name]
        assert [each.fleet["worker"] for each in chain] == [
            *(two.name for _ in by_two),
            one.name,
            three.name,
        ]
        for recording in chain:
            check_heard(recording, number, ROOMS, lag)
        for before, after in pairwise(chain):
            assert before.fleet["next"] == named(after)
            assert after.fleet["previous"] == named(before)
        assert chain[0].fleet["previous"] is None
        assert chain[-1].fleet["next"] is None
        if by_two:
            assert by_two[0].fleet["ended"] == "recovered"
            lost_s.append(killed_s - by_two[0].ended_s)
            resumed_s.append(chain[1].started_s - killed_s)
        gaps_s.append(chain[-1].started_s - chain[-2].ended_s)
        assert chain[-2].ended_s > ended_s  # what came before it was told to end is there
        assert chain[-1].ended_s > told_s - 0.05 - lag.worst_s
    print(  # noqa: T201 (docs/reliability.md)
        f"lost {max(lost_s):.2f} s, on after {max(resumed_s):.1f} s (all after {moved_s:.1f} s), "
        f"handed over with a gap of {max(gaps_s):.2f} s"
    )
    assert max(lost_s) < 1.0 + lag.worst_s
    assert max(resumed_s) < LEASE_S + 5 + lag.worst_s
    assert max(gaps_s) < 0  # the next one began before
    assert SECRET not in one.log + two.log + three.log
    assert "eyJ" not in one.log + two.log + three.log


def test_recordings_go_on_while_redis_is_gone(fleet: Fleet, lag):
    one, two = fleet.worker(), fleet.worker()
    wait_until(lambda: one.health()["well"] and two.health()["well"], "both are up")
    fleet.crowd()
    wait_until(lambda: fleet.begun(1), "all rooms are recorded")
    before = {one.name: one.health()["rooms"], two.name: two.health()["rooms"]}
    fleet.redis.stop()
    wait_until(lambda: not one.health()["redis"] and not two.health()["redis"], "it is noticed")
    time.sleep(REDIS_GONE_S)
    assert one.health()["rooms"] + two.health()["rooms"] == ROOMS
    fleet.redis.start()
    wait_until(lambda: one.health()["well"] and two.health()["well"], "both are well again")
    time.sleep(LEASE_S + 3)
    # Nobody took a room that somebody else was recording.
    assert {one.name: one.health()["rooms"], two.name: two.health()["rooms"]} == before
    assert one.drain() == 0
    assert two.drain() == 0
    for number, room in enumerate(names(ROOMS)):
        first, *rest = recordings(fleet.directory, room)
        check_heard(first, number, ROOMS, lag)
        assert first.report["duration_s"] > REDIS_GONE_S + LEASE_S
        assert [each.fleet["worker"] for each in (first, *rest)] in (
            [one.name, two.name],  # which ended first
            [two.name],
        )
        assert first.fleet["next"] == (named(rest[0]) if rest else None)


def test_a_worker_that_hung_is_put_out_of_its_rooms(fleet: Fleet, lag):
    one = fleet.worker()
    fleet.crowd()
    wait_until(lambda: fleet.begun(1), "all rooms are recorded")
    two = fleet.worker()
    one.process.send_signal(signal.SIGSTOP)  # and not its recorders, which know nothing of it
    try:
        wait_until(lambda: fleet.begun(2), "the other has taken them")
    finally:
        one.process.send_signal(signal.SIGCONT)
    wait_until(lambda: one.health()["rooms"] == 0, "it knows that it has lost them")
    assert two.health()["rooms"] == ROOMS
    time.sleep(2)
    assert one.drain() == 0
    assert two.drain() == 0
    for number, room in enumerate(names(ROOMS)):
        first, second = recordings(fleet.directory, room)
        assert (first.fleet["worker"], second.fleet["worker"]) == (one.name, two.name)
        assert second.fleet["previous"] == named(first)
        assert first.ended_s < second.started_s + 5 + lag.worst_s  # put out at once
        for recording in (first, second):
            check_heard(recording, number, ROOMS, lag)
