"""One beat for all recorders of an event loop.

A recorder mixes five times a second. With a timer, a task and a future of its own for each, a
machine that holds many recordings would spend more on waking up than on mixing. So the recorders
of a loop share one timer, and what is due is done by the threads of one pool.

The beat is the event loop's on purpose. While the loop is blocked (or the whole process stopped),
what is sent to the recordings waits in sockets and queues, and the mix must wait for it as well.
The time that was missed is made up for at twice the speed, so that the audio still finds its place
unmixed.

Where nothing has come for a second, a recorder *rests*: four of five beats are left out, until one
finds that something has come.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

from ..types import NS_PER_S
from ..types.clock import Clock, usable_cores

logger = logging.getLogger(__name__)

TICK_NS = NS_PER_S // 5

_SLOTS = 4
"""Recorders take turns, so that no moment has the work of all of them."""
_SLOT_NS = TICK_NS // _SLOTS

_SETTLES = 5
"""So many beats find nothing before a recorder rests: by then, all that was heard is written."""
_RESTS = 5
"""Of so many beats it has one then: a second of silence at once."""

_TOGETHER = 8
"""So many take turns, stage by stage. Mixing has code and tables of its own, and so has encoding;
this way, they stay in the core's cache. And no disk's thread wakes up in the middle of it all."""

Stage = Callable[[], "Stage | None"]
"""Some work, after which the next stage may follow."""
Tick = Callable[[int], Stage | None]
"""The first stage, called with the time on the clock up to which the audio can have come."""


class Beat:
    """One recorder's part in the scheduler, until :meth:`stop`."""

    def __init__(
        self, scheduler: Scheduler, tick: Tick, nothing_came: Callable[[], bool], slot: int
    ) -> None:
        self._scheduler = scheduler
        self.tick = tick
        self._nothing_came = nothing_came
        self._beats = self._quiet_beats = 0
        self.slot = slot
        self.pending = False
        """Waits for a thread, or is at it: on a machine that is too slow, beats are left out."""
        self.stopped = False

    def is_due(self) -> bool:
        """Whether it has this beat: it is not at the one before, and does not rest."""
        if self.pending:
            return False
        self._beats += 1
        self._quiet_beats = self._quiet_beats + 1 if self._nothing_came() else 0
        return self._quiet_beats <= _SETTLES or self._beats % _RESTS == 0

    def stop(self) -> None:
        """No more; it may be at it for a last time. Any number of times."""
        if not self.stopped:
            self.stopped = True
            self._scheduler.remove(self)

    def begin(self, until_ns: int) -> Stage | None:
        """The first stage, if it was not stopped meanwhile."""
        return None if self.stopped else self.go_on(lambda: self.tick(until_ns))

    def go_on(self, stage: Stage) -> Stage | None:
        """Do one stage. One that raises is logged, and holds up nobody else."""
        try:
            return stage()
        except Exception:
            logger.exception("a stage of mixing failed")
            return None


class Scheduler:
    """Beats as long as anybody listens. Belongs to one event loop, but is none of its tasks:
    whoever cancels them all does not silence it.

    Args:
        clock: Whose time it is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slots: list[list[Beat]] = [[] for _ in range(_SLOTS)]
        self._pending: deque[tuple[Beat, int]] = deque()
        self._beating = False
        self._short_of_threads = False
        self._slot = 0
        self._turns = 0  # slots from the last wake-up to the next
        self._due_ns = self._woken_ns = self._until_ns = self._step_ns = 0

    @classmethod
    def shared(cls, clock: Clock) -> Scheduler:
        """The one of everybody with this clock on the running loop."""
        schedulers = _schedulers.setdefault(asyncio.get_running_loop(), {})
        return schedulers.setdefault(clock, cls(clock))

    def add(self, tick: Tick, nothing_came: Callable[[], bool] = lambda: False) -> Beat:
        """Call ``tick`` every :data:`TICK_NS` from now on, never twice at the same time, on some
        thread (in a script: right in its turn).

        Args:
            tick: One beat.
            nothing_came: Whether a beat can wait, since it would find nothing to do. Asked on the
                loop's thread, while no beat is under way; it must be quick.
        """
        slot = min(range(_SLOTS), key=lambda index: len(self._slots[index]))
        beat = Beat(self, tick, nothing_came, slot)
        self._slots[slot].append(beat)
        if not self._beating:
            self._beating = True
            self._due_ns = self._woken_ns = self._until_ns = self._clock.now_ns()
            self._step_ns = 0
            self._sleep()
        return beat

    def remove(self, beat: Beat) -> None:
        """Let go of a beat that was stopped."""
        self._slots[beat.slot].remove(beat)

    def _sleep(self) -> None:
        """Until the next slot that anybody is in."""
        slot = self._slot
        self._turns = next(
            (turn for turn in range(1, _SLOTS) if self._slots[(slot + turn) % _SLOTS]), _SLOTS
        )
        self._due_ns += self._turns * _SLOT_NS
        self._clock.call_at(self._due_ns, self._wake)

    def _wake(self) -> None:
        if not any(self._slots):
            self._beating = False
            _schedulers[asyncio.get_running_loop()].pop(self._clock)
            return
        now_ns = self._clock.now_ns()
        if now_ns - self._due_ns > TICK_NS:
            self._due_ns = now_ns
        # One long step is a stall, and what came meanwhile still waits: go on slowly. Several are a
        # machine that is too slow: then there is nothing to wait for.
        last_ns, self._step_ns = self._step_ns, now_ns - self._woken_ns
        usual_ns = max(self._turns * _SLOT_NS, min(self._step_ns, last_ns))
        self._until_ns, self._woken_ns = min(now_ns, self._until_ns + 2 * usual_ns), now_ns
        self._slot = (self._slot + self._turns) % _SLOTS
        try:
            self._beat(self._slots[self._slot], self._until_ns)
        finally:
            self._sleep()

    def _beat(self, beats: list[Beat], until_ns: int) -> None:
        due = [beat for beat in beats if beat.is_due()]
        for beat in due:
            beat.pending = True
            self._pending.append((beat, until_ns))
        wanted = max(len(due), min(1, len(self._pending)))
        try:
            for _ in range(min(wanted, usable_cores())):
                self._clock.start(self._work)
        except RuntimeError as error:  # what waits is tried again at the next wake-up
            if not self._short_of_threads:
                logger.warning("mixing waits, since no thread is to be had: %s", error)
            self._short_of_threads = True
        else:
            self._short_of_threads = False

    def _work(self) -> None:
        while self._pending:
            begun: list[tuple[Beat, Stage | None]] = []
            while len(begun) < _TOGETHER:
                try:
                    beat, until_ns = self._pending.popleft()
                except IndexError:  # these were the last, or another thread was faster
                    break
                begun.append((beat, beat.begin(until_ns)))
            while begun:
                for beat, stage in begun:
                    beat.pending = stage is not None
                begun = [(beat, beat.go_on(stage)) for beat, stage in begun if stage is not None]


_schedulers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Clock, Scheduler]] = (
    WeakKeyDictionary()
)
