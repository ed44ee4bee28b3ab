"""``roomtape inspect``: what a file holds, how loud it is, and what is wrong with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..analysis.timecode import timecode
from .progress import Progress

if TYPE_CHECKING:
    from ..analysis.inspect import Inspection

_SILENCES_SHOWN = 10
_MARKS_SHOWN = 20
_CHANNELS_SHOWN = 8


def inspect(
    file: Annotated[Path, typer.Argument(help="A recording, or any audio file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw waveform and spectrum into this file.")
    ] = None,
) -> None:
    """Say what an audio file holds.

    Its format, exact length, peak and mean level, clipping, silence and damage.
    """
    from ..analysis.inspect import inspect_file  # noqa: PLC0415 (quick --help)

    with Progress("read") as show:
        inspection = inspect_file(file, on_progress=show)
    if as_json:
        print(json.dumps(inspection.as_dict(), ensure_ascii=False, allow_nan=False))
    else:
        _print_rows(inspection)
    if plot is not None:
        from ..analysis.plot import plot_file  # noqa: PLC0415 (quick --help)

        plot_file(file, plot)


def _print_rows(inspection: Inspection) -> None:
    rows = _rows(inspection)
    if not sys.stdout.isatty():
        for name, value in rows:
            print(f"{name}: {value}")
        return
    from rich.console import Console  # noqa: PLC0415 (quick --help)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(show_header=False, box=None, title=Text(inspection.path), title_justify="left")
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows[1:]:
        table.add_row(name, Text(value, style=_style(name, value)))
    Console().print(table)


def _style(name: str, value: str) -> str:
    if name == "damage":
        return "green" if value == "none" else "bold red"
    return "yellow" if name == "clipping" and value != "none" else ""


def _rows(i: Inspection) -> list[tuple[str, str]]:
    channels = "mono" if i.channels == 1 else f"{i.channels} channels"
    return [
        ("file", i.path),
        ("format", f"{i.format}, {i.sample_rate} Hz, {channels}"),
        ("duration", f"{timecode(i.duration_s, 3)} ({i.duration_s:.6f} s, {i.samples} samples)"),
        ("size", f"{i.bytes} bytes"),
        ("peak", _level(i.peak_dbfs, [each.peak_dbfs for each in i.channel_levels])),
        ("rms", _level(i.rms_dbfs, [each.rms_dbfs for each in i.channel_levels])),
        ("dc offset", f"{i.dc_offset:+.6f} of full scale"),
        ("clipping", _clipping(i)),
        ("silence", _silence(i)),
        *(("damage", words) for words in (i.damage or ("none",))),
        *(("note", words) for words in i.notes),
        *(("mark", f"{timecode(m.at_s, 3)} {m.label}") for m in i.marks[:_MARKS_SHOWN]),
        *[("mark", f"and {len(i.marks) - _MARKS_SHOWN} more")][: len(i.marks) > _MARKS_SHOWN],
        *(("cut", f"{timecode(c.at_s, 3)} {c.lasted_s:.3f} s") for c in i.cuts[:_MARKS_SHOWN]),
        *[("cut", f"and {len(i.cuts) - _MARKS_SHOWN} more")][: len(i.cuts) > _MARKS_SHOWN],
    ]


def _level(dbfs: float, of_each: list[float]) -> str:
    whole = f"{dbfs:.2f} dBFS"
    if not 1 < len(of_each) <= _CHANNELS_SHOWN:
        return whole
    names = ("left", "right") if len(of_each) == 2 else range(1, len(of_each) + 1)
    each = (f"{name} {level:.2f}" for name, level in zip(names, of_each, strict=True))
    return f"{whole} ({', '.join(each)})"


def _clipping(i: Inspection) -> str:
    if not i.clipped_runs:
        return "none"
    return f"{i.clipped_samples} samples in {i.clipped_runs} run{'s' * (i.clipped_runs != 1)}"


def _silence(i: Inspection) -> str:
    share = f"{100 * i.silent_fraction:.1f} % below -60 dBFS"
    if not i.silences:
        return f"{share}, never for a second or more"
    shown = ", ".join(
        f"{timecode(stretch.start_s)} to {timecode(stretch.end_s)}"
        for stretch in i.silences[:_SILENCES_SHOWN]
    )
    more = len(i.silences) - _SILENCES_SHOWN
    return f"{share}; {shown}" + (f" and {more} more" if more > 0 else "")
