"""``roomtape recover``: what a crash left becomes a finished file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..analysis.timecode import timecode
from .termination import undone_when_told_to_end

if TYPE_CHECKING:
    from ..storage.recover import Recovered

_STRETCHES_SHOWN = 10


def recover(
    path: Annotated[
        Path,
        typer.Argument(
            help="What the crash left: a .ring, a .wav or .aac that was being written, or the "
            "file that a cyclic recording would have become."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to write the finished file; by default where the recording was meant "
            "to go.",
        ),
    ] = None,
) -> None:
    """Turn what a crashed recording left into a finished file.

    A file that stands where the finished one goes is moved aside, to name.1.ext.
    """
    from ..storage import recover as recovery  # noqa: PLC0415 (quick --help)

    with undone_when_told_to_end():
        recovered = recovery.recover(path, output)
    for line in _lines(recovered):
        # A name may hold bytes that are no text.
        print(line.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _lines(found: Recovered) -> list[str]:
    if found.unchanged:
        return [
            f"{found.path}: nothing to recover: {timecode(found.duration_s, 3)} "
            f"({found.format.value}, {found.sample_rate} Hz) are whole; nothing was changed"
        ]
    lines = [
        f"{found.path}: recovered {timecode(found.duration_s, 3)} "
        f"({found.format.value}, {found.sample_rate} Hz)"
    ]
    if found.started_at is not None:
        start = found.started_at.isoformat(timespec="milliseconds")
        lines.append(f"began: {start}, {timecode(found.start_s, 1)} into the recording")
    if found.missing:
        shown = ", ".join(
            f"{timecode(each.start_s, 1)} to {timecode(each.end_s, 1)}"
            for each in found.missing[:_STRETCHES_SHOWN]
        )
        more = len(found.missing) - _STRETCHES_SHOWN
        lines.append(
            f"missing: {found.missing_s:.1f} s, silence in the file: {shown}"
            + (f" and {more} more" if more > 0 else "")
        )
    else:
        lines.append("missing: nothing up to the crash's last write")
    if found.cut_bytes:
        lines.append(f"cut: the last {found.cut_bytes} bytes, which were not whole")
    if found.aside is not None:
        lines.append(f"kept: the file as it was left, at {found.aside}")
    if found.left is not None:
        lines.append(f"kept: {found.left} could not be removed; it is no longer needed")
    return lines
