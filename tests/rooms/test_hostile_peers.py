"""Peers that do their worst, beside some whose recording must be as if they had not been there.

All attacks of one peer are made in one recording, one after the other, after a stretch without any:
that is the control. Then come many peers at once, in a recording of their own.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from roomtape.server.app import RoomServer
from roomtape.types import NS_PER_S, IntervalKind, SourceReport
from support.hostile import ATTACKS
from support.lag import Lag
from support.processes import SUPPORT, descriptors, python_process, tell
from support.recorded_call import RATE_HZ, Recorded, RecordingClient, Takes
from support.room_attack import resident_mib
from support.room_listener import voice

pytestmark = [pytest.mark.network, pytest.mark.alone]

SECONDS = float(os.environ.get("ROOMTAPE_ATTACK_SECONDS", "2.5"))
PEERS = int(os.environ.get("ROOMTAPE_ATTACK_PEERS", "4"))
"""By default little, so that the tests stay short: 60 and 20 are twenty peers for a minute."""
SPEECH_S = 4 * SECONDS + 150
SETTLE_S = 10.0
BUSY = 0.1
"""Whoever waits for a processor for so much of the time hears late, attacked or not."""
MOST_MIB = 40.0
"""What an attack may cost in memory: one track of a flood took 126 ..."""
MIB_A_PEER = 2.0
"""... and beside it each more peer: the server, in the same process, has 64 KiB of its messages
that it does not read yet, and that is 2,400 of the smallest ..."""
MOST_GROWTH_MIB = 10.0
"""... and from the first half of it to the second, when all that is in use."""
ALONE = tuple(name for name in ATTACKS if name != "everything")


@dataclass
class Window:
    """A stretch of a recording.

    Attributes:
        start_s, end_s: In the recording.
        waited_s: How long other work on this machine kept the recorder and those who speak from a
            processor, if that was much of the time; else 0.
        mib: How much memory the recorder held in the end.
        most_mib: And at most.
        half_mib: At most in the first half.
        descriptors, decoders: What the recorder had open in the end.
        log: What it logged, as a warning or worse.
    """

    start_s: float
    end_s: float
    waited_s: float
    mib: float
    most_mib: float
    half_mib: float
    descriptors: int
    decoders: int
    log: list[str]


@dataclass
class Attacked:
    """A recording with its windows, the control first. What there was before is in ``before``."""

    recorded: Recorded
    before: Window
    windows: dict[str, Window]
    lag: Lag = field(default_factory=Lag)

    def missing_s(self, uid: str, window: Window) -> float:
        """How much of somebody is missing in it."""
        return sum(
            max(0.0, min(end_s, window.end_s) - max(start_s, window.start_s))
            for kind in (IntervalKind.LOST, IntervalKind.LATE, IntervalKind.STALLED)
            for start_s, end_s in self.recorded.intervals(uid, kind)
        )


class Watch(logging.Handler):
    """Looks at this process while a window lasts."""

    def __init__(self, client: RecordingClient, speakers: Sequence[subprocess.Popen[str]]) -> None:
        super().__init__(logging.WARNING)
        self._client = client
        self._speakers = [process.pid for process in speakers]
        self._log: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._log.append(self.format(record))

    @asynccontextmanager
    async def window(self, windows: dict[str, Window], name: str) -> AsyncIterator[None]:
        self._log.clear()
        start_s, waited_s, mib = self._client.now_s, self._waited(), [resident_mib()]
        looking = asyncio.create_task(self._look(mib))
        yield
        end_s, waited_s = self._client.now_s, self._waited() - waited_s
        looking.cancel()
        await settled(0, decoders)
        if windows:
            await settled(windows["before"].descriptors, descriptors)
        windows[name] = Window(
            start_s,
            end_s,
            waited_s if waited_s > BUSY * (end_s - start_s) else 0.0,
            resident_mib(),
            max(*mib, resident_mib()),
            max(mib[: (len(mib) + 1) // 2]),
            descriptors(),
            decoders(),
            list(self._log),
        )

    async def _look(self, mib: list[float]) -> None:
        while True:
            mib.append(resident_mib())
            await asyncio.sleep(0.2)

    def _waited(self) -> float:
        stats = [Path(f"/proc/{each}/schedstat").read_text() for each in ("self", *self._speakers)]
        return sum(int(each.split()[1]) for each in stats) / NS_PER_S


async def settled(was: int, count: Callable[[], int]) -> int:
    """Wait until a count is back where it was; give what it is."""
    for _ in range(round(SETTLE_S / 0.1)):
        if count() <= was:
            break
        await asyncio.sleep(0.1)
    return count()


def decoders() -> int:
    """Threads that decode a track of somebody who is gone; each who speaks has one."""
    there = sum("decoder" in thread.name for thread in threading.enumerate())
    return max(0, there - len(asyncio_speakers))


asyncio_speakers: list[str] = []
"""Who speaks in the recording that is made."""


async def record(
    directory: Path, speakers: Sequence[str], attacks: Sequence[str], *, control_s: float
) -> Attacked:
    """Record some who speak, each a process of its own: a control first, then each of ``attacks``,
    a line for those who do it (``support/hostile.py``)."""
    asyncio_speakers[:] = speakers
    windows: dict[str, Window] = {}
    speak, harm = str(SUPPORT / "room_client.py"), str(SUPPORT / "hostile.py")
    async with (
        RoomServer("127.0.0.1", 0) as server,
        RecordingClient(server.url, "x") as client,
        AsyncExitStack() as stack,
    ):
        processes = [
            await stack.enter_async_context(
                python_process(speak, server.url, "x", uid, str(SPEECH_S), ready="joined")
            )
            for uid in speakers
        ]
        hostile = await stack.enter_async_context(
            python_process(harm, server.url, "x", "x-recorder", str(SECONDS), ready="ready")
        )
        for uid in speakers:
            await client.told.until("joined", uid)
        # What the first call of a process keeps is not an attack's doing.
        await attacked(hostile, "ssrcs")
        await asyncio.sleep(1.0)
        gc.collect()
        await client.start(directory / "x.wav")
        watch = Watch(client, processes)
        logging.getLogger("roomtape").addHandler(watch)
        async with watch.window(windows, "before"):
            await asyncio.sleep(0.5)
        async with watch.window(windows, "control"):
            await asyncio.sleep(control_s)
        for each in attacks:
            async with watch.window(windows, each):
                await attacked(hostile, each)
                await asyncio.sleep(0.3)
        logging.getLogger("roomtape").removeHandler(watch)
        await asyncio.sleep(0.6)  # what came last is mixed
        recorded = await client.stop()
    return Attacked(recorded, windows.pop("before"), windows)


async def attacked(hostile: subprocess.Popen[str], names: str) -> None:
    tell(hostile, names)
    assert hostile.stdout is not None
    async with asyncio.timeout(10 * SECONDS + 120):
        line = await asyncio.to_thread(hostile.stdout.readline)
    assert line == "over\n", line


def assert_unharmed(attacked: Attacked, name: str, speakers: Sequence[str]) -> None:
    """In one window no more is missing than in the control, and nothing is kept."""
    window, control = attacked.windows[name], attacked.windows["control"]
    for uid in speakers:
        missing_s, usual_s = (attacked.missing_s(uid, each) for each in (window, control))
        assert missing_s <= usual_s + window.waited_s, f"{uid} lacks {missing_s:.2f} s"
    assert window.descriptors <= attacked.before.descriptors
    assert window.decoders == 0
    peers = name.count(",") + 1
    assert window.most_mib <= attacked.before.mib + MOST_MIB + MIB_A_PEER * (peers - 1)
    assert SECONDS < 20 or window.most_mib <= window.half_mib + MOST_GROWTH_MIB
    told = "\n".join(window.log)
    assert "never retrieved" not in told
    assert "Traceback" not in told
    assert len(window.log) < 40 * peers, "what is over a bound is told once"


def assert_whole(stay: SourceReport, attacked: Attacked) -> None:
    """Nobody is missing what the intervals do not tell."""
    waited_s = sum(each.waited_s for each in attacked.windows.values())
    usual_s = attacked.missing_s(stay.name, attacked.windows["control"])
    assert stay.lost_s + stay.late_s <= 2 * usual_s + waited_s
    missing_s = attacked.recorded.report.duration_s - stay.received_s
    assert missing_s <= 0.1 + 2 * usual_s + waited_s


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Takes:
    async def scene() -> dict[str, Attacked]:
        directory = tmp_path_factory.mktemp("hostile")
        return {"all": await record(directory, ["bob"], ALONE, control_s=SECONDS)}

    return Takes(scene)


@pytest.fixture
def alone(takes: Takes, attempt: int, lag: Lag) -> Attacked:
    return takes.of(attempt, lag)["all"]


@pytest.mark.parametrize("name", ALONE)
def test_one_peer_that_does_its_worst_harms_nobody_else(name: str, alone: Attacked) -> None:
    assert_unharmed(alone, name, ["bob"])


def test_after_all_of_them_somebody_else_has_lost_nothing(alone: Attacked) -> None:
    (bob,) = alone.recorded.stays("bob")
    assert_whole(bob, alone)


async def test_many_that_do_their_worst_at_once_harm_nobody_else(tmp_path: Path) -> None:
    """Each floods with candidates, offers, sections, states, and packets."""
    honest = ["alice", "bob"]
    everything = ",".join(["everything"] * PEERS)
    began_s = time.monotonic()
    attacked = await record(tmp_path, honest, [everything], control_s=min(SECONDS, 10.0))
    window = attacked.windows[everything]
    missing_s = {uid: attacked.missing_s(uid, window) for uid in honest}
    took_s = time.monotonic() - began_s
    print(f"{PEERS} peers, {took_s:.0f} s: missing {missing_s}, {window}")  # noqa: T201
    assert_unharmed(attacked, everything, honest)
    for uid in honest:
        (stay,) = attacked.recorded.stays(uid)
        assert_whole(stay, attacked)
    if not window.waited_s:
        for uid in honest:
            assert_every_word(attacked, uid)


def assert_every_word(attacked: Attacked, uid: str) -> None:
    """Each half second of what somebody said is heard at its place, in the control as well as
    beside the attack. (Two speak at once, each their own noise: half of it is the other's.)"""
    pcm = attacked.recorded.pcm.astype(np.float64)
    said = voice(uid, SPEECH_S).astype(np.float64)
    size = 1 << (len(pcm) + len(said)).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(said, size) * np.conj(np.fft.rfft(pcm, size)), size)
    lag = int(np.argmax(likeness[: len(said)]))
    piece, slack = RATE_HZ // 2, RATE_HZ // 50
    for start in range(piece, len(pcm) - 2 * piece, piece):
        heard = pcm[start : start + piece]
        around = said[lag + start - slack : lag + start + piece + slack]
        found = np.correlate(around, heard, "valid").max()
        alike = found / (np.linalg.norm(heard) * np.linalg.norm(around[slack:-slack]))
        assert alike > 0.3, f"{uid} is not heard at {start / RATE_HZ:.1f} s ({alike:.2f})"
