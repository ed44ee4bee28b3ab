"""The program ``roomtape``, run as a user runs it: in a process of its own."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import roomtape

Cli = Callable[..., subprocess.CompletedProcess[str]]
"""Runs one command: ``run_here("mix", a, b, "-o", out)``."""

_COMMAND = [sys.executable, "-m", "roomtape"]
_SOURCE = str(Path(roomtape.__file__).parents[1])


def roomtape_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would change the program's behaviour."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ROOMTAPE_")}
    # A subprocess runs the code under test even where it is not installed.
    path = os.pathsep.join(filter(None, [_SOURCE, os.environ.get("PYTHONPATH", "")]))
    return {**plain, "PYTHONPATH": path, "COLUMNS": "100", **(extra or {})}


def run_roomtape(
    *arguments: str | Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return _run([*_COMMAND, *map(str, arguments)], env)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    return _run([sys.executable, "-c", code], None)


def _run(command: list[str], env: Mapping[str, str] | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=roomtape_environment(env),
    )


def start_roomtape(
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    errors: IO[str] | int = subprocess.PIPE,
) -> subprocess.Popen[str]:
    """Start a command that runs until it is told to stop; ``with`` it, and stop it."""
    return subprocess.Popen(
        [*_COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        env=roomtape_environment(env),
    )


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    """What a program printed, up to a line that contains ``words``."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or words not in lines[-1]:
        line = process.stdout.readline()
        assert line, (lines, process.stderr and process.stderr.read())
        lines.append(line)
    return lines


def assert_one_line_error(done: subprocess.CompletedProcess[str], code: int, words: str) -> None:
    """The command failed with ``code`` and one line on stderr that contains ``words``."""
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("roomtape: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert words in done.stderr


def obey_permissions() -> None:
    """For a child process of root: file permissions apply to it as to anybody."""
    prctl = ctypes.CDLL(None).prctl
    for capability in (1, 2, 3):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
        prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
