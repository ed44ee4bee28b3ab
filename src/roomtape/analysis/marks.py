"""The marks of a file: the cue points of a WAV, whoever set them, or those of its report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO

from ..storage.disk import Disk
from ..storage.notes.cues import read_cues
from ..storage.report_file import read_report_file
from ..types import Mark
from ..types.errors import DamagedFileError
from .wav_walk import begins_as_wav, walk_wav

_BEHIND_HEAD = 12
_MOST_MARKS = 10_000


def marks_of(path: str | Path) -> tuple[Mark, ...]:
    """The marks of an audio file, in their order in time; none where nothing can be read."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if begins_as_wav(file.read(_BEHIND_HEAD)):
                return _cues(file, size)
    except (OSError, DamagedFileError):
        return ()
    return _reported(path, size)


def _cues(file: BinaryIO, size: int) -> tuple[Mark, ...]:
    def read_at(position: int, count: int) -> bytes:
        file.seek(position)
        return file.read(count)

    layout = walk_wav(file, size)
    if layout.container == "rifx":
        return ()
    rate_hz = layout.format.sample_rate
    end = layout.data_start + layout.frames * layout.format.frame_bytes
    return read_cues(read_at, _BEHIND_HEAD, size, rate_hz=rate_hz) or read_cues(
        read_at, end, size, rate_hz=rate_hz
    )


def _reported(path: Path, size: int) -> tuple[Mark, ...]:
    """Of a report that is about this file, and not about one that had the name before."""
    report = read_report_file(path, Disk()) or {}
    given = report.get("marks")
    if report.get("bytes_written") != size or not isinstance(given, list):
        return ()
    marks = (_mark(each) for each in given[:_MOST_MARKS])
    return tuple(sorted((mark for mark in marks if mark), key=lambda mark: mark.sample))


def _mark(given: Any) -> Mark | None:
    match given:
        case {"at_s": int() | float() as at_s, "sample": int(sample), "label": str(label)}:
            return Mark(float(at_s), sample, label) if math.isfinite(at_s) else None
    return None
