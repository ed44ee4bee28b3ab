"""The file of a recording before there is a recording: reserved, then placed, or given up."""

from __future__ import annotations

import asyncio
import shlex
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from ..errors import FileError, OpenFileError
from ..storage import create_sink
from ..storage.disk import Disk
from ..storage.naming import unrecovered_rings
from ..storage.sink import Sink, SinkFormat

MOST_START_S = 20.0
"""A disk that has not answered for so long is told as one that cannot be recorded to. (One that was
asleep takes 5 to 15 s to wake.)"""


class Reservation:
    """:meth:`reserve` once, then :meth:`place` or :meth:`discard` once. Whatever fails or is
    cancelled leaves nothing behind and what was there untouched, at the latest when a disk that
    hangs answers again.

    Args:
        path: The file.
        sink_format: What will be written to it.
        disk: Where it goes.
    """

    def __init__(self, path: Path, sink_format: SinkFormat, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._sink: Sink | None = None
        self._placed = False
        self.sink_format = sink_format
        self._left_rings: list[Path] = []

    async def reserve(self) -> None:
        """Take from the disk what is needed; nothing shows at the file's name.

        Raises:
            OpenFileError: It cannot be had, or the disk does not answer.
        """

        def create() -> None:
            self._left_rings = unrecovered_rings(self._path)
            self._sink = create_sink(self._path, self.sink_format, self._disk)

        try:
            await _on_disk(create, self._discard_now)
        except (OSError, FileError) as error:
            raise self._cannot_open(error) from None

    async def place(self) -> Sink:
        """Take the file's name, unless it was taken before.

        Raises:
            OpenFileError: It cannot be had, or the disk does not answer.
        """
        sink = self._sink
        assert sink is not None
        if self._placed:
            return sink

        def place() -> None:
            try:
                sink.place()
            except OSError:
                sink.discard()
                raise

        try:
            await _on_disk(place, sink.discard)
        except OSError as error:
            raise self._cannot_open(error) from None
        self._placed = True
        return sink

    async def discard(self) -> None:
        """Give back what :meth:`reserve` took."""
        with suppress(TimeoutError):  # the thread goes on
            await _on_disk(self._discard_now, lambda: None)

    def left_rings(self) -> list[str]:
        """What crashed cyclic recordings of the same name left, and what to do about it."""
        return [
            f"{ring} is what a crashed cyclic recording left; it is kept. Finish it with: "
            f"roomtape recover {shlex.quote(str(ring))}"
            for ring in self._left_rings
        ]

    def _discard_now(self) -> None:
        if self._sink is not None:
            self._sink.discard()

    def _cannot_open(self, error: OSError | FileError) -> OpenFileError:
        return OpenFileError(f"cannot record to {self._path}: {in_words(error)}")


def in_words(error: Exception) -> str:
    """What the system says, without its numbers."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


async def _on_disk(work: Callable[[], None], undo: Callable[[], None]) -> None:
    """Do ``work`` on a thread of its own, and wait for that no longer than MOST_START_S.

    Where nobody waits any more, or the one who waits was cancelled, the thread itself undoes the
    work as soon as the disk has let it be done.

    Raises:
        TimeoutError: The disk did not answer.
        OSError, FileError: From ``work``.
    """
    outcome: Future[None] = Future()  # cancelled when nobody waits for it any more
    ended: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except Exception as error:
            if outcome.set_running_or_notify_cancel():
                outcome.set_exception(error)
        else:
            if outcome.set_running_or_notify_cancel():
                outcome.set_result(None)
            else:
                undo()
        finally:
            ended.set_result(None)

    # Not of the event loop's pool: not even the end of the program waits for a disk that hangs.
    threading.Thread(target=run, name="roomtape-open", daemon=True).start()
    answer = asyncio.wrap_future(outcome)
    try:
        await asyncio.wait([answer], timeout=MOST_START_S)
    except asyncio.CancelledError:
        if outcome.cancel():
            await asyncio.wait([asyncio.wrap_future(ended)], timeout=MOST_START_S)
        elif outcome.exception() is None:  # it was done in this very moment
            with suppress(TimeoutError):
                await _on_disk(undo, lambda: None)
        raise
    if not answer.done() and outcome.cancel():
        raise TimeoutError(f"the disk has not answered for {MOST_START_S:g} s")
    await answer
