"""Turning what a crash left into a finished file.

Three things can be left: the ring of a cyclic recording, a live WAV whose header is ahead of its
data, and a live AAC whose last frame is cut. A ring is copied slot by slot; what a power cut tore
out of its middle keeps its place, as silence, so that everything after it stays where it was.

Nothing that is recovered is ever written into. A new file is made, read back from the disk, and put
in place by rename; only then does a ring go, and what stood at the name is moved aside.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..types import NS_PER_S, AudioFormat, TimeCut
from ..types.errors import DamagedFileError, FileError, SuffixError
from .adts import silent_frame
from .disk import Disk
from .finishing import write_finished
from .naming import RING_SUFFIX, cuts_path, lock, parts_beside, rings_beside
from .notes.cuts_note import cuts_within, noted_cuts
from .proof.hashing import sha256_of
from .recover_live import Repaired, repair_aac, repair_wav
from .ring import read_slots, written_slots
from .ring_head import RING_HEADER_BYTES, RingLayout, is_ring, layouts
from .stems.recovery import RecoveredStems, recover_stems
from .wav import HEADER_BYTES


@dataclass(frozen=True, slots=True)
class Missing:
    """``[start_s, end_s)`` of the recovered file: silence, since nothing whole was left of it."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was recovered.

    Attributes:
        path: The finished file, absolute.
        format: wav or aac.
        sample_rate: Hz.
        duration_s: Its length.
        start_s: Where in the recording it begins (cyclic: not 0 once the cycle was full).
        started_at: The UTC time of its first sample; None where nothing tells (a live file, a ring
            without a whole head).
        missing: What is silence because it was torn; in order.
        cut_bytes: What was left out at a live file's end: half a sample, half a frame.
        unchanged: The live file needed nothing: it is as it was.
        aside: Where the live file is now that the finished one took the place of.
        left: The ring, where it could not be removed after all was done.
        stems: Of a cyclic recording that has any: theirs, with the same samples; and what opens
            them all, and the rings of those that could not be made.
        cuts: Where pauses were cut out of it, as far as that is noted beside what the crash left.
        sha256, bytes_written: Of the finished file: in hex, and its size.
    """

    path: Path
    format: AudioFormat
    sample_rate: int
    duration_s: float
    start_s: float = 0.0
    started_at: datetime | None = None
    missing: tuple[Missing, ...] = ()
    cut_bytes: int = 0
    unchanged: bool = False
    aside: Path | None = None
    left: Path | None = None
    stems: RecoveredStems = field(default_factory=RecoveredStems)
    cuts: tuple[TimeCut, ...] = ()
    sha256: str = ""
    bytes_written: int = 0

    @property
    def missing_s(self) -> float:
        """How much of the file is silence for want of data."""
        return sum(each.end_s - each.start_s for each in self.missing)

    def as_dict(self) -> dict[str, Any]:
        """The report of the finished file, JSON-ready: what of a recording's report is known."""
        return {
            "file_path": str(self.path),
            "format": self.format.value,
            "sample_rate": self.sample_rate,
            "duration_s": self.duration_s,
            "started_at": self.started_at and self.started_at.isoformat(),
            "skipped_s": self.start_s,
            "cuts": [asdict(each) for each in self.cuts],
            "sha256": self.sha256,
            "bytes_written": self.bytes_written,
            "stems": [str(each) for each in self.stems.files],
            "projects": [str(each) for each in self.stems.projects],
            "recovered": {
                "missing": [asdict(each) for each in self.missing],
                "cut_bytes": self.cut_bytes,
            },
        }


