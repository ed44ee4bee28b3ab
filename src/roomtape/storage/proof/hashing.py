"""The SHA-256 of a file: while it is written, or from the disk."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..disk import Disk

_PIECE = 1 << 20
_MOST_WAITING = 8


class Digest:
    """Of nothing: see :func:`hashing`."""

    def add(self, piece: bytes) -> None:
        """Go on with ``piece``."""

    def hexdigest(self) -> str:
        """The SHA-256 of all that was added, or nothing; nothing can be added after it."""
        return ""

    def end(self) -> None:
        """Any number of times."""


@contextmanager
def hashing(wanted: bool) -> Iterator[Digest]:
    """What hashes pieces as they are written, or where that is not wanted, does nothing."""
    digest = _Sha256Beside() if wanted else Digest()
    try:
        yield digest
    finally:
        digest.end()


class _Sha256Beside(Digest):
    """Hashes what is written on a thread of its own: while the disk has one piece, this has the one
    before."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = threading.Thread(
            target=self._run, name="roomtape-hash", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:  # no more threads: then one after the other
            self._thread = None

    def add(self, piece: bytes) -> None:
        if self._thread is None:
            self._digest.update(piece)
        else:
            self._pieces.put(piece)

    def hexdigest(self) -> str:
        self.end()
        return self._digest.hexdigest()

    def end(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._pieces.put(None)
            thread.join()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._digest.update(piece)


def sha256_of(
    fd: int,
    disk: Disk,
    *,
    go_on: Callable[[], bool] = lambda: True,
) -> str:
    """The SHA-256 of a file, in hex, as it is on the disk now.

    Args:
        fd: The file, open for reading.
        disk: Where it is.
        go_on: Asked before each megabyte.

    Raises:
        OSError: It cannot be read.
        InterruptedError: ``go_on`` said no.
    """
    digest, offset = hashlib.sha256(), 0
    while go_on():
        piece = disk.read_at(fd, _PIECE, offset)
        digest.update(piece)
        offset += len(piece)
        if len(piece) < _PIECE:
            return digest.hexdigest()
    raise InterruptedError("it took too long to read the file")
