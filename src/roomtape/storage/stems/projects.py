"""Projects that open all stems of a recording, lined up: for Audacity, and for Reaper.

Audacity's list of files (``.lof``) has a line for each; names count from the list's own directory.
Reaper's project (``.rpp``) is text as well: a track for each, with one item on it. Nothing that
ends a line or a quoted name comes into either: see :mod:`.names`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..disk import Disk
from ..finishing import new_file


class ProjectTrack(NamedTuple):
    """A file beside the project, and what its track is called."""

    file: str
    name: str


def write_projects(
    directory: Path,
    name: str,
    tracks: Sequence[ProjectTrack],
    *,
    rate_hz: int,
    duration_s: float,
    disk: Disk,
) -> tuple[Path, ...]:
    """Write ``name.lof`` and ``name.rpp``; older ones are moved aside.

    Raises:
        OSError: One cannot be written.
    """
    texts = {
        ".lof": audacity_list(tracks, duration_s),
        ".rpp": reaper_project(tracks, rate_hz, duration_s),
    }
    written = []
    for suffix, text in texts.items():
        path = directory / f"{name}{suffix}"
        with new_file(path, disk) as fd:
            disk.write_at(fd, text.encode("utf-8", "surrogateescape"), 0)
        written.append(path)
    return tuple(written)


def audacity_list(tracks: Sequence[ProjectTrack], duration_s: float) -> str:
    """Audacity opens these files in one window, each from second 0 on."""
    lines = [f"window offset 0 duration {duration_s:.3f}"]
    lines += [f'file "{track.file}" offset 0' for track in tracks]
    return "\n".join(lines) + "\n"


def reaper_project(tracks: Sequence[ProjectTrack], rate_hz: int, duration_s: float) -> str:
    """A project of Reaper with a track for each file."""
    lines = ['<REAPER_PROJECT 0.1 "6.0"', f"  SAMPLERATE {rate_hz} 1 0"]
    for track in tracks:
        # What is no WAV is read by FFmpeg, which to Reaper is video.
        kind = "WAVE" if track.file.lower().endswith(".wav") else "VIDEO"
        lines += [
            "  <TRACK",
            f'    NAME "{track.name}"',
            "    <ITEM",
            "      POSITION 0",
            f"      LENGTH {duration_s:.6f}",
            "      LOOP 0",
            f'      NAME "{track.file}"',
            f"      <SOURCE {kind}",
            f'        FILE "{track.file}"',
            "      >",
            "    >",
            "  >",
        ]
    return "\n".join([*lines, ">"]) + "\n"
