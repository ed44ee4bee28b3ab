"""A scene that is played once stays with all the tests that look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.side_by_side import PLAYED_ONCE, SideBySide

TESTS = Path(__file__).parents[1]


def test_what_looks_at_one_scene_is_one_piece_of_work_and_all_else_is_its_own() -> None:
    split = SideBySide._split_scope
    one: Any = None
    for folder in PLAYED_ONCE:
        scene = [split(one, f"{folder}test_a.py::test_{name}[x::y]") for name in ("b", "c")]
        assert scene == [f"{folder}test_a.py"] * 2
    for single in ("tests/audio/test_a.py::test_b[x/y]", "tests/rooms/test_a.py::test_c"):
        assert split(one, single) == single


def test_scenes_are_played_nowhere_else() -> None:
    texts = {path: path.read_text() for path in TESTS.rglob("test_*.py")}
    users = [path for path in texts if "\ndef takes(" in texts[path]]
    users = [path for path in users if "mark.alone" not in texts[path]]  # nothing is beside those
    assert len(users) >= 3
    assert {path.parent for path in users} <= {TESTS.parent / folder for folder in PLAYED_ONCE}
