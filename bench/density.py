"""5. How many recordings one process on one core holds, and how many the encoder would allow.

Each recording has four speakers, whose 20 ms frames of 48 kHz are pushed in real time. The number
is what fits by CPU time: a core second divided by what a second of one recording takes, measured
with enough recordings that fixed costs are spread. In the full mode as many as that are then run,
90 % of the core, to see that the mix head keeps up.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from common import HERE, PYTHON, Row, cost_of, folder, in_turn

BAR = 0.8
_AT_ONCE = 24


def run(quick: bool) -> list[Row]:
    rows = []
    formats = [(32000, ".aac")] if quick else [(32000, ".aac"), (16000, ".aac"), (32000, ".wav")]
    with folder() as where:
        for rate_hz, suffix in formats:
            seconds = 10 if quick else 20
            ours, alone = in_turn(
                3,
                partial(_fitting, "recorder", seconds, rate_hz, suffix, where),
                partial(_fitting, "encoder", seconds, rate_hz, suffix, where),
            )
            note = ""
            if not quick:
                count = max(1, round(0.9 * ours))
                found = _child("recorder", 20, count, rate_hz, suffix, where)
                note = (
                    f"{count} ran for 20 s: mix head at most {found['behind_s']:.2f} s late, "
                    f"{found['lost_s']:.1f} s of audio lost"
                )
            barred = (rate_hz, suffix) == (32000, ".aac")
            rows.append(
                Row(
                    "density",
                    f"on a core, of 4 speakers, {rate_hz // 1000} kHz {suffix[1:].upper()}",
                    ours,
                    "recordings",
                    alone,
                    "the encoder alone",
                    f">= {BAR}" if barred else "",
                    ours / alone >= BAR if barred else None,
                    note,
                )
            )
    return rows


def _fitting(what: str, seconds: float, rate_hz: int, suffix: str, where: Path) -> float:
    """How many fit on a core."""
    found = _child(what, seconds, _AT_ONCE, rate_hz, suffix, where)
    return _AT_ONCE * found["wall"] / found["cpu"]


def _child(
    what: str, seconds: float, count: int, rate_hz: int, suffix: str, where: Path
) -> dict[str, float]:
    words = [what, seconds, count, rate_hz, suffix, where]
    found = cost_of([PYTHON, HERE / "density_child.py", *map(str, words)])
    for path in where.iterdir():
        path.unlink()
    result: dict[str, float] = json.loads(found.out)
    return result
