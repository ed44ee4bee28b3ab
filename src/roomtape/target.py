"""The file of a recording before there is a recording: reserved, then placed, or given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .errors import FileError, OpenFileError
from .files import create_sink
from .files.disk import Disk
from .files.naming import unrecovered_rings
from .files.sink import Sink, SinkFormat


class Target:
    """:meth:`reserve` once, then :meth:`place` or :meth:`discard` once. Whatever fails or is
    cancelled leaves nothing behind and what was there untouched.

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
        self.left_rings: list[Path] = []
        """What crashed cyclic recordings of the same name left."""

    async def reserve(self) -> None:
        """Take from the disk what is needed; nothing shows at the file's name.

        Raises:
            OpenFileError: It cannot be had.
        """

        def create() -> None:
            self.left_rings = unrecovered_rings(self._path)
            self._sink = create_sink(self._path, self.sink_format, self._disk)

        try:
            await _to_its_end(create)
        except (OSError, FileError) as error:
            raise self._cannot_open(error) from None
        except asyncio.CancelledError:
            await self.discard()
            raise

    async def place(self) -> Sink:
        """Take the file's name, unless it was taken before.

        Raises:
            OpenFileError: It cannot be had.
        """
        sink = self._sink
        assert sink is not None
        if self._placed:
            return sink
        try:
            await _to_its_end(sink.place)
        except OSError as error:
            await self.discard()
            raise self._cannot_open(error) from None
        except asyncio.CancelledError:
            self._placed = True
            await self.discard()
            raise
        self._placed = True
        return sink

    async def discard(self) -> None:
        """Give back what :meth:`reserve` took. Once it has its name, an empty file stays there."""
        if self._sink is None:
            return
        if self._placed:
            await asyncio.to_thread(self._sink.abandon)
        await asyncio.to_thread(self._sink.discard)

    def _cannot_open(self, error: OSError | FileError) -> OpenFileError:
        return OpenFileError(f"cannot record to {self._path}: {in_words(error)}")


def in_words(error: Exception) -> str:
    """What the system says, without its numbers."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


async def _to_its_end(work: Callable[[], None]) -> None:
    """Do work on a thread. Whoever is cancelled meanwhile is so when it is done: only then is it
    known what must be undone."""
    doing = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        with suppress(OSError, FileError, asyncio.CancelledError):
            doing.result()
        raise
