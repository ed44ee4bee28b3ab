"""A peer that does its worst, beside one whose recording must be as if it had not been there."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from roomtape.server.app import RoomServer
from roomtape.types import NS_PER_S
from support.hostile import ATTACKS
from support.processes import SUPPORT, descriptors, python_process
from support.recorded_call import Recorded, RecordingClient

pytestmark = [pytest.mark.network, pytest.mark.alone]

SECONDS = float(os.environ.get("ROOMTAPE_ATTACK_SECONDS", "3"))
PEERS_EACH = int(os.environ.get("ROOMTAPE_ATTACK_PEERS", "1"))
"""By default little, so that the tests stay short: 60 and 4 are twenty peers for a minute."""
SETTLE_S = 10.0
BUSY = 0.1
"""Whoever waits for a processor for so much of the time hears late, attacked or not."""
_warm: list[bool] = []


async def record(directory: Path, attacks: Sequence[str]) -> tuple[Recorded, float]:
    """A recording of bob, a process of its own, while others attack who records him, and for how
    long other work on this machine kept the two of them from a processor."""
    program = str(SUPPORT / "room_client.py")
    async with (
        RoomServer("127.0.0.1", 0) as server,
        RecordingClient(server.url, "x") as client,
        python_process(program, server.url, "x", "bob", "60", ready="joined") as bob,
    ):
        await client.told.until("joined", "bob")
        await asyncio.sleep(1.0)
        await client.start(directory / "x.wav")
        waited_s, began_s = waited(bob.pid), time.monotonic()
        await attacked(server.url, attacks)
        recorded = await client.stop()
        waited_s = waited(bob.pid) - waited_s
        busy = waited_s > BUSY * (time.monotonic() - began_s)
        return recorded, waited_s if busy else 0.0


def waited(other: int) -> float:
    """How long this process and another have waited for a processor, in seconds."""
    stats = [Path(f"/proc/{each}/schedstat").read_text() for each in ("self", other)]
    return sum(int(each.split()[1]) for each in stats) / NS_PER_S


async def attacked(url: str, attacks: Sequence[str]) -> None:
    names = ",".join(attacks)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SUPPORT / "hostile.py"), url, "x", "x-recorder", names, str(SECONDS)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SUPPORT.parent)},
    )
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS + 60):
        told = (await process.stdout.read()).decode()
        await process.wait()
    assert told.endswith("done\n"), told


async def settled(was: int, count: Callable[[], int]) -> int:
    """Wait until a count is back where it was; give what it is."""
    for _ in range(round(SETTLE_S / 0.1)):
        gc.collect()
        if count() <= was:
            break
        await asyncio.sleep(0.1)
    return count()


def decoders() -> int:
    """Threads that decode a track, of aiortc; pools of threads come and go as they like."""
    return sum("decoder" in thread.name for thread in threading.enumerate())


async def assert_unharmed(directory: Path, attacks: Sequence[str]) -> None:
    if not _warm:
        await record(directory, ["ssrcs"])  # what the first call of a process keeps
        _warm.append(True)
    before = descriptors()
    recorded, kept_waiting_s = await record(directory, attacks)
    assert await settled(before, descriptors) <= before
    assert await settled(0, decoders) == 0
    (bob,) = recorded.stays("bob")
    # Other work on this machine may have kept the recorder or bob from a processor: no attack did.
    assert bob.lost_s + bob.late_s <= kept_waiting_s
    missing_s = recorded.report.duration_s - bob.received_s
    assert missing_s <= 0.1 + kept_waiting_s


@pytest.mark.parametrize("name", ATTACKS)
async def test_one_peer_that_does_its_worst_harms_nobody_else(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await assert_unharmed(tmp_path, [name])
    assert "never retrieved" not in caplog.text
    assert "Traceback" not in caplog.text
    assert len(caplog.records) < 40, "what is over a bound is told once"


async def test_several_that_do_their_worst_at_once_harm_nobody_else(tmp_path: Path) -> None:
    worst = ("candidates", "offers", "sections", "ssrcs", "flood")
    await assert_unharmed(tmp_path, worst * PEERS_EACH)
