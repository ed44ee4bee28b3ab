"""The slots of a ring: one unit each, with its number and a checksum, wherever the ring begins.

A slot of two channels can be as large as one of one channel at twice the rate. So that none is
taken for one of another kind, the checksum of two channels starts from another value.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from ..disk import Disk
from ..ring_head import SLOT_HEAD_BYTES, RingLayout

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