def recover(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    disk: Disk | None = None,
) -> Recovered:
    """Make a finished file of what a crashed recording left.

    Args:
        path: The ring (``call.wav.ring``), the live file itself, or the file that a cyclic
            recording would have become, where only its ring is there; or the name that a split
            recording was given (``call.wav``), for its last file.
        output: Where to; None is where the recording was meant to go. What stands there is moved
            aside, the live file itself too, if it needs anything.
        disk: Where the files are.

    Raises:
        FileError: There is nothing to recover, it is still being recorded, or the finished file
            cannot be written. DamagedFileError: It is not what one of our recordings leaves.
            SuffixError: ``output`` is named as another format. In each case nothing was changed.
    """
    disk = disk or Disk()
    source = Path(os.path.realpath(_left_by(Path(os.path.abspath(path)))))  # noqa: PTH100
    target = None if output is None else Path(os.path.abspath(output))  # noqa: PTH100
    try:
        with _locked(source, disk) as fd:
            layout = _ring_layout(fd, source, disk)
            if layout is not None:
                return _recover_ring(fd, source, layout, target, disk)
            if source.suffix.lower() == ".wav":
                _check_suffix(target, AudioFormat.WAV)
                return _told(fd, source, target, repair_wav, AudioFormat.WAV, disk)
            if source.suffix.lower() == ".aac":
                _check_suffix(target, AudioFormat.AAC)
                return _told(fd, source, target, repair_aac, AudioFormat.AAC, disk)
    except OSError as error:
        raise FileError(f"{source}: cannot be recovered: {_in_words(error, source)}") from None
    raise DamagedFileError(
        f"{source}: not what a recording leaves behind: a .ring, or a .wav or .aac file"
    )


def _left_by(path: Path) -> Path:
    """``path``, or where nothing is there, the ring beside it."""
    if os.path.lexists(path):
        return path
    rings = rings_beside(path)
    if not rings and (parts := parts_beside(path)):
        empty = HEADER_BYTES if path.suffix.lower() == ".wav" else 0
        begun = [each for each in parts if each.stat().st_size > empty]
        return (begun or parts)[-1]  # all others were finished before
    if not rings:
        raise FileError(f"{path}: no such file, and no ring of that name beside it")
    if len(rings) > 1:
        names = ", ".join(ring.name for ring in rings)
        raise FileError(f"{path}: several rings are there, name the one to recover: {names}")
    return rings[0]


@contextmanager
def _locked(source: Path, disk: Disk) -> Iterator[int]:
    """The file, open and locked, so that nobody records to it or recovers it meanwhile."""
    if not source.is_file():
        raise FileError(f"{source}: not a file")
    fd = disk.open_existing(source)
    try:
        if not lock(fd):
            raise FileError(f"{source}: still being recorded; stop that recording instead")
        yield fd
    finally:
        with suppress(OSError):  # it was only read, and what was done is done
            disk.close(fd)


def _ring_layout(fd: int, source: Path, disk: Disk) -> RingLayout | None:
    """The layout of a ring; None for what is none.

    Raises:
        DamagedFileError: It is a ring, and nothing tells how to read it.
    """
    size = disk.size(fd)
    head = disk.read_at(fd, RING_HEADER_BYTES, 0)
    ring = is_ring(head)
    if not ring and source.suffix != RING_SUFFIX:
        return None
    best, most = None, 0
    for layout in layouts(head, size, source):
        if layout.certain:
            return layout
        if best is not None and best.file_bytes == size != layout.file_bytes:
            break
        slots = sum(1 for _ in written_slots(fd, layout, disk))
        if slots > most:
            best, most = layout, slots
    if best is None and ring:
        raise DamagedFileError(
            f"{source}: nothing in this ring is whole: nothing had been recorded, or the head of "
            "the ring and all that it holds are damaged"
        )
    return best


def _recover_ring(
    fd: int, ring: Path, layout: RingLayout, target: Path | None, disk: Disk
) -> Recovered:
    sink_format = layout.sink_format
    _check_suffix(target, sink_format.audio_format)
    if target is None:
        target = layout.path
        if not target.parent.is_dir():
            raise FileError(
                f"{ring}: it was to become {target}, and there is no directory {target.parent} "
                "here; say with -o where the finished file should go"
            )
    newest = max(written_slots(fd, layout, disk), default=None)
    if newest is None:
        raise DamagedFileError(
            f"{ring}: nothing in this ring is whole: nothing had been recorded, or all is damaged"
        )
    last, last_bytes = newest
    end_sample = sink_format.samples_in(last + 1, last_bytes)
    begins = min(layout.first_unit, last) * sink_format.unit_samples
    first_sample = max(begins, end_sample - layout.window_samples)
    first_unit, skip = divmod(first_sample, sink_format.unit_samples)
    torn: list[int] = []
    finished = write_finished(
        target,
        sink_format,
        _units(fd, layout, first_unit, last + 1, torn, disk),
        skip_samples=skip,
        first_unit=first_unit,
        disk=disk,
        read_back=True,
        data_bytes=sink_format.frame_bytes * (end_sample - first_sample),
    )
    stop_sample = finished.first_sample + finished.samples
    stems = recover_stems(layout, ring, target.stem, finished.first_sample, stop_sample, disk)
    rate_hz = sink_format.rate_hz
    begins_ns, length_ns = (
        samples * NS_PER_S // rate_hz for samples in (finished.first_sample, finished.samples)
    )
    cuts = cuts_within(noted_cuts(ring, disk)[1], begins_ns, length_ns)
    left = None
    try:
        disk.remove(ring)
        with suppress(FileNotFoundError):
            disk.remove(cuts_path(ring))
    except OSError:
        left = ring if os.path.lexists(ring) else None
    start_s = finished.first_sample / rate_hz
    return Recovered(
        path=target,
        format=sink_format.audio_format,
        sample_rate=rate_hz,
        duration_s=finished.samples / rate_hz,
        start_s=start_s,
        started_at=layout.started_at and layout.started_at + timedelta(seconds=start_s),
        missing=_stretches(torn, sink_format.unit_samples, finished.first_sample, rate_hz),
        left=left,
        stems=stems,
        cuts=cuts,
        sha256=finished.sha256,
        bytes_written=finished.file_bytes,
    )


