"""What a recorder process does: it obeys the lines on its standard input, and tells on its output.

It never decides which rooms it records, and it outlives its parent by no more than it takes to
finish its files: the end of its input ends it. Signals that end a whole group of processes are
its parent's to obey.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from ...rooms import Room
from .messages import MOST_BYTES, Beat, Message, Record, Stop, from_line, to_line
from .room_recording import RoomRecording, Setting

logger = logging.getLogger(__name__)

_BEAT_S = 1.0
_MOST_WAITING_BYTES = 4 << 20
"""A parent that reads nothing is told no more beats."""
_FLUSH_TRIES = 100


@dataclass(frozen=True, slots=True)
class Entrance:
    """How to get into rooms.

    Attributes:
        room: Makes a way into one.
        token: What lets a recorder in, for a room and an identity.
    """

    room: Callable[[], Room]
    token: Callable[[str, str], str | None]


class RecorderProcess:
    """Runs recordings as it is told to. Call :meth:`run` once.

    Args:
        entrance: How to get into rooms.
        setting: How they are recorded.
        tell: Takes what is told.
    """

    def __init__(
        self, entrance: Entrance, setting: Setting, tell: Callable[[Message], None]
    ) -> None:
        self._entrance = entrance
        self._setting = setting
        self._tell = tell
        self._rooms: dict[tuple[str, int], RoomRecording] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._recorded_s = 0.0  # of those that are over

    async def run(self, orders: asyncio.StreamReader) -> None:
        """Obey until there are no more orders; then finish every file."""
        beats = asyncio.create_task(self._beat())
        try:
            while line := await orders.readline():
                self.obey(from_line(line))
        finally:
            for recording in tuple(self._rooms.values()):
                recording.stop(Stop("", 0, "the worker has ended"))
            if self._tasks:
                await asyncio.wait(self._tasks)
            beats.cancel()

    def obey(self, order: Message | None) -> None:
        """Do what one line says."""
        match order:
            case Record():
                self._record(order)
            case Stop():
                recording = self._rooms.get((order.room, order.lease))
                if recording is not None:
                    recording.stop(order)
            case _:
                logger.warning("a line was not understood")

    def _record(self, order: Record) -> None:
        key = (order.room, order.lease)
        if key in self._rooms:
            logger.warning("lease %d came twice", order.lease, extra={"room": order.room})
            return
        recording = self._rooms[key] = RoomRecording(
            order,
            self._entrance.room(),
            self._entrance.token(order.room, order.identity),
            self._setting,
            self._tell,
        )
        task = asyncio.create_task(self._run(key, recording))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, key: tuple[str, int], recording: RoomRecording) -> None:
        try:
            ended = await recording.run()
        finally:
            del self._rooms[key]
        self._recorded_s += ended.duration_s
        self._tell(ended)

    async def _beat(self) -> None:
        expected = time.monotonic()
        while True:
            expected += _BEAT_S
            await asyncio.sleep(max(0.0, expected - time.monotonic()))
            late_s = max(0.0, time.monotonic() - expected)
            expected += late_s
            going_on = sum(each.recorded_s for each in self._rooms.values())
            self._tell(Beat(self._recorded_s + going_on, late_s, time.process_time()))


async def serve_orders(
    make: Callable[[Callable[[Message], None]], RecorderProcess],
    orders: BinaryIO,
    told: BinaryIO,
) -> None:
    """Connect a process to the pipes of its parent, and run it to its end."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, _leave_to_parent)
    reader = asyncio.StreamReader(limit=MOST_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), orders)
    writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, told)

    def tell(message: Message) -> None:
        waiting = writer.get_write_buffer_size()
        if not writer.is_closing() and (waiting < _MOST_WAITING_BYTES or type(message) is not Beat):
            writer.write(to_line(message))

    await make(tell).run(reader)
    for _ in range(_FLUSH_TRIES):  # what ended is to be known
        if writer.is_closing() or not writer.get_write_buffer_size():
            break
        await asyncio.sleep(0.05)


def _leave_to_parent() -> None:
    pass


def own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for messages alone: whoever prints, prints to standard error."""
    orders = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    told = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return orders, told
