"""5. How many recordings one process on one core holds, and how many the encoder would allow.

Each recording has four speakers, whose 20 ms frames of 48 kHz are pushed in real time. *Held* is
the largest number tried, in steps of a twentieth, that keeps up for the whole run: the mix head is
never more than a second late, and no audio is lost. For the encoders alone, which have nothing to
wait for, it is a core second divided by what a second of one of them takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from common import HERE, PYTHON, Row, cost_of, folder, in_turn

BAR = 0.8
_AT_ONCE = 24
_MOST_BEHIND_S = 1.0
_STEP = 1.05


def run(quick: bool) -> Iterator[Row]:
    formats = [(32000, ".aac")] if quick else [(32000, ".aac"), (16000, ".aac"), (32000, ".wav")]
    with folder() as where:
        for rate_hz, suffix in formats:
            seconds = 10 if quick else 20
            fitting, alone = in_turn(
                3,
                partial(_fitting, "recorder", seconds, rate_hz, suffix, where),
                partial(_fitting, "encoder", seconds, rate_hz, suffix, where),
            )
            ours, found = _held(fitting, seconds, rate_hz, suffix, where)
            barred = (rate_hz, suffix) == (32000, ".aac")
            yield Row(
                "density",
                f"on a core, of 4 speakers, {rate_hz // 1000} kHz {suffix[1:].upper()}",
                ours,
                "recordings",
                alone,
                "the encoder alone",
                f">= {BAR}" if barred else "",
                ours / alone >= BAR if barred else None,
                f"mix head at most {found['behind_s']:.2f} s late then; by the CPU time of "
                f"{_AT_ONCE}, which is more for each, {fitting:.0f} would fit",
            )


def _held(
    guess: float, seconds: float, rate_hz: int, suffix: str, where: Path
) -> tuple[int, dict[str, float]]:
    """The largest number that keeps up, and how it did."""
    count, held = max(1, round(guess)), 0
    best: dict[str, float] = {}
    while count > held:
        found = _child("recorder", seconds, count, rate_hz, suffix, where)
        if found["behind_s"] <= _MOST_BEHIND_S and not found["lost_s"]:
            held, best = count, found
            count = max(count + 1, round(count * _STEP))
        elif held:
            break
        else:
            count = min(count - 1, round(count / _STEP))
    return held, best


def _fitting(what: str, seconds: float, rate_hz: int, suffix: str, where: Path) -> float:
    """How many fit on a core, by the CPU time of a few."""
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
