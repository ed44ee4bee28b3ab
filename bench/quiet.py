"""9. What a room costs in which little happens, against one in which people speak.

CPU time of recordings of 32 kHz in real time on one core, a second of one recording; both sides
in turn. With DTX, who listens sends a frame of comfort noise every 400 ms. What they add is
compared without an encoder, which costs the same whoever speaks; with it, it is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from common import HERE, PYTHON, Row, cost_of, folder, in_turn

_MANY, _FEW = 50, 8
_EMPTY_BAR, _DTX_BAR = 0.1, 0.6
_LEAST_EMPTY = 1500
_UNIT = "CPU ms a second"


def run(quick: bool) -> Iterator[Row]:
    runs, seconds = (3, 10) if quick else (5, 20)
    with folder() as where:
        cost = partial(_cost_s, seconds, where)
        nobody, speakers, silence, crowd = in_turn(
            runs,
            *(partial(cost, what, _MANY) for what in ("nobody", "speakers", "silence")),
            partial(cost, "nobody", 20 * _MANY),
        )
        against = "4 speakers"
        yield Row(
            "quiet",
            f"nobody, {_MANY} recordings",
            1000 * nobody,
            _UNIT,
            1000 * speakers,
            against,
            f"<= {_EMPTY_BAR}",
            nobody <= _EMPTY_BAR * speakers,
        )
        what = f"4 who send digital silence, {_MANY} recordings"
        yield Row("quiet", what, 1000 * silence, _UNIT, 1000 * speakers, against)
        rooms = 1 / crowd
        what = f"empty rooms a core, by {20 * _MANY} of them"
        bar = f">= {_LEAST_EMPTY}"
        yield Row("quiet", what, rooms, "rooms", bar=bar, holds=rooms >= _LEAST_EMPTY)
        for suffix in (".wav", ".aac"):
            dtx, everybody = in_turn(
                runs, *(partial(cost, what, _FEW, suffix) for what in ("dtx", "all"))
            )
            barred = suffix == ".wav"
            yield Row(
                "quiet",
                f"2 speak and 48 listen with DTX, {_FEW} recordings, {suffix[1:].upper()}",
                1000 * dtx,
                _UNIT,
                1000 * everybody,
                "50 speakers",
                f"<= {_DTX_BAR}" if barred else "",
                dtx <= _DTX_BAR * everybody if barred else None,
            )


def _cost_s(seconds: int, where: Path, what: str, count: int, suffix: str = ".aac") -> float:
    given: list[str | Path] = [what, str(seconds), str(count), where, suffix]
    found = cost_of([PYTHON, HERE / "quiet_child.py", *given])
    for path in where.iterdir():
        path.unlink()
    cpu_s: float = json.loads(found.out)["cpu"]
    return cpu_s
