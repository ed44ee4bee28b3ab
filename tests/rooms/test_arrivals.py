"""datagrams/arrivals.py: what comes is taken a little later, and stands where it came."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecordingConfiguration, ErrorCode, RtcEngine, g711
from roomtape.rooms import RtpRoom
from roomtape.rooms.rtp.datagrams.arrivals import EVERY_S, Arrivals

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel notes no times here")

MS = 1_000_000
SOON_S = 10.0  # whoever waits for longer waits in vain


def descriptors() -> set[str]:
    return {each.name for each in Path("/proc/self/fd").iterdir()}


class Port:
    """One socket that is read by ``arrivals``, and one that sends to it."""

    def __init__(self, arrivals: Arrivals, *, audio: bool = True) -> None:
        self.taken: list[tuple[bytes, int]] = []
        self.wakes = 0
        self._audio = audio
        self._arrivals = arrivals
        self._came = asyncio.Event()
        self._in = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._in.setblocking(False)
        self._in.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._in.bind(("127.0.0.1", 0))
        self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        assert arrivals.add(self._in, self._received)

    def _received(self, data: bytes, address: tuple[str, int], arrived_ns: int) -> bool:
        assert address == ("127.0.0.1", self._out.getsockname()[1])
        self.taken.append((data, arrived_ns))
        self._came.set()
        return self._audio

    def send(self, data: bytes = b"audio") -> tuple[int, int]:
        """When it was sent, between these two."""
        before_ns = time.monotonic_ns()
        self._out.sendto(data, self._in.getsockname())
        return before_ns, time.monotonic_ns()

    async def until(self, count: int) -> None:
        """So many were taken."""
        async with asyncio.timeout(SOON_S):
            while len(self.taken) < count:
                self._came.clear()
                await self._came.wait()

    def close(self) -> None:
        self._arrivals.remove(self._in)
        self._arrivals.remove(self._in)  # it can be done twice
        self._in.close()
        self._out.close()


@pytest.fixture
async def arrivals() -> Arrivals:
    return Arrivals()


@pytest.fixture
async def port(arrivals: Arrivals) -> AsyncIterator[Port]:
    port = Port(arrivals)
    yield port
    port.close()


async def test_each_datagram_says_when_it_came(port: Port):
    sent = []
    for number in range(40):
        sent.append(port.send(b"%d" % number))
        # Sometimes others have their turn, and sometimes nobody has.
        time.sleep(0.003)  # noqa: ASYNC251
        if number % 7 == 0:
            await asyncio.sleep(0)
    await port.until(40)
    assert [data for data, _ in port.taken] == [b"%d" % number for number in range(40)]
    for (before_ns, after_ns), (_, arrived_ns) in zip(sent, port.taken, strict=True):
        # The kernel's clock is the wall's; the two are compared when it is read.
        assert before_ns - MS <= arrived_ns <= after_ns + MS


async def test_what_waited_for_long_does_not_say_so(port: Port):
    """It is the recording that deals with what comes late."""
    port.send(b"first")
    await port.until(1)
    port.send()
    time.sleep(0.3)  # noqa: ASYNC251 (this process is away)
    back_ns = time.monotonic_ns()
    await port.until(2)
    assert port.taken[1][1] >= back_ns - 101 * MS


async def test_a_wall_clock_that_is_set_moves_nothing(port: Port, monkeypatch: pytest.MonkeyPatch):
    port.send()
    await port.until(1)
    for step_s in (-3600, 3600, 10**9):
        read = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: read() + step_s * 10**9)  # noqa: B023
        count = len(port.taken)
        before_ns, _ = port.send()
        await port.until(count + 1)
        arrived_ns = port.taken[-1][1]
        assert before_ns - (EVERY_S * 3e9 + 100 * MS) <= arrived_ns <= time.monotonic_ns()
        monkeypatch.undo()


async def test_while_audio_comes_it_is_taken_together(port: Port):
    looks = 0
    look = Arrivals._take

    def counted(self: Arrivals) -> tuple[bool, bool]:
        nonlocal looks
        looks += 1
        return look(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Arrivals, "_take", counted)
        begun = time.monotonic()
        for number in range(400):
            port.send()
            await asyncio.sleep(max(0, begun + 0.0025 * (number + 1) - time.monotonic()))
        await port.until(400)
        took_s = time.monotonic() - begun
    assert looks <= 2 * took_s / EVERY_S + 3


async def test_after_a_pause_the_first_is_taken_at_once(arrivals: Arrivals, port: Port):
    for _ in range(5):
        count = len(port.taken)
        port.send()
        await port.until(count + 1)
        await asyncio.sleep(5 * EVERY_S)
        assert arrivals._timer is None  # the event loop watches


async def test_what_is_no_audio_is_taken_at_once(arrivals: Arrivals):
    port = Port(arrivals, audio=False)
    for number in range(20):
        port.send()
        await port.until(number + 1)
        assert arrivals._timer is None
    port.close()


async def test_many_at_once_are_all_taken_in_order(port: Port):
    said = [b"%d" % number for number in range(3000)]
    for data in said:
        port.send(data)
    await port.until(len(said))
    assert [data for data, _ in port.taken] == said
    times = [arrived_ns for _, arrived_ns in port.taken]
    assert times == sorted(times)


async def test_what_waits_can_be_taken_now(arrivals: Arrivals, port: Port):
    other = Port(arrivals)
    for each in (port, other):
        each.send()
        await each.until(1)
        each.send(b"1")
        each.send(b"2")
    arrivals.take_waiting()
    assert [[data for data, _ in each.taken[1:]] for each in (port, other)] == [[b"1", b"2"]] * 2
    other.close()


async def test_nothing_is_kept_of_sockets_that_are_gone(arrivals: Arrivals):
    before = descriptors()
    for closed_while in ("watched", "looked at"):
        ports = [Port(arrivals) for _ in range(3)]
        if closed_while == "looked at":
            for each in ports:
                each.send()
                await each.until(1)
        for each in ports:
            each.close()
        assert descriptors() == before
    arrivals.take_waiting()
    await asyncio.sleep(3 * EVERY_S)


async def test_a_socket_may_go_while_it_is_read(arrivals: Arrivals):
    ports = [Port(arrivals) for _ in range(3)]
    gone = ports[1]
    take = ports[0]._received

    def and_close(data: bytes, address: tuple[str, int], arrived_ns: int) -> bool:
        gone.close()
        arrivals.take_waiting()  # as whoever is told may do
        return take(data, address, arrived_ns)

    arrivals.remove(ports[0]._in)
    assert arrivals.add(ports[0]._in, and_close)
    for each in ports:
        each.send()
    await ports[0].until(1)
    await ports[2].until(1)
    for each in ports:
        each.close()


async def test_what_one_datagram_leads_to_leaves_the_others_heard(arrivals: Arrivals):
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    port, raising = Port(arrivals), Port(arrivals)

    def broken(data: bytes, address: tuple[str, int], arrived_ns: int) -> bool:
        raise RuntimeError("a fault of ours")

    arrivals.remove(raising._in)
    assert arrivals.add(raising._in, broken)
    for number in range(20):
        raising.send()
        port.send()
        await port.until(number + 1)
        await asyncio.sleep(EVERY_S / 2)
    assert told
    port.close()
    raising.close()


async def test_where_the_kernel_has_no_room_nothing_waits(arrivals: Arrivals):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        assert not arrivals.add(sock, lambda *_: True)
    await asyncio.sleep(0)


async def test_what_came_before_a_recording_was_stopped_is_in_it(tmp_path: Path):
    room = RtpRoom()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        async with RtcEngine(room) as engine:
            assert await engine.join_channel(None, "calls", "recorder") is ErrorCode.OK
            config = AudioRecordingConfiguration(tmp_path / "call.wav", sample_rate=16000)
            assert await engine.start_audio_recording_with_config(config) is ErrorCode.OK
            payload = g711(np.full(160, 1000, np.int16))
            begun = time.monotonic()
            for number in range(50):
                head = np.array([0x80000000 | number, 160 * number, 7], ">u4").tobytes()
                if number < 49:
                    await asyncio.sleep(max(0, begun + 0.02 * number - time.monotonic()))
                sender.sendto(head + payload, room.address)
            # The last two were sent in one go, and nobody had the time to look at them.
            assert await engine.stop_audio_recording() is ErrorCode.OK
            report = engine.last_recording_report
    assert report is not None
    (source,) = report.sources
    assert source.arrived_s == pytest.approx(1.0)
