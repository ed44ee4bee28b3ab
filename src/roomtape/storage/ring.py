"""The cyclic ring: a file that always holds the last seconds of a recording.

It lies beside the target as ``name.ext.ring`` and is allocated whole at the start, so that a full
disk shows at once, and so that a crash leaves it behind. Layout::

    8192 bytes   the head, twice (see ring_head): format, rate, target, ...
    slot 0       number (u64), bytes (u32), CRC-32 (u32) of number, bytes and payload; payload
    slot 1       ...

A slot of two channels can be as large as one of one channel at twice the rate. So that no slot is
taken for one of another kind, the CRC-32 of two channels starts from another value.

Unit ``n`` of the recording goes to slot ``n mod slots``. A slot tells by its own number and
checksum what it holds, so there is no index that a crash could leave behind the data, and a
slot that a power cut tore in two is known.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

from .disk import Disk
from .finishing import write_finished
from .naming import create_ring, remove_ours
from .ring_head import RING_HEADER_BYTES, SLOT_HEAD_BYTES, RingLayout
from .sink import Finished, SinkFormat

__all__ = [
    "RING_HEADER_BYTES",
    "Ring",
    "RingLayout",
    "pack_slot",
    "read_slots",
    "unpack_slot",
    "written_slots",
]

logger = logging.getLogger(__name__)

_AT_ONCE = 1 << 18
_SLOT_HEAD = struct.Struct("<QII")
assert _SLOT_HEAD.size == SLOT_HEAD_BYTES
_MOST_S = 10 * 366 * 24 * 3600
"""No recording lasts ten years: the number of a slot that says so is damaged, or a stranger's."""


def pack_slot(number: int, unit: bytes, channels: int = 1) -> bytes:
    """A slot's bytes, without the padding behind them."""
    return _SLOT_HEAD.pack(number, len(unit), _check(number, unit, channels)) + unit


def unpack_slot(
    slot: bytes | memoryview, channels: int = 1
) -> tuple[int, bytes | memoryview] | None:
    """The number and the unit in a slot, a view if that is one; None if it holds nothing whole."""
    number, length, check = _SLOT_HEAD.unpack_from(slot)
    unit = slot[_SLOT_HEAD.size : _SLOT_HEAD.size + length]
    if not length or len(unit) != length:
        return None
    if _check(number, unit, channels) != check:
        return None
    return number, unit


def _check(number: int, unit: bytes | memoryview, channels: int) -> int:
    head = struct.pack("<QI", number, len(unit))
    return zlib.crc32(unit, zlib.crc32(head, channels - 1))


