"""The stems of a cyclic recording that a crash left: rings beside that of the recording.

Each becomes a file of the very samples that the recovered recording has, so that they line up; what
is missing of one is silence. A ring is known by its head, which says what it is beside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...types import AudioFormat
from ..disk import Disk
from ..finishing import write_finished
from ..naming import RING_SUFFIX, lock
from ..pieces.silence import silent_unit
from ..ring import read_slots, units_within, written_slots
from ..ring_head import RING_HEADER_BYTES, RingLayout, layouts
from .projects import ProjectTrack, write_projects


@dataclass(frozen=True, slots=True)
class RecoveredStems:
    """The files, what opens them all, and the rings of which none could be made."""

    files: tuple[Path, ...] = ()
    projects: tuple[Path, ...] = ()
    left: tuple[Path, ...] = ()


def recover_stems(
    recording: RingLayout, ring: Path, name: str, first: int, stop: int, disk: Disk
) -> RecoveredStems:
    """Make files of the stems beside a recording.

    Args:
        recording: What the head of its ring says.
        ring: Where that is. Where it was moved with its stems, they are found beside it.
        name: Of the recovered recording, without its suffix: the projects are called after it.
        first, stop: The samples that it has.
        disk: Where they are.
    """
    if recording.stems is None:
        return RecoveredStems()
    directory = recording.stems
    beside = ring.parent / os.path.relpath(directory, recording.path.parent)
    if beside.is_dir():
        directory = beside
    files, left = list[Path](), list[Path]()
    for path in _rings_in(directory):
        try:
            made = _recovered(path, recording, first, stop, disk)
        except OSError:
            left.append(path)
        else:
            files += [made] if made is not None else []
    projects: tuple[Path, ...] = ()
    if files:
        rate_hz = recording.sink_format.rate_hz
        with suppress(OSError):
            projects = write_projects(
                directory,
                name,
                [ProjectTrack(each.name, each.stem) for each in files],
                rate_hz=rate_hz,
                duration_s=(stop - first) / rate_hz,
                disk=disk,
            )
    return RecoveredStems(tuple(files), projects, tuple(left))


def _rings_in(directory: Path) -> list[Path]:
    try:
        return sorted(each for each in directory.iterdir() if each.suffix == RING_SUFFIX)
    except OSError:
        return []


def _recovered(ring: Path, recording: RingLayout, first: int, stop: int, disk: Disk) -> Path | None:
    """The file of one stem; None where the ring is none of this recording's, or has nothing of what
    it kept (and is removed then, as the recording would have done).

    Raises:
        OSError: It cannot be made; the ring is as it was.
    """
    fd = disk.open_existing(ring)
    try:
        head = disk.read_at(fd, RING_HEADER_BYTES, 0)
        layout = next(layouts(head, disk.size(fd), ring), None)
        if layout is None or not layout.certain or not lock(fd):
            return None
        if (layout.recording, layout.started_at) != (recording.path, recording.started_at):
            return None
        last = max((number for number, _ in written_slots(fd, layout, disk)), default=-1)
        held = range(max(layout.first_unit, last + 1 - layout.slots), last + 1)
        sink_format = layout.sink_format
        if not held or held.stop * sink_format.unit_samples <= first:
            disk.remove(ring)
            return None
        target = ring.with_name(layout.path.name)
        unit = sink_format.unit_samples
        size = unit * sink_format.frame_bytes if sink_format.audio_format is AudioFormat.WAV else 0

        def read(begins: int, ends: int) -> Iterator[tuple[int, bytes | memoryview | None]]:
            for number, piece in read_slots(fd, layout, begins, ends, disk):
                yield number, silent_unit(size, sink_format) if piece is None else piece

        write_finished(
            target,
            sink_format,
            units_within(first // unit, stop, held, read, sink_format),
            skip_samples=first % unit,
            first_unit=first // unit,
            disk=disk,
            read_back=True,
        )
        disk.remove(ring)
        return target
    finally:
        with suppress(OSError):  # it was only read, and what was done is done
            disk.close(fd)
