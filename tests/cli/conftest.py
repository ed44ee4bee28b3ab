"""The command line inside the test's own process, without the second that a program takes to
start."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from roomtape import cli
from support.program import Cli


@pytest.fixture
def run_here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """``run_here("mix", a, b, "-o", out)``."""
    monkeypatch.delenv("ROOMTAPE_DEBUG", raising=False)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        code = cli.main([*map(str, arguments)])
        said = capsys.readouterr()
        return subprocess.CompletedProcess([*map(str, arguments)], code, said.out, said.err)

    return run