class Ring:
    """A cyclic recording in the making: see :class:`~.sink.Sink` for the contract."""

    def __init__(self, path: Path, sink_format: SinkFormat, disk: Disk) -> None:
        self.path = path
        self.samples = 0
        self._disk = disk
        self._layout = RingLayout(path, sink_format)
        head = self._layout.packed()
        self._fd, self.ring_path = create_ring(path, disk)
        self._next = 0
        self._last_bytes = 0
        try:
            disk.allocate(self._fd, self._layout.file_bytes)
            disk.write_at(self._fd, head, 0)
            disk.sync(self._fd)
            disk.sync_directory(path.parent)
        except OSError:
            self.discard()
            raise

    def place(self) -> None:
        """Nothing stands at the target until :meth:`finish`."""

    def write(self, units: list[bytes]) -> None:
        layout = self._layout
        channels = layout.sink_format.channels
        done = 0
        while done < len(units):
            # As many as fit before the ring begins anew, in one write.
            first = self._next
            room = layout.slots - first % layout.slots
            batch = units[done : done + room]
            data = b"".join(
                pack_slot(first + index, unit, channels).ljust(layout.slot_bytes, b"\0")
                for index, unit in enumerate(batch)
            )
            self._disk.write_at(self._fd, data, layout.offset(first))
            self._next += len(batch)
            self._last_bytes = len(batch[-1])
            self.samples = layout.sink_format.samples_in(self._next, self._last_bytes)
            done += len(batch)

    def sync(self) -> None:
        self._disk.sync(self._fd)

    def finish(self) -> Finished:
        layout = self._layout
        first_sample = max(0, self.samples - layout.window_samples)
        first_unit = first_sample // layout.sink_format.unit_samples
        finished = write_finished(
            self.path,
            layout.sink_format,
            self._units(first_unit),
            skip_samples=first_sample - first_unit * layout.sink_format.unit_samples,
            first_unit=first_unit,
            disk=self._disk,
        )
        # The recording is safe; a ring that cannot be removed makes it no worse.
        fd, self._fd = self._fd, -1
        try:
            remove_ours(fd, self.ring_path, self._disk)
        except OSError as error:
            logger.warning("%s is finished, but its ring cannot be removed: %s", self.path, error)
        # Without its name the ring is gone; freeing its blocks takes as long as copying them, and
        # nobody needs to wait for that.
        free = threading.Thread(target=self._close_quietly, args=(fd,), name="roomtape-free")
        try:
            free.start()
        except RuntimeError:  # no more threads; then somebody waits for it
            self._close_quietly(fd)
        return finished

    def abandon(self) -> Finished:
        """The ring stays, for ``roomtape recover``."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(Exception):
                self._disk.sync(fd)
            self._close_quietly(fd)
        kept = min(self.samples, self._layout.window_samples)
        there = self._layout.file_bytes if os.path.lexists(self.ring_path) else 0
        return Finished(self.ring_path, kept if there else 0, self.samples - kept, there)

    def discard(self) -> None:
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        with contextlib.suppress(OSError):
            remove_ours(fd, self.ring_path, self._disk)
        self._close_quietly(fd)

    def let_go(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _close_quietly(self, fd: int) -> None:
        with contextlib.suppress(OSError):
            self._disk.close(fd)

    def _units(self, first: int) -> Iterator[bytes | memoryview]:
        for number, unit in read_slots(self._fd, self._layout, first, self._next, self._disk):
            if unit is None:
                raise OSError(f"slot {number} of the ring reads back damaged")
            yield unit


def written_slots(fd: int, layout: RingLayout, disk: Disk) -> Iterator[tuple[int, int]]:
    """The number and the length of every unit that is whole, wherever the ring begins."""
    at_once = max(1, _AT_ONCE // layout.slot_bytes)
    most = _MOST_S * layout.sink_format.rate_hz // layout.sink_format.unit_samples
    for first in range(0, layout.slots, at_once):
        data = memoryview(disk.read_at(fd, at_once * layout.slot_bytes, layout.offset(first)))
        if not data:
            return  # the ring was cut
        for index in range(min(at_once, layout.slots - first)):
            found = _unit_in(data, index, layout)
            if found is None or found[0] % layout.slots != first + index or found[0] > most:
                continue
            yield found[0], len(found[1])


def read_slots(
    fd: int, layout: RingLayout, first: int, stop: int, disk: Disk
) -> Iterator[tuple[int, bytes | memoryview | None]]:
    """The units ``[first, stop)``, each with its number; None where it is not whole."""
    at_once = max(1, _AT_ONCE // layout.slot_bytes)
    number = first
    while number < stop:
        count = min(at_once, stop - number, layout.slots - number % layout.slots)
        data = memoryview(disk.read_at(fd, count * layout.slot_bytes, layout.offset(number)))
        for index in range(count):
            found = _unit_in(data, index, layout)
            whole = found is not None and found[0] == number + index
            yield number + index, found[1] if found is not None and whole else None
        number += count


def _unit_in(
    data: memoryview, index: int, layout: RingLayout
) -> tuple[int, bytes | memoryview] | None:
    slot = data[index * layout.slot_bytes : (index + 1) * layout.slot_bytes]
    if len(slot) < _SLOT_HEAD.size:
        return None
    return unpack_slot(slot, layout.sink_format.channels)
