"""One recording in several files, one after the other: who is written to, and reading across them.

Sinks take turns where a cyclic recording becomes a live one or the other way, and where a long one
is split. A sample is in one of them, and whoever reads a stretch need not know in which.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from ..live import LiveFile
from ..sink import Sink
from .readers import Pieces, Reader
from .stretches import Stretches

MOST_KEPT = 1000
"""So many files that are finished can be read back from."""


class _Link:
    """What one sink has: the samples ``[sink.first_sample, stop)``; None while it grows."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.stop: int | None = None


class Chain:
    """:meth:`succeed` belongs to the thread that writes; everything else may come from any.

    Args:
        sink: The first one.
    """

    def __init__(self, sink: Sink) -> None:
        self._turn = threading.Lock()
        self._links = [_Link(sink)]
        self.sink = sink
        """The one that is written to."""

    @property
    def first_sample(self) -> int:
        """The earliest sample from which on all are there, or were until a ring let go of them."""
        with self._turn:
            return self._unbroken()[0].sink.first_sample

    def succeed(self, sink: Sink) -> None:
        """Write to this one from now on. It may begin earlier: it has the samples from there on
        itself, then."""
        with self._turn:
            self._links[-1].stop = self.sink.samples
            if isinstance(self.sink, LiveFile):
                self.sink.followed = True
            if sink.first_sample < self.sink.samples:
                self._links.pop()
            self._links = [*self._links, _Link(sink)][-MOST_KEPT:]
            self.sink = sink

    def reader(self, first: int, stop: int) -> Reader:
        """Read the samples ``[first, stop)``, wherever they are; see
        :meth:`~roomtape.storage.sink.Sink.reader`."""
        return _ChainReader(first, stop, self._open)

    def live_files_with(self, stretches: Stretches) -> list[Path]:
        """The live files in which any of these samples are; of the latest thousand files."""
        with self._turn:
            links = tuple(self._links)
        return [
            link.sink.path
            for link in links
            if isinstance(link.sink, LiveFile)
            and stretches.within(link.sink.first_sample, link.stop or link.sink.samples)
        ]

    def _open(self, first: int, stop: int) -> tuple[Reader, _Link]:
        """A reader of the file that has ``first``, or of the earliest."""
        while True:
            with self._turn:
                links = self._unbroken()
                having = [each for each in links if each.sink.first_sample <= first]
                link = having[-1] if having else links[0]
            try:
                return link.sink.reader(first, stop), link
            except OSError:
                with self._turn:
                    if link in self._links:
                        raise  # or it has given way meanwhile

    def _unbroken(self) -> list[_Link]:
        """The last links that follow on each other without a gap."""
        first = len(self._links) - 1
        while first and self._links[first - 1].stop == self._links[first].sink.first_sample:
            first -= 1
        return self._links[first:]


class _ChainReader(Reader):
    def __init__(
        self,
        first: int,
        stop: int,
        open_next: Callable[[int, int], tuple[Reader, _Link]],
    ) -> None:
        self._open_next = open_next
        self._reader, self._link = open_next(first, stop)
        super().__init__(self._reader.position, stop)

    def read(self) -> Pieces:
        while True:
            ends = self._link.stop  # asked first: what is written by then is read below
            pieces = self._reader.read()
            self.position = self._reader.position
            if pieces or ends is None or self.position < ends or self.position >= self.stop:
                return pieces
            self._reader.close()
            self._reader, self._link = self._open_next(self.position, self.stop)
            if self._reader.position > self.position:
                raise OSError(f"sample {self.position} of the recording is gone")
            if self.released:
                self._reader.release()

    def release(self) -> None:
        super().release()
        self._reader.release()

    def close(self) -> None:
        self._reader.close()
        self.released = True

    def let_go(self) -> None:
        self._reader.let_go()
