"""The recorder processes of a worker: started, told what to do, started again when they die."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from .recorder.messages import MOST_BYTES, Beat, Message, from_line, to_line

logger = logging.getLogger(__name__)

_SILENT_S = 30.0
"""A process beats every second; one that does not for so long hangs, and is killed."""
_MOST_RESTARTS, _WITHIN_S = 5, 300.0
"""More than that, and something is wrong that no restart repairs."""
_KEYS = ("LIVEKIT_", "ROOMTAPE_REDIS")
_FINISH_S = 90.0
"""A disk that hangs is waited for by the recorder itself, for a minute."""


class ProcessState(enum.Enum):
    """Where in its life a recorder process is."""

    STARTING = "starting"
    UP = "up"
    """It has been heard."""
    CLOSING = "closing"
    """It was told that there are no more orders."""
    GONE = "gone"


MAY_FOLLOW: dict[ProcessState, frozenset[ProcessState]] = {
    ProcessState.STARTING: frozenset({ProcessState.UP, ProcessState.CLOSING, ProcessState.GONE}),
    ProcessState.UP: frozenset({ProcessState.CLOSING, ProcessState.GONE}),
    ProcessState.CLOSING: frozenset({ProcessState.GONE}),
    ProcessState.GONE: frozenset({ProcessState.STARTING}),
}
"""One that is gone is started again, in its place."""


class _Slot:
    """The place of one process: one lives in it at a time."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.state = ProcessState.GONE
        self.process: asyncio.subprocess.Process | None = None
        self.heard = 0.0
        self.beat = Beat(0.0, 0.0, 0.0)
        self.deaths: deque[float] = deque(maxlen=_MOST_RESTARTS)

    def enter(self, state: ProcessState) -> bool:
        if state not in MAY_FOLLOW[self.state]:
            return False
        self.state = state
        return True


class Processes:
    """A fixed number of them. :meth:`start`, then :meth:`close`.

    Args:
        count: How many.
        first_line: What each is told first: how to record. It may hold secrets.
        on_message: Called with each message and the number of its process.
        on_gone: Called when a process has died; its recordings are left on disk.
        on_hopeless: Called once they die too often.
    """

    def __init__(
        self,
        count: int,
        first_line: bytes,
        *,
        on_message: Callable[[int, Message], None],
        on_gone: Callable[[int], None],
        on_hopeless: Callable[[], None],
    ) -> None:
        self._slots = [_Slot(number) for number in range(count)]
        self._first_line = first_line
        self._on_message = on_message
        self._on_gone = on_gone
        self._on_hopeless = on_hopeless
        self._tasks: list[asyncio.Task[None]] = []
        self.restarts = 0

    def start(self) -> None:
        """Start them all, and look after them."""
        self._tasks = [asyncio.create_task(self._keep_up(slot)) for slot in self._slots]
        self._tasks.append(asyncio.create_task(self._look_after()))

    def up(self) -> list[int]:
        """The numbers of those that can take orders."""
        return [slot.number for slot in self._slots if slot.state is ProcessState.UP]

    def beats(self) -> dict[int, Beat]:
        """What each has told last."""
        return {slot.number: slot.beat for slot in self._slots}

    def send(self, number: int, message: Message) -> bool:
        """Tell one; False if it is not there."""
        slot = self._slots[number]
        process = slot.process
        if slot.state is not ProcessState.UP or process is None or process.stdin is None:
            return False
        process.stdin.write(to_line(message))
        return True

    async def close(self) -> None:
        """Let them finish what they write, and end. Any number of times."""
        for slot in self._slots:
            slot.enter(ProcessState.CLOSING)
            if slot.process is not None and slot.process.stdin is not None:
                slot.process.stdin.close()
        keepers, self._tasks = self._tasks, []
        if not keepers:
            return
        _, late = await asyncio.wait(keepers[:-1], timeout=_FINISH_S)
        if late:
            logger.warning("%d recorder processes do not end, and are killed", len(late))
        for slot in self._slots:
            _kill(slot)
        for task in keepers:
            task.cancel()
        await asyncio.wait(keepers)

    async def _keep_up(self, slot: _Slot) -> None:
        """One process after the other."""
        while slot.enter(ProcessState.STARTING):
            try:
                await self._run(slot)
            except OSError as error:
                logger.error("a recorder process cannot be started: %s", error)
            closing = slot.state is ProcessState.CLOSING
            slot.enter(ProcessState.GONE)
            slot.process = None
            self._on_gone(slot.number)
            if closing:
                return
            now = time.monotonic()
            slot.deaths.append(now)
            if len(slot.deaths) == _MOST_RESTARTS and now - slot.deaths[0] < _WITHIN_S:
                logger.error(
                    "recorder process %d has died %d times within %.0f s",
                    slot.number,
                    _MOST_RESTARTS,
                    now - slot.deaths[0],
                )
                self._on_hopeless()
                return
            self.restarts += 1
            await asyncio.sleep(min(2 ** (len(slot.deaths) - 1), 16) / 2)

    async def _run(self, slot: _Slot) -> None:
        slot.process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "roomtape.fleet.recorder",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MOST_BYTES,
            env=_environment(),
            start_new_session=True,  # Ctrl-C on the terminal is for the worker alone
        )
        slot.heard = time.monotonic()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(self._first_line)
            while line := await process.stdout.readline():
                slot.heard = time.monotonic()
                slot.enter(ProcessState.UP)
                message = from_line(line)
                if isinstance(message, Beat):
                    slot.beat = message
                elif message is not None:
                    self._on_message(slot.number, message)
        finally:
            if slot.state is not ProcessState.CLOSING:
                _kill(slot)
            code = await process.wait()
        if slot.state is not ProcessState.CLOSING:
            how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            logger.error("recorder process %d ended %s", slot.number, how)

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(1)
            for slot in self._slots:
                silent_s = time.monotonic() - slot.heard
                if slot.process is not None and silent_s > _SILENT_S:
                    logger.error(
                        "recorder process %d says nothing for %.0f s, and is killed",
                        slot.number,
                        silent_s,
                    )
                    _kill(slot)


def _kill(slot: _Slot) -> None:
    process = slot.process
    if process is not None and process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def _environment() -> dict[str, str]:
    """Where this package is, also where it is not installed; and no keys."""
    source = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")]))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_KEYS)}
    return {**kept, "PYTHONPATH": path}
