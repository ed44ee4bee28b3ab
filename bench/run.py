"""Runs the benchmarks and saves what they found.

``python bench/run.py [--quick] [--runs N] [--keep] [NAME ...]``: all of them, or those named, such
as ``density``. The table (Markdown and JSON) and a plot go to ``bench-out/`` with the machine's
description; ``BENCH_OUT`` names another directory. ``--keep`` puts them into ``bench/results/`` as
well, and draws the picture of all that were kept anew. Exit code 1 if a bar does not hold.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from common import OUT, Row, machine, save_rows
from history import draw, keep

ORDER = (
    "offline_mix", "mixer_alone", "limit", "webrtc", "room", "density", "quiet", "stems", "stop",
    "save", "forget", "growth", "quality", "start",
)  # fmt: skip


def figure(value: float | None) -> str:
    if value is None:
        return ""
    return (
        f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
    )


def line(row: Row) -> str:
    """One comparison in words, with its ratio and the bar beside it."""
    text = f"  {row.what}: {figure(row.ours)} {row.unit}"
    if row.peer is not None:
        text += f" against {figure(row.peer)} ({row.against}): ratio {figure(row.ratio)}"
    if row.bar:
        text += f", bar {row.bar}: {'holds' if row.holds else 'DOES NOT HOLD'}"
    return f"{text}\n      {row.note}" if row.note else text


def as_markdown(rows: list[Row]) -> str:
    lines = [f"- {name}: {value}" for name, value in machine().items()]
    lines += ["", "| benchmark | what | ours | peer | ratio | bar | holds |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        peer = f"{figure(row.peer)} ({row.against})" if row.peer is not None else ""
        holds = "" if row.holds is None else "yes" if row.holds else "no"
        what = f"{row.what}<br>{row.note}" if row.note else row.what
        cells = (
            row.bench,
            what,
            f"{figure(row.ours)} {row.unit}",
            peer,
            figure(row.ratio),
            row.bar,
            holds,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def plot(rows: list[Row]) -> None:
    """Every ratio as a bar, on a logarithmic scale: the peer is the line at 1."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    shown = [row for row in rows if row.ratio is not None and row.ratio > 0]
    if not shown:
        return
    drawn = Figure(figsize=(11, 1 + 0.32 * len(shown)), layout="constrained")
    axes = drawn.add_subplot()
    colours = {True: "tab:green", False: "tab:red", None: "tab:gray"}
    axes.barh(
        [f"{row.bench}: {row.what}\nagainst {row.against}" for row in shown],
        [row.ratio or 1 for row in shown],
        color=[colours[row.holds] for row in shown],
    )
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.tick_params(axis="y", labelsize=6)
    axes.invert_yaxis()
    found = machine()
    axes.set_xlabel("ours / peer (green: the bar holds; red: it does not; grey: no bar)")
    axes.set_title(f"{found['CPU']}, {found['cores']} cores, {found['date']}", fontsize=8)
    drawn.savefig(OUT / "bench.png", dpi=120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(ORDER))
    parser.add_argument("--quick", action="store_true", help="a few minutes, at smaller sizes")
    parser.add_argument("--runs", type=int, default=1, help="all of it so many times")
    parser.add_argument("--keep", action="store_true", help="keep the results for comparison")
    options = parser.parse_args()
    unknown = set(options.names) - set(ORDER)
    if unknown:
        parser.error(
            f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(ORDER)}"
        )
    OUT.mkdir(parents=True, exist_ok=True)
    found = machine()
    for name, value in found.items():
        print(f"{name}: {value}")
    rows: list[Row] = []
    for _ in range(options.runs):
        for name in options.names or ORDER:
            begun = time.monotonic()
            print(f"\n{name}", flush=True)
            for row in importlib.import_module(name).run(options.quick):
                print(line(row), flush=True)
                rows.append(row)
                save_rows(rows, OUT / "bench.json")
                (OUT / "bench.md").write_text(as_markdown(rows))
            print(f"  ({time.monotonic() - begun:.0f} s)", flush=True)
    plot(rows)
    if options.keep:
        print(f"kept as {keep(OUT / 'bench.json', found['date'], quick=options.quick)}")
        draw()
    missed = [row for row in rows if row.holds is False]
    print(f"\n{OUT / 'bench.md'}: {len(rows)} comparisons, {len(missed)} bars that do not hold")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
