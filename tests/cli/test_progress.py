"""How far ``inspect`` and ``mix`` are, on a terminal."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from roomtape.cli import progress
from roomtape.storage.wav import wav_header
from support.program import Cli

MINUTES = 20


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def long_wav(tmp_path: Path) -> Path:
    """Minutes of silence that take no disk."""
    path, data_bytes = tmp_path / "long.wav", MINUTES * 60 * 2 * 48000
    path.write_bytes(wav_header(48000, data_bytes))
    with path.open("r+b") as file:
        file.truncate(80 + data_bytes)
    return path


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person waits half a second until the first line comes; a fast machine is done by then."""
    monkeypatch.setattr(progress, "_AFTER_S", 0)
    monkeypatch.setattr(progress, "_EVERY_S", 0)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("command", "verb"), [(("inspect",), "read"), (("mix", "-o", "out.wav"), "mixed")]
)
def test_a_long_file_shows_how_far_it_is(
    command: tuple[str, ...],
    verb: str,
    long_wav: Path,
    run_here: Cli,
    monkeypatch: pytest.MonkeyPatch,
):
    screen = Screen()
    monkeypatch.chdir(long_wav.parent)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", screen)
        assert run_here(*command, long_wav).returncode == 0
    lines = screen.getvalue().split("\r\x1b[K")
    assert lines[0] == lines[-1] == ""  # each line takes the place of the one before; none stays
    places = [line.removeprefix(f"{verb} ").removesuffix(" of 20:00") for line in lines[1:-1]]
    minutes = [60 * int(at) + int(s) for at, s in (place.split(":") for place in places)]
    assert len(minutes) > 20
    assert minutes == sorted(minutes)
    assert minutes[-1] <= 60 * MINUTES


@pytest.mark.usefixtures("at_once")
def test_without_a_terminal_nothing_is_shown(long_wav: Path, run_here: Cli):
    assert run_here("inspect", long_wav).stderr == ""