def _units(
    fd: int, layout: RingLayout, first: int, stop: int, torn: list[int], disk: Disk
) -> Iterator[bytes | memoryview]:
    """The units in their order, silence in place of each that is not whole."""
    sink_format = layout.sink_format
    wav = sink_format.audio_format is AudioFormat.WAV
    whole_bytes = sink_format.unit_samples * sink_format.frame_bytes
    silence = bytes(whole_bytes)
    if not wav:
        silence = silent_frame(sink_format.rate_hz, sink_format.channels)
    for number, unit in read_slots(fd, layout, first, stop, disk):
        if unit is None:
            torn.append(number)
        yield silence if unit is None else unit


def _stretches(
    units: list[int], unit_samples: int, first_sample: int, rate_hz: int
) -> tuple[Missing, ...]:
    """Neighbouring units as one stretch each, in seconds of the finished file."""
    stretches: list[tuple[int, int]] = []
    for number in units:
        if stretches and stretches[-1][1] == number:
            stretches[-1] = (stretches[-1][0], number + 1)
        else:
            stretches.append((number, number + 1))
    return tuple(
        Missing(
            max(0, start * unit_samples - first_sample) / rate_hz,
            (stop * unit_samples - first_sample) / rate_hz,
        )
        for start, stop in stretches
    )


def _told(
    fd: int,
    source: Path,
    target: Path | None,
    repair: Callable[[int, Path, Path | None, Disk], Repaired],
    audio_format: AudioFormat,
    disk: Disk,
) -> Recovered:
    begins_ns, places = noted_cuts(source, disk)  # before it is moved aside with the file
    repaired = repair(fd, source, target, disk)
    length_ns = repaired.samples * NS_PER_S // repaired.rate_hz
    return Recovered(
        path=repaired.path,
        format=audio_format,
        sample_rate=repaired.rate_hz,
        duration_s=repaired.samples / repaired.rate_hz,
        cut_bytes=repaired.cut_bytes,
        unchanged=not repaired.replaced,
        aside=_aside(fd, source) if repaired.replaced and repaired.path == source else None,
        cuts=cuts_within(places, begins_ns, length_ns),
        sha256=repaired.sha256 or sha256_of(fd, disk),
        bytes_written=repaired.path.stat().st_size,
    )


def _aside(fd: int, source: Path) -> Path | None:
    """Where the file that is open as ``fd`` is, now that another has its name."""
    for number in itertools.count(1):
        aside = source.with_name(f"{source.stem}.{number}{source.suffix}")
        if not os.path.lexists(aside):
            return None
        if os.path.samestat(os.fstat(fd), os.lstat(aside)):
            return aside
    raise AssertionError("the numbers do not end")


def _check_suffix(target: Path | None, audio_format: AudioFormat) -> None:
    if target is not None and target.suffix.lower() != f".{audio_format.value}":
        raise SuffixError(
            f"{target}: what was recorded is {audio_format.value}; the name must end in "
            f".{audio_format.value}"
        )


def _in_words(error: OSError, source: Path) -> str:
    words = (error.strerror or str(error)).lower()
    where = error.filename
    return words if where is None or os.fspath(where) == str(source) else f"{where}: {words}"
