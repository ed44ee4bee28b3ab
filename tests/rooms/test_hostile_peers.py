"""A peer that does its worst, beside one whose recording must be as if it had not been there."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from roomtape.server.app import RoomServer
from support.hostile import ATTACKS
from support.processes import SUPPORT, python_process
from support.recorded_call import Recorded, RecordingClient

pytestmark = pytest.mark.network

SECONDS = float(os.environ.get("ROOMTAPE_ATTACK_SECONDS", "4"))
PEERS_EACH = int(os.environ.get("ROOMTAPE_ATTACK_PEERS", "1"))
"""By default little, so that the tests stay short: 60 and 4 are twenty peers for a minute."""
SETTLE_S = 10.0


async def record(directory: Path, attacks: Sequence[str]) -> Recorded:
    """A recording of bob, a process of its own, while others attack who records him."""
    program = str(SUPPORT / "room_client.py")
    async with (
        RoomServer("127.0.0.1", 0) as server,
        RecordingClient(server.url, "x") as client,
        python_process(program, server.url, "x", "bob", "60", ready="joined"),
    ):
        await client.told.until("joined", "bob")
        await asyncio.sleep(1.0)
        await client.start(directory / "x.wav")
        if attacks:
            await attacked(server.url, attacks)
        return await client.stop()


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


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def assert_unharmed(directory: Path, attacks: Sequence[str]) -> None:
    await record(directory, [])  # what the first call of a process keeps
    before = descriptors(), threading.active_count()
    recorded = await record(directory, attacks)
    (bob,) = recorded.stays("bob")
    assert bob.lost_s == bob.late_s == 0
    assert bob.received_s == pytest.approx(recorded.report.duration_s, abs=0.1)
    assert await settled(before[0], descriptors) <= before[0]
    assert await settled(before[1], threading.active_count) <= before[1]


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
