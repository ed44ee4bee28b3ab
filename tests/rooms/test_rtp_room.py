"""Plain RTP from a sender that loses, repeats and garbles packets; see test_foreign_rtp.py, too."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from aiortc.rtp import RtcpByePacket, RtpPacket

from roomtape import (
    AudioRecordingConfiguration,
    ChannelEventCallback,
    ConfigurationError,
    ErrorCode,
    RtcEngine,
    SourceReport,
    StateError,
    g711,
)
from roomtape.rooms import RtpRoom, udp
from roomtape.types import Pcm
from support.lag import Lag
from support.readers import read_all
from support.signals import offset_of, speech

pytestmark = pytest.mark.network


class Ear(ChannelEventCallback):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def on_user_joined(self, uid: str) -> None:
        self.heard.append(f"{uid} joined")

    def on_user_left(self, uid: str, reason: str) -> None:
        self.heard.append(f"{uid} left: {reason}")


@asynccontextmanager
async def recorded(room: RtpRoom, path: Path) -> AsyncIterator[tuple[RtcEngine, Ear, int]]:
    """A room that is recorded, and its port."""
    ear = Ear()
    async with RtcEngine(room) as engine:
        engine.set_event_callback(ear)
        assert await engine.join_channel(None, "calls", "recorder") is ErrorCode.OK
        config = AudioRecordingConfiguration(path, sample_rate=16000)
        assert await engine.start_audio_recording_with_config(config) is ErrorCode.OK
        yield engine, ear, room.address[1]
        assert await engine.stop_audio_recording() is ErrorCode.OK


def sources(engine: RtcEngine) -> tuple[SourceReport, ...]:
    assert engine.last_recording_report is not None
    return engine.last_recording_report.sources


class Sender:
    """One leg of a call: mu-law in packets of 20 ms, in real time."""

    def __init__(self, port: int, ssrc: int = 77) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._to = ("127.0.0.1", port)
        self._ssrc = ssrc

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, self._to)

    async def say(self, pcm: Pcm, *, loss: float = 0.0, seed: int = 1) -> float:
        """Gives how many seconds were lost."""
        rng, loop, lost = np.random.default_rng(seed), asyncio.get_running_loop(), 0
        begun_s = loop.time()
        for number, low in enumerate(range(0, len(pcm), 160)):
            await asyncio.sleep(max(0.0, begun_s + number * 0.02 - loop.time()))
            if 10 < number < len(pcm) // 160 - 10 and rng.random() < loss:
                lost += 1
                continue
            packet = RtpPacket(0, 0, (65530 + number) % 65536, (2**32 - 4000 + low) % 2**32)
            packet.ssrc, packet.payload = self._ssrc, g711(pcm[low : low + 160])
            self.send(packet.serialize())
        return lost * 0.02

    def goodbye(self) -> None:
        self.send(bytes(RtcpByePacket(sources=[self._ssrc])))


async def test_two_legs_of_a_call_with_loss_and_a_wrap_of_both_counters(tmp_path: Path, lag: Lag):
    alice, bob = speech("alice", 5.0, 8000), speech("bob", 5.0, 8000)
    async with recorded(RtpRoom(), tmp_path / "a.wav") as (engine, ear, port):
        first, second = Sender(port, 1), Sender(port, 2)
        lost_s, none_s = await asyncio.gather(first.say(alice, loss=0.1), second.say(bob))
        first.goodbye()
        await asyncio.sleep(0.3)
    by_name = {each.name: each for each in sources(engine)}
    assert by_name.keys() == {first.name, second.name}
    assert none_s == 0 < lost_s
    assert by_name[first.name].lost_s == pytest.approx(lost_s, abs=0.001 + lag.late_s)
    assert by_name[second.name].lost_s <= lag.late_s
    assert ear.heard[-1] == f"{first.name} left: it said goodbye"
    pcm, rate_hz = read_all(tmp_path / "a.wav")
    at_s = [offset_of(speech(name, 5.0, rate_hz), pcm, rate_hz)[0] for name in ("alice", "bob")]
    assert abs(at_s[0] - at_s[1]) < 0.02 + lag.worst_s


async def test_what_is_no_rtp_or_too_much_harms_nobody(tmp_path: Path, lag: Lag):
    rng = np.random.default_rng(1)
    async with recorded(RtpRoom(), tmp_path / "a.wav") as (engine, _, port):
        alice, noise = Sender(port), Sender(port, 5)

        async def disturb() -> None:
            for number in range(150):
                data = bytes([0x80, 0]) + rng.bytes(int(rng.integers(0, 300)))
                for odd in (data, rng.bytes(20), b"", bytes([0x80, 101]) + rng.bytes(30)):
                    noise.send(odd)
                if number < udp.MOST_PARTICIPANTS + 5:
                    await Sender(port, number).say(np.zeros(160, np.int16))
                await asyncio.sleep(0.02)

        await asyncio.gather(alice.say(speech("alice", 4.0, 8000)), disturb())
    report = next(each for each in sources(engine) if each.name == alice.name)
    assert report.received_s == pytest.approx(4.0, abs=0.05)
    assert report.lost_s <= lag.late_s
    assert len(sources(engine)) <= udp.MOST_PARTICIPANTS


async def test_who_falls_silent_has_left_and_may_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(udp, "GONE_AFTER_S", 1.5)
    room = RtpRoom(name_of=lambda host, port: f"leg of {host}")
    async with recorded(room, tmp_path / "a.wav") as (engine, ear, port):
        leg = Sender(port)
        await leg.say(speech("alice", 1.0, 8000))
        async with asyncio.timeout(60):
            while len(ear.heard) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await leg.say(speech("alice", 0.5, 8000))
    name = "leg of 127.0.0.1"
    assert ear.heard == [
        f"{name} joined",
        f"{name} left: it has sent nothing for 2 s",
        f"{name} joined",
    ]
    assert [each.name for each in sources(engine)] == [name] * 2


async def test_only_peers_are_heard_if_there_are_any(tmp_path: Path):
    async with recorded(RtpRoom(peers=["192.0.2.1"]), tmp_path / "a.wav") as (engine, ear, port):
        await Sender(port).say(speech("alice", 0.5, 8000))
    assert not ear.heard
    assert not sources(engine)


async def test_bad_values_are_one_line():
    with pytest.raises(ConfigurationError, match="payload type 3 is 'gsm'; it must be"):
        RtpRoom(payload_types={3: "gsm"})
    with pytest.raises(ConfigurationError, match="peer 'pbx' is no IP address"):
        RtpRoom(peers=["pbx"])
    with pytest.raises(StateError, match="once it is joined"):
        _ = RtpRoom().address
    first = RtpRoom()
    async with RtcEngine(first) as engine:
        assert await engine.join_channel(None, "calls", "recorder") is ErrorCode.OK
        async with RtcEngine(RtpRoom(port=first.address[1])) as second:
            assert await second.join_channel(None, "calls", "recorder") is ErrorCode.FATAL
            assert "cannot listen on UDP 127.0.0.1" in second.last_error
