"""Imports go one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import roomtape

ROOT = Path(roomtape.__file__).parent

# Who may import whom, from the ground up: each may import what stands in the rows above its own.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("types",),
    ("audio", "storage"),  # neither knows the other
    ("analysis",),
    ("media",),
    ("recording", "server"),
    ("rooms",),  # a room does not know recorders; its client knows what the server says
    ("engine", "integrations"),
    ("fleet",),  # many rooms, each recorded by an engine
    ("cli",),
    ("__main__",),
)
LAYER_OF = {unit: layer for layer, units in enumerate(LAYERS) for unit in units}

# What must not depend on more than it needs, whatever the table above allows.
ONLY: dict[str, set[str]] = {
    "audio": {"types"},
    "storage": {"types"},
    "analysis": {"storage", "types"},
    "rooms": {"server", "media", "types"},
    "server": {"types"},
}

MOST_NAMES = 12
"""A stranger who opens the package takes in so many."""

PURE = "audio"
IMPURE_MODULES = {
    "asyncio",
    "concurrent",
    "datetime",
    "io",
    "os",
    "pathlib",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "tempfile",
    "time",
}


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in ROOT.rglob("*.py")
    }


def unit_of(module: str) -> str:
    """The package's part that a module belongs to: ``audio``, ``engine``, ..."""
    return module.partition(".")[0]


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text())))


def roomtape_imports(path: Path) -> Iterator[str]:
    """The modules of this package that a file imports anywhere, functions included."""
    package = ("roomtape", *path.relative_to(ROOT).parts[:-1])
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.removeprefix("roomtape.") for name in names if name[:9] == "roomtape.")


def outside_imports(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def edges() -> set[tuple[str, str]]:
    """(importer, imported), by unit."""
    return {
        (unit_of(name), unit_of(imported))
        for name, path in modules().items()
        if name != "__init__"
        for imported in roomtape_imports(path)
        if unit_of(name) != unit_of(imported)
    }


def test_every_part_of_the_package_has_its_layer():
    assert {unit_of(name) for name in modules()} - {"__init__"} == LAYER_OF.keys()
    assert len(LAYER_OF.keys() - {"__main__"}) <= MOST_NAMES


def test_no_folder_holds_more_than_a_dozen_modules_or_so():
    for folder in {path.parent for path in modules().values()}:
        assert len([*folder.glob("[!_]*.py")]) <= 14, folder


def test_imports_go_one_way():
    backward = sorted(
        f"{importer} imports {imported}"
        for importer, imported in edges()
        if LAYER_OF[imported] >= LAYER_OF[importer]
    )
    assert not backward


@pytest.mark.parametrize("unit", ONLY)
def test_a_part_depends_on_no_more_than_it_needs(unit: str):
    assert {imported for importer, imported in edges() if importer == unit} <= ONLY[unit]


def test_the_audio_core_does_no_io():
    core = {name: path for name, path in modules().items() if unit_of(name) == PURE}
    assert len(core) > 5
    for name, path in core.items():
        assert not IMPURE_MODULES & {*outside_imports(path)}, name
        assert not [each for each in roomtape_imports(path) if each.startswith("types.clock")], name
        called = {
            node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
        }
        assert not {"open", "print", "input"} & called, name


def test_only_storage_creates_recordings():
    """Nobody else opens a file for writing."""
    writers = set()
    for name, path in modules().items():
        for node in nodes(path):
            if not isinstance(node, ast.Call):
                continue
            function = node.func
            called = (
                function.id
                if isinstance(function, ast.Name)
                else (function.attr if isinstance(function, ast.Attribute) else "")
            )
            texts = [
                each.value
                for each in [*node.args, *(keyword.value for keyword in node.keywords)]
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            ]
            if (called == "open" and {"w", "wb", "r+b", "ab", "xb"} & {*texts}) or called in (
                "write_bytes",
                "write_text",
            ):
                writers.add(unit_of(name))
    assert writers <= {"storage"}


INTERNALS = {
    "rooms.rtp.aiortc_guards",
    "rooms.rtp.aiortc_internals",
    "rooms.rtp.datagrams.aioice_internals",
    "rooms.rtp.datagrams.asyncio_internals",
}
"""Where this package reaches into those that it stands on; nowhere else."""


def private_reaches(path: Path) -> set[str]:
    """``x._name``, where ``_name`` is nothing of this file's own."""
    tree = ast.parse(path.read_text())
    reached, own = set(), {"_replace"}  # which named tuples have
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr[0] == "_" and node.attr[:2] != "__":
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                own.add(node.attr)
            else:
                reached.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own.add(node.name)
    return reached - own


def test_no_module_reaches_into_the_private_names_of_another():
    for name, path in modules().items():
        if name not in INTERNALS:
            assert not private_reaches(path), name
