"""What the kernel drops of a participant's packets, because nobody took them, is in the report."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from roomtape.rooms.rtp.datagrams import aioice_internals
from roomtape.server.app import RoomServer
from support.processes import SUPPORT, python_process
from support.recorded_call import RecordingClient

pytestmark = pytest.mark.network


async def test_packets_that_the_kernel_dropped_are_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice_internals, "RECEIVE_BUFFER_BYTES", 2304)  # the least there is
    program = str(SUPPORT / "room_client.py")
    async with (
        RoomServer("127.0.0.1", 0) as server,
        RecordingClient(server.url, "x") as client,
        python_process(program, server.url, "x", "bob", "60", ready="joined"),
    ):
        await client.told.until("joined", "bob")
        await asyncio.sleep(1.0)
        await client.start(tmp_path / "x.wav")
        await asyncio.sleep(1.0)
        for _ in range(3):
            time.sleep(0.4)  # noqa: ASYNC251 (twenty packets, and room for two)
            await asyncio.sleep(0.6)
        await asyncio.sleep(1.0)
        recorded = await client.stop()
    (bob,) = recorded.stays("bob")
    assert 20 <= bob.dropped_packets <= 100
    assert bob.received_s > 0


async def test_nothing_is_said_to_be_dropped_where_nothing_was(tmp_path: Path) -> None:
    program = str(SUPPORT / "room_client.py")
    async with (
        RoomServer("127.0.0.1", 0) as server,
        RecordingClient(server.url, "x") as client,
        python_process(program, server.url, "x", "bob", "60", ready="joined"),
    ):
        await client.told.until("joined", "bob")
        await client.start(tmp_path / "x.wav")
        time.sleep(0.4)  # noqa: ASYNC251
        await asyncio.sleep(2.0)
        recorded = await client.stop()
    assert [each.dropped_packets for each in recorded.stays("bob")] == [0]
