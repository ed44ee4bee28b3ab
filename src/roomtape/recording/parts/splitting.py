"""Cutting a live recording into numbered files, between two of its units."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ...storage.disk import Disk
from ...storage.live import LiveFile
from ...storage.sink import Sink, SinkFormat
from ...storage.sinks import create_live
from ...types import NS_PER_S, part_path
from ...types.clock import Clock
from ...types.errors import FileError
from ..reservation import in_words
from ..writing.disk_writer import DiskWriter

logger = logging.getLogger(__name__)

_TRY_AGAIN_NS = 10 * NS_PER_S


class Splitter:
    """A :class:`~..writing.disk_writer.Cut` that comes again and again: all on the writer's thread.

    Files end at whole multiples of the split, so that no error grows; and before a unit that would
    make one too large. Where the next file cannot be begun, it goes on in the old one, and is tried
    again.

    Args:
        path: Of the recording; its files are numbered.
        writer: Who writes it.
        sink_format: Of it.
        split_s, split_bytes: How long a file is, and how large at most; None for any.
        on_next: Told of the file that is over, which is the listener's now, and of what it is
            written to from now on.
        on_failure: Told once why it cannot be cut, until it could be again.
        clock, disk: When, and where.
    """

    def __init__(
        self,
        path: Path,
        writer: DiskWriter,
        sink_format: SinkFormat,
        *,
        split_s: float | None,
        split_bytes: int | None,
        on_next: Callable[[Sink, Sink], None],
        on_failure: Callable[[str], None],
        clock: Clock,
        disk: Disk,
    ) -> None:
        self._path = path
        self._writer = writer
        self._format = sink_format
        self._split_s = split_s
        self._split_bytes = split_bytes
        self._on_next = on_next
        self._on_failure = on_failure
        self._clock = clock
        self._disk = disk
        self._not_before_ns = 0
        self._told = False
        self.number = 1
        """Of the file that is written to."""

    def room(self, units: list[bytes]) -> int:
        """See :class:`~..writing.disk_writer.Cut`."""
        sink = self._writer.sink
        if not units or sink.samples == sink.first_sample:
            return max(1, len(units))  # no file is empty
        if self._clock.now_ns() < self._not_before_ns:
            return len(units)
        return min(self._by_time(sink, len(units)), self._by_size(sink, units))

    def take(self) -> bool:
        """Begin the next file."""
        before = self._writer.sink
        path = part_path(self._path, self.number + 1)
        file: LiveFile | None = None
        try:
            file = create_live(path, self._format, self._disk, first_sample=before.samples)
            file.place()
        except (OSError, FileError) as error:
            if file is not None:
                with suppress(OSError):
                    file.discard()
            self._not_before_ns = self._clock.now_ns() + _TRY_AGAIN_NS
            if not self._told:
                self._told = True
                self._on_failure(f"{path} cannot be begun: {in_words(error)}")
            return True
        self._told = False
        self.number += 1
        self._writer.succeed(file)
        self._on_next(before, file)
        return True

    def _by_time(self, sink: Sink, count: int) -> int:
        if self._split_s is None:
            return count
        rate_hz, unit = self._format.rate_hz, self._format.unit_samples
        # Each at the next border of units; the first one that comes after the file's beginning.
        number = int(sink.first_sample / (self._split_s * rate_hz))
        end = 0
        while end <= sink.first_sample:
            number += 1
            end = -(-round(number * self._split_s * rate_hz) // unit) * unit
        return max(0, end - sink.samples) // unit

    def _by_size(self, sink: Sink, units: list[bytes]) -> int:
        if self._split_bytes is None:
            return len(units)
        assert isinstance(sink, LiveFile)
        left = self._split_bytes - sink.file_bytes
        for count, unit in enumerate(units):
            left -= len(unit)
            if left < 0:
                return count
        return len(units)
