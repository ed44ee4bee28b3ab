"""Chromium as the sender over a lossy network: it is asked again, and its FEC is decoded."""

from __future__ import annotations

import asyncio
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from aioice.ice import StunProtocol

from roomtape.rooms.rtp import receive
from roomtape.rooms.rtp.datagrams.arrivals import Arrivals, Received
from roomtape.server.app import RoomServer
from roomtape.types import SourceReport
from support.browser import chromium
from support.recorded_call import RecordingClient, talk
from support.relay import PACKET_S, Way

pytestmark = [pytest.mark.network, pytest.mark.browser]

LOSSY_S = 8.0


class Network:
    """Harms all packets of this process, both ways."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inward, self.outward = Way(rtcp=True), Way(rtcp=True)
        self.inward.random.seed(1)
        self.outward.random.seed(2)
        take_over = Arrivals.take_over

        def taken_over(arrivals: Arrivals, transport: Any, at_the_door: Received) -> Any:
            def received(data: bytes, address: tuple[Any, ...], arrived_ns: int) -> bool:
                def deliver(packet: bytes) -> None:
                    at_the_door(packet, address, time.monotonic_ns())

                self.inward.carry(data, deliver)
                return True

            return take_over(arrivals, transport, received)

        async def sent(protocol: StunProtocol, data: bytes, address: tuple[str, int]) -> None:
            def deliver(packet: bytes) -> None:
                if not protocol.transport.is_closing():
                    protocol.transport.sendto(packet, address)

            self.outward.carry(data, deliver)

        monkeypatch.setattr(Arrivals, "take_over", taken_over)
        monkeypatch.setattr(StunProtocol, "send_data", sent)

    def lose(self, share: float) -> None:
        for way in (self.inward, self.outward):
            way.loss, way.delay_s = share, 0.030


class Call:
    """Chromium in a room, and one who records it."""

    def __init__(self, client: RecordingClient, network: Network, directory: Path) -> None:
        self._client = client
        self._network = network
        self._directory = directory

    async def record(self, share: float, seconds: float) -> tuple[SourceReport, float]:
        """What the report says when so much is lost for so long, and how many seconds of audio were
        dropped indeed."""
        await self._client.start(self._directory / f"{share}.wav")
        await asyncio.sleep(1.0)
        before = self._network.inward.total("dropped")
        self._network.lose(share)
        await asyncio.sleep(seconds)
        self._network.lose(0.0)
        dropped = self._network.inward.total("dropped") - before
        await asyncio.sleep(1.0)
        recording = await self._client.stop()
        (stay,) = recording.stays("carol")
        return stay, dropped * PACKET_S


@asynccontextmanager
async def calling(directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Call]:
    network, microphone = Network(monkeypatch), directory / "carol.wav"
    with wave.open(str(microphone), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(np.concatenate([talk()] * 2).astype("<i2").tobytes())
    async with RoomServer("127.0.0.1", 0) as server, RecordingClient(server.url, "x") as client:
        query = urlencode({"room": "x", "uid": "carol", "autojoin": "", "raw": ""})
        async with chromium(f"{server.url}/?{query}", microphone=microphone) as page:
            await page.press_join()
            await client.told.until("joined", "carol")
            async with asyncio.timeout(30):
                while network.inward.total("came") < 100:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            network.lose(0.0)
            await asyncio.sleep(2.0)
            yield Call(client, network, directory)


async def test_chromium_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with calling(tmp_path, monkeypatch) as call:
        for share, missing in ((0.05, 0.005), (0.10, 0.02), (0.20, 0.06)):
            stay, dropped_s = await call.record(share, LOSSY_S)
            assert dropped_s / LOSSY_S == pytest.approx(share, abs=0.05)
            assert stay.resent_s > dropped_s / 2
            assert stay.lost_s / LOSSY_S <= missing
            accounted_s = stay.lost_s - stay.late_s + stay.resent_s + stay.fec_s
            assert accounted_s == pytest.approx(dropped_s, abs=0.01 * LOSSY_S)


async def test_without_answers_chromiums_fec_halves_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(*arguments: object) -> None: ...

    monkeypatch.setattr(receive, "ask_again", silent)
    async with calling(tmp_path, monkeypatch) as call:
        stay, dropped_s = await call.record(0.05, 2 * LOSSY_S)
    assert stay.resent_s == 0
    assert stay.lost_s <= dropped_s / 2
