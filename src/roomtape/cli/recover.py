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
    report: Annotated[
        bool,
        typer.Option("--report", help="Write what is known of the finished file beside it."),
    ] = False,
    sign: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            help="Write it signed with this Ed25519 private key (PEM).",
        ),
    ] = None,
) -> None:
    """Turn what a crashed recording left into a finished file.

    A file that stands where the finished one goes is moved aside, to name.1.ext.
    """
    from ..storage import recover as recovery  # noqa: PLC0415 (quick --help)
    from ..storage.disk import Disk  # noqa: PLC0415
    from ..storage.proof.seal import sealed  # noqa: PLC0415
    from ..storage.report_file import write_report_file  # noqa: PLC0415

    key = None
    if sign is not None:
        from ..storage.proof.keys import load_private_key  # noqa: PLC0415

        key = load_private_key(sign)
    with undone_when_told_to_end() as disk:
        recovered = recovery.recover(path, output, disk=disk)
        if report or key is not None:
            # What is finished is not left without it.
            write_report_file(recovered.path, sealed(recovered.as_dict(), key), Disk())
    for line in _lines(recovered):
        # A name may hold bytes that are no text.
        print(line.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _lines(found: Recovered) -> list[str]:
    if found.unchanged:
        return [
            f"{found.path}: nothing to recover: {timecode(found.duration_s, 3)} "
            f"({found.format.value}, {found.sample_rate} Hz) are whole; nothing was changed",
            *_cuts(found),
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
    lines += _cuts(found)
    if found.cut_bytes:
        lines.append(f"cut: the last {found.cut_bytes} bytes, which were not whole")
    if found.aside is not None:
        lines.append(f"kept: the file as it was left, at {found.aside}")
    if found.left is not None:
        lines.append(f"kept: {found.left} could not be removed; it is no longer needed")
    lines += [f"stem: {path}" for path in found.stems.files]
    lines += [f"kept: {path}, of which no stem could be made" for path in found.stems.left]
    lines.append(f"sha256: {found.sha256}")
    return lines


def _cuts(found: Recovered) -> list[str]:
    lines = [
        f"cut out: {each.lasted_s:.3f} s at {timecode(each.at_s, 3)}, where it was paused"
        for each in found.cuts[:_STRETCHES_SHOWN]
    ]
    more = len(found.cuts) - _STRETCHES_SHOWN
    return [*lines, f"cut out: {more} more, see --report"] if more > 0 else lines
