"""How far ``inspect`` and ``mix`` are, on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from roomtape.storage.wav import wav_header
from support.program import roomtape_environment, run_roomtape

pytestmark = pytest.mark.slow


@pytest.fixture
def long_wav(tmp_path: Path) -> Path:
    """Hours of silence that take no disk."""
    path, data_bytes = tmp_path / "long.wav", 3 * 3600 * 2 * 48000
    path.write_bytes(wav_header(48000, data_bytes))
    with path.open("r+b") as file:
        file.truncate(80 + data_bytes)
    return path


@pytest.mark.parametrize(
    ("command", "verb"), [(("inspect",), "read"), (("mix", "-o", "out.wav"), "mixed")]
)
def test_a_long_file_shows_how_far_it_is(
    command: tuple[str, ...], verb: str, long_wav: Path, tmp_path: Path
):
    controller, terminal = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "roomtape", *command, str(long_wav)],
        stderr=terminal,
        stdout=subprocess.DEVNULL,
        check=True,
        cwd=tmp_path,
        timeout=120,
        env=roomtape_environment(),
    )
    os.close(terminal)
    shown = os.read(controller, 1 << 16).decode()
    os.close(controller)
    assert f"{verb} " in shown
    assert " of 3:00:00" in shown
    assert shown.endswith("\r\x1b[K")


def test_without_a_terminal_nothing_is_shown(long_wav: Path):
    assert run_roomtape("inspect", long_wav).stderr == ""
