"""How long the machine kept tests waiting, so that they are judged by what they did themselves.

The kernel counts for every thread how long it was ready to run while others had the processors
(``schedstat``), and for the whole machine how long its host had them ("steal"). Neither is ever the
doing of the code under test: a loop that blocks itself, a lock, a slow disk wait for no processor.
So a test may forgive what is measured here, and nothing more.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BUSY_S = 0.1
"""A test that fails in real time while it was kept waiting for longer has one more try."""
_LOOK_S = 0.1
_WAITS_FOR_S = 0.4  # half a second, less what a tick takes of it
_STARVED = 0.25
"""A thread that waits for so large a share of the time has no rest in which to catch up."""
_PRECEDENCE = -10
_NS_PER_S = 1e9


class Lag:
    """What the machine cost a stretch of time.

    Attributes:
        worst_s: The longest that a thread of this process, or of one that it started, was kept
            waiting until it had time to catch up: so late may anything have been done.
    """

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._streaks_s: dict[str, float] = {}
        self._looked_s = time.monotonic()
        self._seen = _waits_ns()

    @property
    def late_s(self) -> float:
        """How much audio may have come too late for a recording, which waits for it for half a
        second: none, unless the machine was that busy."""
        return self.worst_s if self.worst_s > _WAITS_FOR_S else 0.0

    def include(self, other: Lag) -> None:
        """What this one is to forgive began earlier, under ``other``."""
        self.worst_s = max(self.worst_s, other.worst_s)

    def look(self) -> None:
        """Take in what happened since the last look."""
        now_s, seen = time.monotonic(), _waits_ns()
        since_s, self._looked_s = now_s - self._looked_s, now_s
        streaks_s: dict[str, float] = {}
        for thread, waited_ns in seen.items():
            # One that is new has waited since it began, and that was since the last look.
            waited_s = max(0, waited_ns - self._seen.get(thread, 0)) / _NS_PER_S
            before_s = self._streaks_s.get(thread, 0.0)
            self.worst_s = max(self.worst_s, before_s + waited_s)
            if waited_s > _STARVED * since_s:
                streaks_s[thread] = before_s + waited_s
        self._seen |= seen
        self._streaks_s = streaks_s


@contextmanager
def measured_lag() -> Iterator[Lag]:
    """Measure while the block runs; what is yielded grows meanwhile, ten times a second. A verdict
    on what went on until now calls its ``look`` first."""
    lag, over = Lag(), threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_S):
            lag.look()

    watcher = threading.Thread(target=watch, name="lag", daemon=True)
    watcher.start()
    try:
        yield lag
    finally:
        over.set()
        watcher.join()
        lag.look()


def take_precedence() -> None:
    """From now on this process, and those that it starts, come before others that compete for the
    processors, as far as the user may ask for that: root may. For a worker of many only: it becomes
    a session of its own, since Linux shares the processors among sessions first (autogroup).
    """
    with suppress(OSError):
        os.setsid()
        with open("/proc/self/autogroup", "w") as file:  # noqa: PTH123
            file.write(str(_PRECEDENCE))
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _PRECEDENCE)


def _waits_ns() -> dict[str, int]:
    """How long each thread of this process and of its descendants has waited for a processor; and
    the machine, for its host. Empty where the kernel does not say."""
    waits = {"host": _stolen_ns()}
    processes = [str(os.getpid())]
    while processes:
        tasks = f"/proc/{processes.pop()}/task"
        # Processes and threads end at any moment.
        with suppress(OSError):
            for thread in os.listdir(tasks):  # noqa: PTH208
                with suppress(OSError):
                    waits[thread] = int(_read(f"{tasks}/{thread}/schedstat").split()[1])
                    processes += _read(f"{tasks}/{thread}/children").split()
    return waits


def _stolen_ns() -> int:
    with suppress(OSError, IndexError):
        ticks = int(_read("/proc/stat").split(maxsplit=9)[8])
        return round(ticks * _NS_PER_S / os.sysconf("SC_CLK_TCK") / (os.cpu_count() or 1))
    return 0


def _read(path: str) -> str:
    with open(path) as file:  # noqa: PTH123 (a hundred are read ten times a second)
        return file.read()
