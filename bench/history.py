"""Results that were kept, and a picture of them.

``bench/results/`` has a file for each run of ``run.py --keep``: every row, and the machine that it
was measured on. ``python bench/history.py`` draws ``docs/performance.png`` anew: each bar that we
have set ourselves, and how far from it each run was.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from common import HERE

RESULTS = HERE / "results"
PICTURE = HERE.parent / "docs" / "performance.png"


def keep(saved: Path, date: str, *, quick: bool) -> Path:
    """Keep a file of results.

    Args:
        saved: As ``common.save_rows`` wrote it.
        date: When it was measured, as in :func:`common.machine`.
        quick: At smaller sizes.
    """
    RESULTS.mkdir(exist_ok=True)
    name = re.sub(r"\D+", "-", date).strip("-")
    kept = RESULTS / f"{name}.json"
    found = json.loads(saved.read_text())
    kept.write_text(json.dumps({"quick": quick, **found}, indent=1) + "\n")
    return kept


def share_of_bar(row: dict[str, Any]) -> float | None:
    """How much of its bar a row takes: 1 is the bar itself, and less is better."""
    bar = re.match(r"(<=|<|>=|>) *([\d.]+)", row["bar"])
    if bar is None:
        return None
    value = row["ours"] if row["ratio"] is None or row["of_ours"] else row["ratio"]
    limit = float(bar[2])
    return float(value / limit if bar[1].startswith("<") else limit / value)


def draw(picture: Path = PICTURE) -> None:
    """Each bar is a line, each run a point on it; the newest run is the darkest."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    runs = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    if not runs:
        sys.exit("no results were kept yet: python bench/run.py --keep")
    shares: dict[str, list[tuple[int, float]]] = {}
    for number, run in enumerate(runs):
        for row in run["rows"]:
            share = share_of_bar(row)
            if share is not None:
                shares.setdefault(f"{row['bench']}: {row['what']}", []).append((number, share))
    figure = Figure(figsize=(10, 1.4 + 0.32 * len(shares)), layout="constrained")
    axes = figure.add_subplot()
    for place, points in enumerate(shares.values()):
        for number, share in points:
            age = (len(runs) - 1 - number) / len(runs)
            colour = "tab:green" if share <= 1 else "tab:red"
            axes.plot(share, place, "o", color=colour, alpha=1 - 0.75 * age, markersize=6)
    axes.set_yticks(range(len(shares)), list(shares), fontsize=7)
    axes.set_ylim(len(shares) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.grid(axis="y", linewidth=0.3)
    axes.set_xlabel("share of the bar that is taken: left of the line it holds")
    last = runs[-1]["machine"]
    axes.set_title(
        f"runs that were kept: {len(runs)}; the newest is the darkest: "
        f"{last['date']}, {last['CPU']}, {last['cores']} cores",
        fontsize=8,
    )
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    draw()
