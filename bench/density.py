"""5. How many recordings one process on one core holds, and how many the encoder would allow.

Each recording has four speakers, whose 20 ms frames of 48 kHz are pushed in real time. *Held* is
the largest number tried, in strides of a fifth and then in steps of a twentieth, that keeps up for
the whole run, be it at the second try: the mix head is never more than a second late, and no audio
is lost. The recordings begin one after the other in the first ten seconds. For the encoders alone,
which have nothing to wait for, it is a core second divided by what a second of one of them takes,
with 120 of them in turn. They run before and after each try, and those beside the try that counts
are compared with, because a machine that is shared changes its pace from one try to the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from common import HERE, PYTHON, Row, cost_of, folder

BAR = 0.8
_FEW = 24
_MANY = 120
_ENCODED_S = 4
_MOST_BEHIND_S = 1.0
_STRIDE = 1.2
_STEP = 1.05


def run(quick: bool) -> Iterator[Row]:
    formats = [(32000, ".aac")] if quick else [(32000, ".aac"), (16000, ".aac"), (32000, ".wav")]
    with folder() as where:
        for rate_hz, suffix in formats:
            search = _Search(20 if quick else 30, rate_hz, suffix, where)
            held = search.held()
            barred = (rate_hz, suffix) == (32000, ".aac")
            yield Row(
                "density",
                f"on a core, of 4 speakers, {rate_hz // 1000} kHz {suffix[1:].upper()}",
                held,
                "recordings",
                search.alone,
                "the encoder alone",
                f">= {BAR}" if barred else "",
                held / search.alone >= BAR if barred else None,
                f"mix head at most {search.behind_s:.2f} s late then",
            )


class _Search:
    """For the largest number that keeps up."""

    def __init__(self, seconds: float, rate_hz: int, suffix: str, where: Path) -> None:
        self._seconds = seconds
        self._format = (rate_hz, suffix, where)
        self._encoders = self._encode()
        self.alone = self.behind_s = 0.0
        """How many encoders there was time for beside the try that counts, and how late it was."""

    def held(self) -> int:
        found = _child("recorder", self._seconds, _FEW, *self._format)
        # That a few take more for each than many do is why this is only where the search begins.
        count, held, failed = max(1, round(_FEW * found["wall"] / found["cpu"])), 0, 0
        while not failed or held < count < failed:
            # Twice, because a machine that is shared has slow moments.
            if self._keeps_up(count) or self._keeps_up(count):
                held = count
            else:
                failed = count
            if not held:
                count = min(failed - 1, round(failed / _STRIDE))
            else:
                count = max(held + 1, round(held * (_STEP if failed else _STRIDE)))
        return held

    def _keeps_up(self, count: int) -> bool:
        found = _child("recorder", self._seconds, count, *self._format)
        before, self._encoders = self._encoders, self._encode()
        keeps_up = found["behind_s"] <= _MOST_BEHIND_S and not found["lost_s"]
        if keeps_up:
            self.alone, self.behind_s = (before + self._encoders) / 2, found["behind_s"]
        return keeps_up

    def _encode(self) -> float:
        found = _child("encoder", _ENCODED_S, _MANY, *self._format)
        return _MANY * found["wall"] / found["cpu"]


def _child(
    what: str, seconds: float, count: int, rate_hz: int, suffix: str, where: Path
) -> dict[str, float]:
    words = [what, seconds, count, rate_hz, suffix, where]
    found = cost_of([PYTHON, HERE / "density_child.py", *map(str, words)])
    for path in where.iterdir():
        path.unlink()
    result: dict[str, float] = json.loads(found.out)
    return result
