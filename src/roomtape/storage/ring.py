"""The cyclic ring: a file that always holds the last seconds of a recording.

It lies beside the target as ``name.ext.ring`` and is allocated whole at the start, so that a full
disk shows at once, and so that a crash leaves it behind. Layout::

    8192 bytes   the head, twice (see ring_head): format, rate, target, ...
    slot 0       number (u64), bytes (u32), CRC-32 (u32) of number, bytes and payload; payload
    slot 1       ...

Unit ``n`` of the recording goes to slot ``n mod slots``. A slot tells by its own number and
checksum what it holds, so there is no index that a crash could leave behind the data, and a
slot that a power cut tore in two is known.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..types import NS_PER_S, AudioFormat, Mark
from .disk import Disk
from .finishing import write_finished
from .naming import create_ring, remove_ours
from .notes.cues import within
from .notes.cuts_note import CutsNote, Places
from .pieces.readers import MOST_KEPT_BYTES, Reader, RingReader
from .pieces.silence import silent_unit
from .pieces.slots import pack_slot, read_slots, unpack_slot, written_slots
from .pieces.stretches import Stretches
from .ring_head import RING_HEADER_BYTES, RingLayout
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


class Ring:
    """A cyclic recording in the making: see :class:`~.sink.Sink` for the contract.

    Args:
        path, sink_format, disk: What it becomes, what is written, and where.
        stems: The directory of its stems, if it has any.
        recording: Of a stem, what it is beside.
        most_kept_bytes: What is kept for one who reads and is behind.
    """

    def __init__(
        self,
        path: Path,
        sink_format: SinkFormat,
        disk: Disk,
        *,
        stems: Path | None = None,
        recording: Path | None = None,
        most_kept_bytes: int = MOST_KEPT_BYTES,
    ) -> None:
        self.path = path
        self._most_kept_bytes = most_kept_bytes
        self.first_sample = self.samples = 0
        self.aside: Path | None = None
        self._disk = disk
        self._layout = RingLayout(path, sink_format, stems=stems, recording=recording)
        head = self._layout.packed()
        self._fd, self.ring_path = create_ring(path, disk)
        self._note = CutsNote(self.ring_path, disk)
        self._next = 0
        self._last_bytes = 0
        self._turn = threading.Lock()  # of the two below, and never while the disk is waited for
        self._overwritten = 0  # units before it are gone, or about to be
        self._readers: list[RingReader] = []
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

    def begin_at(self, first_unit: int) -> None:
        """It goes on with this unit of the recording; before the first :meth:`write`.

        Raises:
            OSError: That cannot be written down.
        """
        layout = dataclasses.replace(self._layout, first_unit=first_unit)
        self._disk.write_at(self._fd, layout.packed(), 0)
        self._disk.sync(self._fd)
        self._layout = layout
        self._next = self._overwritten = first_unit
        self.first_sample = self.samples = first_unit * layout.sink_format.unit_samples

    def write(self, units: list[bytes]) -> None:
        layout = self._layout
        done = 0
        while done < len(units):
            # As many as fit before the ring begins anew, in one write.
            first = self._next
            room = layout.slots - first % layout.slots
            batch = units[done : done + room]
            self._keep_for_readers(first + len(batch) - layout.slots)
            self._disk.write_at(self._fd, self._packed(first, batch), layout.offset(first))
            self._next += len(batch)
            self._last_bytes = len(batch[-1])
            self.samples = layout.sink_format.samples_in(self._next, self._last_bytes)
            done += len(batch)

    def silence(self, stretches: Stretches) -> int:
        """Put silence into every slot that holds anything of these samples, in its place, and have
        that on the disk; on the thread that writes. Each slot is whole before and after; one in
        which a power cut stops this is damaged, and recovered as silence.

        Returns:
            How many samples of the recording are silence for that.

        Raises:
            OSError: It cannot be written; some of them are as they were.
        """
        unit = self._layout.sink_format.unit_samples
        oldest = max(self._layout.first_unit, self._next - self._layout.slots)
        done, behind = 0, oldest
        for start, stop in stretches.within(oldest * unit, self._next * unit).spans:
            first = max(behind, start // unit)  # two stretches may touch one unit
            behind = max(behind, -(-stop // unit))
            self._silence_units(first, behind)
            done += (behind - first) * unit
        if done:
            self._disk.sync(self._fd)
        return done

    def _silence_units(self, first: int, stop: int) -> None:
        """As many at once as lie beside each other, a quarter of a megabyte at most: there are
        40,000 frames in a quarter of an hour."""
        layout, sink_format = self._layout, self._layout.sink_format
        size = 0  # an AAC frame is as short as it can be
        if sink_format.audio_format is AudioFormat.WAV:
            size = sink_format.most_unit_bytes
        silent = silent_unit(size, sink_format)
        at_once = max(1, _AT_ONCE // layout.slot_bytes)
        while first < stop:
            count = min(at_once, stop - first, layout.slots - first % layout.slots)
            units = [silent] * count
            if size and first + count == self._next:  # only the last is less than a unit
                units[-1] = silent[: self._last_bytes]
            self._disk.write_at(self._fd, self._packed(first, units), layout.offset(first))
            first += count

    def _packed(self, first: int, units: Sequence[bytes]) -> bytes:
        """The slots of units that lie beside each other."""
        channels, slot_bytes = self._layout.sink_format.channels, self._layout.slot_bytes
        return b"".join(
            pack_slot(number, unit, channels).ljust(slot_bytes, b"\0")
            for number, unit in enumerate(units, first)
        )

    def note_cuts(self, places: Places) -> None:
        begins_ns = self.first_sample * NS_PER_S // self._layout.sink_format.rate_hz
        self._note.write(places, begins_ns)

    def sync(self) -> None:
        self._disk.sync(self._fd)

    def reader(self, first: int, stop: int) -> Reader:
        with self._turn:
            first = max(first, self._overwritten * self._layout.sink_format.unit_samples)
            reader = RingReader(
                self._fd,
                first,
                stop,
                lambda: self.samples,
                self._disk,
                layout=self._layout,
                most_kept_bytes=self._most_kept_bytes,
            )
            self._readers.append(reader)
        return reader

    @property
    def cycle_s(self) -> int:
        """So many seconds are kept."""
        return self._layout.sink_format.cycle_s

    @property
    def oldest_sample(self) -> int:
        """The first sample of what a finished file would have by now."""
        return max(self.first_sample, self.samples - self._layout.window_samples)

    def finish(self, marks: Sequence[Mark] = ()) -> Finished:
        layout = self._layout
        first_sample = self.oldest_sample
        first_unit = first_sample // layout.sink_format.unit_samples
        finished = write_finished(
            self.path,
            layout.sink_format,
            self._units(first_unit),
            skip_samples=first_sample - first_unit * layout.sink_format.unit_samples,
            first_unit=first_unit,
            disk=self._disk,
            data_bytes=layout.sink_format.frame_bytes * (self.samples - first_sample),
            marks=within(marks, first_sample, layout.window_samples, layout.sink_format.rate_hz),
        )
        self.aside = finished.aside
        self._note.hand_on(self.path, first_sample * NS_PER_S // layout.sink_format.rate_hz)
        # The recording is safe; a ring that cannot be removed makes it no worse.
        self.retire()
        return finished

    def finish_within(self, first: int, stop: int) -> Finished:
        """As :meth:`finish`, with the samples ``[first, stop)`` of the recording whatever the ring
        holds of them: all else is silence. So several line up."""
        layout, unit = self._layout, self._layout.sink_format.unit_samples
        first_unit = first // unit
        held = range(max(layout.first_unit, self._next - layout.slots), self._next)
        finished = write_finished(
            self.path,
            layout.sink_format,
            units_within(
                first_unit,
                stop,
                held,
                lambda begins, ends: read_slots(self._fd, layout, begins, ends, self._disk),
                layout.sink_format,
            ),
            skip_samples=first - first_unit * unit,
            first_unit=first_unit,
            disk=self._disk,
            data_bytes=layout.sink_format.frame_bytes * (stop - first),
        )
        self.aside = finished.aside
        self.retire()
        return finished

    def retire(self) -> None:
        """Remove it: all that it holds is in another file. Raises nothing."""
        with self._turn:
            fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            remove_ours(fd, self.ring_path, self._disk)
        except OSError as error:
            logger.warning("%s is safe, but its ring cannot be removed: %s", self.path, error)
        self._note.remove()
        # Without its name the ring is gone; freeing its blocks takes as long as copying them, and
        # nobody needs to wait for that.
        free = threading.Thread(target=self._close_quietly, args=(fd,), name="roomtape-free")
        try:
            free.start()
        except RuntimeError:  # no more threads; then somebody waits for it
            self._close_quietly(fd)

    def abandon(self) -> Finished:
        """The ring stays, for ``roomtape recover``."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(Exception):
                self._disk.sync(fd)
            self._close_quietly(fd)
        kept = self.samples - self.oldest_sample
        there = self._layout.file_bytes if os.path.lexists(self.ring_path) else 0
        return Finished(self.ring_path, kept if there else 0, self.samples - kept, there)

    def discard(self) -> None:
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        with contextlib.suppress(OSError):
            remove_ours(fd, self.ring_path, self._disk)
        self._note.remove()
        self._close_quietly(fd)

    def let_go(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _close_quietly(self, fd: int) -> None:
        with contextlib.suppress(OSError):
            self._disk.close(fd)

    def _keep_for_readers(self, stop: int) -> None:
        """Units before ``stop`` are about to be overwritten."""
        with self._turn:
            first, self._overwritten = self._overwritten, max(self._overwritten, stop)
            readers = self._readers = [each for each in self._readers if not each.released]
        for reader in readers:
            reader.keep(first, stop)

    def _units(self, first: int) -> Iterator[bytes | memoryview]:
        for number, unit in read_slots(self._fd, self._layout, first, self._next, self._disk):
            if unit is None:
                raise OSError(f"slot {number} of the ring reads back damaged")
            yield unit


def units_within(
    first_unit: int,
    stop: int,
    held: range,
    read: Callable[[int, int], Iterator[tuple[int, bytes | memoryview | None]]],
    sink_format: SinkFormat,
) -> Iterator[bytes | memoryview]:
    """The units from ``first_unit`` up to the sample ``stop``: those that a ring holds, each as
    long as it must be, and silence in place of the others.

    Args:
        first_unit, stop: What is wanted.
        held: The units of the ring.
        read: Reads some of them, each with its number; None where it is not whole.
        sink_format: Of them.

    Raises:
        OSError: One cannot be read, or is not whole.
    """
    unit, wav = sink_format.unit_samples, sink_format.audio_format is AudioFormat.WAV
    behind = -(-stop // unit)
    begins = min(max(first_unit, held.start), behind)
    ends = max(begins, min(held.stop, behind))
    pieces = read(begins, ends)
    for number in range(first_unit, behind):
        size = sink_format.frame_bytes * min(unit, stop - number * unit) if wav else 0
        if not begins <= number < ends:
            yield silent_unit(size, sink_format)
            continue
        _, piece = next(pieces)
        if piece is None:
            raise OSError(f"slot {number} of the ring reads back damaged")
        yield piece if not wav or len(piece) == size else bytes(piece[:size]).ljust(size, b"\0")
