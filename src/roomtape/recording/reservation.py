"""The file of a recording before there is a recording: reserved, placed, and taken or given up."""

from __future__ import annotations

import asyncio
import enum
import logging
import shlex
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from ..storage.disk import Disk
from ..storage.naming import unrecovered_rings
from ..storage.sink import Sink, SinkFormat
from ..storage.stems.directory import StemDirectory
from ..types.errors import FileError, OpenFileError, StateError

logger = logging.getLogger(__name__)

MOST_START_S = 20.0
"""A disk that has not answered for so long is told as one that cannot be recorded to. (One that was
asleep takes 5 to 15 s to wake.)"""


class _State(enum.Enum):
    NEW = "new"
    RESERVING = "being reserved"
    RESERVED = "reserved"
    PLACING = "being placed"
    PLACED = "placed"
    TAKEN = "taken"
    """By the recording, which closes it from now on."""
    GIVEN_UP = "given up"


_MAY_FOLLOW = {
    _State.NEW: {_State.RESERVING, _State.GIVEN_UP},
    _State.RESERVING: {_State.RESERVED, _State.GIVEN_UP},
    _State.RESERVED: {_State.PLACING, _State.GIVEN_UP},
    _State.PLACING: {_State.PLACED, _State.GIVEN_UP},
    _State.PLACED: {_State.TAKEN, _State.GIVEN_UP},
    _State.TAKEN: set[_State](),
    _State.GIVEN_UP: set[_State](),
}


class Reservation:
    """:meth:`reserve`, :meth:`place`, :meth:`take`, each once and in this order; or, at any time
    before it is taken and as often as anybody likes, :meth:`discard`.

    Whatever fails or is cancelled leaves nothing behind and what was there untouched, at the latest
    when a disk that hangs answers again. All methods belong to one event loop.

    Args:
        path: The file.
        sink_format: What will be written to it.
        disk: Where it goes.
        first: Done on the disk's thread before anything is reserved: what else must be there. What
            it raises that is no OSError, :meth:`reserve` raises.
        stems: The directory of its stems; None if it has none.
    """

    def __init__(
        self,
        path: Path,
        sink_format: SinkFormat,
        disk: Disk,
        *,
        first: Callable[[], None] = lambda: None,
        stems: Path | None = None,
    ) -> None:
        # Loaded by now, with all that a recorder needs.
        from ..storage.sinks import create_sink  # noqa: PLC0415

        self._create_sink = create_sink
        self._path = path
        self._disk = disk
        self._first = first
        self._state = _State.NEW
        self._sink: Sink | None = None
        self._stems_path = stems
        self._stems = None if stems is None else StemDirectory(stems, disk)
        self._turn = threading.Lock()  # one thing at a time is done to the sink
        self.sink_format = sink_format
        self._left_rings: list[Path] = []

    async def reserve(self) -> None:
        """Take from the disk what is needed; nothing shows at the file's name.

        Raises:
            OpenFileError: It cannot be had, or the disk does not answer.
            StateError: It was reserved before.
        """
        self._enter(_State.RESERVING)

        def create() -> None:
            self._first()
            self._left_rings = unrecovered_rings(self._path)
            if self._stems is not None:
                self._stems.reserve()
            self._sink = self._create_sink(
                self._path, self.sink_format, self._disk, stems=self._stems_path
            )

        await self._do(create)
        self._enter(_State.RESERVED)

    async def place(self) -> None:
        """Take the file's name, moving what stands there aside. Does nothing if it was taken.

        Raises:
            OpenFileError: It cannot be had, or the disk does not answer.
            StateError: Nothing is reserved.
        """
        if self._state is _State.PLACED:
            return
        self._enter(_State.PLACING)
        sink = self._sink
        assert sink is not None
        await self._do(sink.place)
        self._enter(_State.PLACED)

    def take(self) -> Sink:
        """Hand over what was placed: whoever takes it closes it.

        Raises:
            StateError: It is not placed, or somebody took it.
        """
        self._enter(_State.TAKEN)
        assert self._sink is not None
        return self._sink

    async def discard(self) -> None:
        """Give back what is reserved; does nothing once it is taken."""
        if self._state not in (_State.TAKEN, _State.GIVEN_UP):
            self._enter(_State.GIVEN_UP)
            with suppress(OSError):  # it took too long, and the thread goes on; or there is none
                await _on_disk(self._discard_now, self._discard_now)

    @property
    def aside(self) -> str:
        """Where what stood at the file's name is now, in words; empty if nothing stood there, or
        still stands there."""
        return "" if self._sink is None else aside_in_words(self._path, self._sink.aside)

    def left_rings(self) -> list[str]:
        """What crashed cyclic recordings of the same name left, and what to do about it."""
        return [
            f"{ring} is what a crashed cyclic recording left; it is kept. Finish it with: "
            f"roomtape recover {shlex.quote(str(ring))}"
            for ring in self._left_rings
        ]

    def _enter(self, state: _State) -> None:
        if state not in _MAY_FOLLOW[self._state]:
            raise StateError(
                f"{self._path}: what is {self._state.value} cannot be {state.value} now"
            )
        logger.debug("%s: %s, then %s", self._path, self._state.value, state.value)
        self._state = state

    async def _do(self, work: Callable[[], None]) -> None:
        """One step on the disk; whatever fails in it, or ends the wait for it, gives all up."""

        def in_turn() -> None:
            with self._turn:
                if self._state is not _State.GIVEN_UP:
                    work()

        try:
            await _on_disk(in_turn, self._discard_now)
        except BaseException as error:
            self._state = _State.GIVEN_UP
            if isinstance(error, OSError | FileError):
                raise OpenFileError(f"cannot record to {self._path}: {in_words(error)}") from None
            raise
        if self._state is _State.GIVEN_UP:  # by somebody else, meanwhile
            raise OpenFileError(f"cannot record to {self._path}: the start was called off")

    def _discard_now(self) -> None:
        with self._turn:
            if self._sink is not None:
                self._sink.discard()
            if self._stems is not None:
                self._stems.discard()


def aside_in_words(path: Path, aside: Path | None) -> str:
    """What was moved aside for a recording; empty if nothing was."""
    return f"what stood at {path} is {aside} now" if aside is not None else ""


def in_words(error: BaseException) -> str:
    """What the system says, without its numbers."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


async def _on_disk(work: Callable[[], None], undo: Callable[[], None]) -> None:
    """Do ``work`` on a thread of its own, and wait for that no longer than MOST_START_S.

    Unless this returns, ``undo`` was called, or will be, by the thread itself, as soon as the disk
    has let it go on.

    Raises:
        TimeoutError: The disk did not answer.
        OSError, FileError: From ``work``, or there is no thread to be had.
    """
    outcome: Future[None] = Future()  # cancelled when nobody waits for it any more
    ended: Future[None] = Future()

    def run() -> None:
        try:
            work()
        except Exception as error:
            undo()
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
    thread = threading.Thread(target=run, name="roomtape-open", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        undo()
        raise OSError(f"{error}: too many threads") from None
    answer = asyncio.wrap_future(outcome)
    try:
        await asyncio.wait([answer], timeout=MOST_START_S)
    except asyncio.CancelledError:
        if outcome.cancel():
            await asyncio.wait([asyncio.wrap_future(ended)], timeout=MOST_START_S)
        elif outcome.exception() is None:  # it was done in this very moment
            with suppress(OSError):
                await _on_disk(undo, lambda: None)
        raise
    if not answer.done() and outcome.cancel():
        raise TimeoutError(f"the disk has not answered for {MOST_START_S:g} s")
    await answer
