"""Fuzzing what is said over the network: ``python -m soak.fuzz_protocol --minutes 60``.

Clients say anything to a server, a server says anything to a client, and a participant says
anything to another, by the protocol's grammar and beside it (hypothesis). Wrong is: an exception
that nobody expected, a step of the event loop that takes 50 ms of a processor, and memory,
descriptors or threads that grow. Exits 1 if anything was.
"""

# ruff: noqa: T201 (it prints what it does)

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roomtape.rooms.rtp import bounds
from roomtape.rooms.webrtc import peer
from roomtape.server import signalling
from roomtape.server.room import Room
from support import fuzzed_peer, fuzzed_server, fuzzing_server

from .figures import MOST_GROWTH_MIB, Figures, growth_mib

STALL_S = 0.05
EACH = 100
MOST_GROWN = 8
"""Descriptors and threads: pools fill, and connections close a little later."""


class Complaints(logging.Handler):
    """What is logged as an error, or raised where nobody hears it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(self.format(record))

    def take(self) -> list[str]:
        heard, self.heard = self.heard, []
        return heard


class Steps:
    """The longest step of an event loop, in seconds of its own thread's processor time: neither
    what other programs take of the machine is in it, nor collecting the garbage of whoever invents
    all this."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.what = ""
        self._began_s: float | None = None
        self._seen = ""
        self._collecting_s = 0.0
        self._over = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        steps, run_step = self, asyncio.events.Handle._run
        here = threading.get_ident()

        def timed(handle: asyncio.events.Handle) -> None:
            steps._began_s, steps._collecting_s, steps._seen = time.thread_time(), 0.0, ""
            run_step(handle)
            took_s = time.thread_time() - steps._began_s - steps._collecting_s
            steps._began_s = None
            if took_s > steps.longest_s:
                steps.longest_s, steps.what = took_s, steps._seen

        def collecting(phase: str, _: dict[str, int]) -> None:
            now_s = time.thread_time()
            steps._collecting_s += -now_s if phase == "start" else now_s

        watcher = threading.Thread(target=self._look, args=(here,), daemon=True)
        with patch.object(asyncio.events.Handle, "_run", timed):
            gc.callbacks.append(collecting)
            watcher.start()
            try:
                yield
            finally:
                self._over.set()
                watcher.join()
                gc.callbacks.remove(collecting)

    def _look(self, thread: int) -> None:
        """Where a long step is, from beside it."""
        same, count = None, 0
        while not self._over.wait(0.01):
            began_s = self._began_s
            count = count + 1 if began_s is not None and began_s == same else 0
            same = began_s
            if count == 3:
                self._seen = "".join(traceback.format_stack(sys._current_frames()[thread])[-8:])


def fuzzed(count: int) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Settings of one round: new examples each time, and none remembered."""
    health = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count, deadline=None, database=None, suppress_health_check=health)


class Rounds:
    """One kind of fuzzing after the other."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self._runner = asyncio.Runner()
        self._server = fuzzed_server.FuzzedServer(self._runner)
        self._fake = fuzzing_server.FuzzingServer(self._runner)
        self._runner.run(self._server.start())
        self._runner.run(self._fake.start())
        self.tried = 0

    def close(self) -> None:
        self._runner.run(self._fake.stop())
        self._runner.run(self._server.stop())
        self._runner.close()

    def figures(self) -> Figures:
        async def now() -> Figures:
            return Figures.now()

        return self._runner.run(now())

    def server(self) -> None:
        """Clients say anything to a server."""

        @fuzzed(EACH)
        @given(frames=fuzzed_server.FRAMES, joined=st.booleans())
        def round_of_it(frames: list[Any], joined: bool) -> None:
            self._runner.run(self._server.suffer(frames, joined=joined))
            self._judge(self._server.wrong)

        round_of_it()

    def client(self) -> None:
        """A server says anything to a client."""

        @fuzzed(EACH)
        @given(frames=fuzzing_server.FRAMES, welcomed=st.sampled_from([True, True, True, False]))
        def round_of_it(frames: list[Any], welcomed: bool) -> None:
            self._fake.say_next(frames, welcomed=welcomed)
            self._runner.run(self._fake.be_listened_to())
            self._judge(self._fake.wrong)

        round_of_it()

    def peer(self) -> None:
        """A participant says anything to another."""

        @fuzzed(EACH)
        @given(messages=st.lists(fuzzed_peer.MESSAGES, min_size=1, max_size=8))
        def round_of_it(messages: list[dict[str, Any]]) -> None:
            raised: list[dict[str, Any]] = []
            asyncio.run(fuzzed_peer.told(messages, raised))
            self._judge([str(each) for each in raised])

        round_of_it()

    def _judge(self, wrong: list[str]) -> None:
        self.tried += 1
        seen = [*wrong, *self._complaints.take()]
        wrong.clear()
        assert not seen, seen


def fuzz(minutes: float) -> Iterator[str]:
    """Until the time is over; what was wrong."""
    complaints, steps = Complaints(), Steps()
    logging.getLogger().addHandler(complaints)
    # Here somebody breaks off all the time; and offers and joins are not waited for.
    for name in ("roomtape.rooms.webrtc.peer", bounds.logger.name):
        logging.getLogger(name).disabled = True
    until = time.monotonic() + 60 * minutes
    seen: list[Figures] = []
    with (
        patch.multiple(peer, TURN_S=0.0, OFFERS_A_SECOND=1000.0),
        patch.object(Room, "lets_in", lambda *_: True),
        # A loop that stands still while the next examples are invented answers no ping.
        patch.object(signalling, "HEARTBEAT_S", 36000.0),
        steps.watched(),
    ):
        rounds = Rounds(complaints)
        told, worst_s = time.monotonic(), 0.0
        while time.monotonic() < until:
            for kind in (rounds.server, rounds.client, rounds.peer):
                try:
                    kind()
                except BaseException as error:
                    if isinstance(error, KeyboardInterrupt):
                        raise
                    yield f"{kind.__name__}: " + "".join(traceback.format_exception(error))
            worst_s = max(worst_s, steps.longest_s)
            if steps.longest_s > STALL_S:
                yield f"a step of the loop took {1000 * steps.longest_s:.0f} ms: {steps.what}"
            if time.monotonic() - told > 60 or not seen:
                told = time.monotonic()
                seen.append(rounds.figures())
                longest = f"longest step {1000 * worst_s:.1f} ms"
                print(f"{rounds.tried} sequences, {longest}; {seen[-1]}", flush=True)
            steps.longest_s = 0.0
        rounds.close()
    grown = growth_mib(seen)
    if grown > MOST_GROWTH_MIB:
        yield f"memory grew by {grown:.1f} MiB"
    for what in ("descriptors", "threads"):
        first, last = getattr(seen[min(1, len(seen) - 1)], what), getattr(seen[-1], what)
        if last > first + MOST_GROWN:
            yield f"{what} grew from {first} to {last}"
    print(f"{rounds.tried} sequences; memory grew by {grown:.1f} MiB", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak.fuzz_protocol", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    threading.excepthook = lambda told: logging.getLogger("soak").error("%r", told)
    count = 0
    for wrong in fuzz(options.minutes):
        count += 1
        print(f"WRONG: {wrong}", flush=True)
    print(f"{count} violations", flush=True)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
