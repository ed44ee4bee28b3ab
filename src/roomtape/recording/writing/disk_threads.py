"""The threads that write, for all recordings of a process.

One of them does it all, as long as every disk is quick: a process that holds many recordings would
spend more on waking a thread of each up than on what that has to do. Nobody waits for another one's
disk: what has waited for a tenth of a second is taken by another thread, and one is always spare.
Where every disk hangs, each recording has a thread of its own.
"""

from __future__ import annotations

import enum
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache

logger = logging.getLogger(__name__)

IDLE_S = 1.0
"""Whoever was not called for so long is called all the same."""
_PATIENCE_S = 0.1
_LOOK_S = 0.25
"""A spare thread looks so often whether anything has waited too long."""
_SPARE = 2
_LOOKS = 20
"""So often a thread that is one too many looks before it ends."""


class _State(enum.Enum):
    """An errand's. From each, what may follow is in the comment."""

    RESTING = enum.auto()  # WAITING
    WAITING = enum.auto()  # AT_WORK
    AT_WORK = enum.auto()  # RESTING, CALLED, OVER
    CALLED = enum.auto()  # at work, and woken meanwhile: WAITING, OVER
    OVER = enum.auto()


class Errand:
    """Somebody's work: one thread at a time is at it. Made by :meth:`DiskThreads.begin`."""

    def __init__(self, threads: DiskThreads, work: Callable[[bool], bool]) -> None:
        self._threads = threads
        self.work = work
        self.state = _State.RESTING

    def wake(self) -> None:
        """There is something to do. From any thread; it never blocks."""
        self._threads.wake(self)


class DiskThreads:
    """Threads that are there as long as anybody has an errand."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # over all of it, and never held for long
        self._errands = 0
        self._waiting: deque[tuple[float, Errand]] = deque()  # and since when
        self._resting: dict[Errand, float] = {}  # until when, in that order
        self._idle = self._threads = 0
        self._leader: object | None = None
        """The turn of the thread that does it all, while it is at it."""

    @classmethod
    def shared(cls) -> DiskThreads:
        """The one of everybody in this process."""
        return _shared()

    def begin(self, work: Callable[[bool], bool]) -> Errand:
        """One more to be worked for.

        Args:
            work: Called after each :meth:`Errand.wake`, and after a second without one, which the
                argument says. Gives whether it goes on.

        Raises:
            RuntimeError: There are no threads to be had.
        """
        errand = Errand(self, work)
        with self._changed:
            while self._threads < _SPARE or not self._idle:
                self._start()
            self._errands += 1
            self._resting[errand] = time.monotonic() + IDLE_S
        return errand

    def wake(self, errand: Errand) -> None:
        """See :meth:`Errand.wake`."""
        with self._changed:
            if errand.state is _State.RESTING:
                del self._resting[errand]
                self._wait(errand, time.monotonic())
                if self._leader is None:
                    self._changed.notify()
            elif errand.state is _State.AT_WORK:
                errand.state = _State.CALLED

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="roomtape-disk", daemon=True)
        self._threads += 1
        self._idle += 1
        try:
            thread.start()
        except RuntimeError:
            self._threads -= 1
            self._idle -= 1
            raise

    def _run(self) -> None:
        looks = 0
        with self._changed:
            while self._errands and (self._idle <= _SPARE or looks < _LOOKS):
                now = time.monotonic()
                found = self._next(now)
                if found is not None:
                    looks = 0
                    self._work(*found)
                else:
                    looks += 1
                    self._changed.wait(self._look_s(now))
            self._threads -= 1
            self._idle -= 1

    def _next(self, now: float) -> tuple[Errand, bool] | None:
        """What this thread is to do now, and whether nobody asked for it."""
        patience_s = 0.0 if self._leader is None else _PATIENCE_S
        if self._waiting and now - self._waiting[0][0] >= patience_s:
            return self._waiting.popleft()[1], False
        if self._resting:
            errand, until = next(iter(self._resting.items()))
            if now - until >= patience_s:
                del self._resting[errand]
                return errand, True
        return None

    def _look_s(self, now: float) -> float:
        """So long there is nothing to do here, if nobody wakes this thread."""
        if self._leader is not None or not self._resting:
            return _LOOK_S
        return min(_LOOK_S, max(0.0, next(iter(self._resting.values())) - now))

    def _work(self, errand: Errand, unasked: bool) -> None:
        """Do it, without the lock."""
        self._leader = turn = object()
        self._idle -= 1
        if not self._idle:
            try:
                self._start()
            except RuntimeError as error:  # the next turn tries again
                logger.warning("no thread to stand by for a disk that hangs: %s", error)
        errand.state = _State.AT_WORK
        self._changed.release()
        goes_on = False
        try:
            goes_on = errand.work(unasked)
        except Exception:  # it says of itself that it raises nothing
            logger.exception("a recording's writing failed")
        finally:
            self._changed.acquire()
        self._idle += 1
        if self._leader is turn:
            self._leader = None
        if not goes_on:
            self._end(errand)
        elif errand.state is _State.CALLED:
            self._wait(errand, time.monotonic())
        else:
            errand.state = _State.RESTING
            self._resting[errand] = time.monotonic() + IDLE_S

    def _wait(self, errand: Errand, now: float) -> None:
        errand.state = _State.WAITING
        self._waiting.append((now, errand))

    def _end(self, errand: Errand) -> None:
        errand.state = _State.OVER
        self._errands -= 1
        if not self._errands:
            self._changed.notify_all()


@lru_cache(maxsize=1)
def _shared() -> DiskThreads:
    return DiskThreads()


if hasattr(os, "register_at_fork"):
    # The parent's threads are not in the child.
    os.register_at_fork(after_in_child=_shared.cache_clear)
