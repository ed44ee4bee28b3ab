from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.damage import write_wav
from support.program import Cli, assert_one_line_error, roomtape_environment, run_roomtape
from support.signals import silence, speech, tone


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    pcm = np.concatenate([silence(2), speech("alice", 4)])
    pcm[-10:] = 32767
    return write_wav(tmp_path / "call.wav", pcm)


def test_plain_lines_say_what_the_file_holds(recording: Path):
    done = run_roomtape("inspect", recording)
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert lines["format"] == "wav pcm_s16le, 48000 Hz, mono"
    assert lines["duration"] == "0:06.000 (6.000000 s, 288000 samples)"
    assert lines["peak"] == "-0.00 dBFS"
    assert lines["clipping"] == "10 samples in 1 run"
    assert "; 0:00.0 to 0:02.0" in lines["silence"]
    assert lines["damage"] == "none"


def test_json_is_one_object_with_the_same_facts(recording: Path, run_here: Cli):
    done = run_here("inspect", recording, "--json")
    assert done.stdout.count("\n") == 1
    found = json.loads(done.stdout)
    assert (found["samples"], found["clipped_samples"], found["damage"]) == (288000, 10, [])


def test_two_channels_are_told_apart(tmp_path: Path, run_here: Cli):
    sides = np.stack([tone(440, 2, dbfs=-6), silence(2)], axis=1)
    done = run_here("inspect", write_wav(tmp_path / "a.wav", sides))
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert lines["format"] == "wav pcm_s16le, 48000 Hz, 2 channels"
    assert lines["peak"] == "-6.00 dBFS (left -6.00, right -inf)"
    assert lines["rms"] == "-12.02 dBFS (left -9.01, right -inf)"


def test_on_a_terminal_a_table_is_shown(recording: Path):
    controller, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "roomtape", "inspect", str(recording)],
        stdout=terminal,
        check=True,
        timeout=300,
        env=roomtape_environment({"TERM": "xterm-256color"}),
    )
    os.close(terminal)
    shown = os.read(controller, 1 << 16).decode()
    os.close(controller)
    assert done.returncode == 0
    assert "\x1b[" in shown
    assert "10 samples in 1 run" in shown


def test_a_damaged_file_is_told_and_is_no_failure(recording: Path, run_here: Cli):
    with recording.open("r+b") as file:
        file.truncate(44 + 96000)
    done = run_here("inspect", recording)
    assert done.returncode == 0
    assert "damage: damaged, 1.0 s readable of 6.0 s declared" in done.stdout


def test_plot_draws_a_picture(recording: Path, tmp_path: Path, run_here: Cli):
    done = run_here("inspect", recording, "--plot", tmp_path / "a.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_bad_input_is_one_line_and_leaves_nothing_behind(tmp_path: Path, run_here: Cli):
    (tmp_path / "text.wav").write_text("this is text")
    (tmp_path / "empty.wav").touch()
    before = sorted(tmp_path.iterdir())
    for name, words in (
        ("text.wav", "not a WAV file"),
        ("empty.wav", "the file is empty"),
        ("nosuch.wav", "no such file"),
    ):
        done = run_here("inspect", tmp_path / name, "--plot", tmp_path / "a.png")
        assert_one_line_error(done, 1, words)
    assert sorted(tmp_path.iterdir()) == before


def test_a_picture_that_cannot_be_written_is_one_line(
    recording: Path, tmp_path: Path, run_here: Cli
):
    done = run_here("inspect", recording, "--plot", tmp_path / "nosuch" / "a.png")
    assert_one_line_error(done, 1, "cannot write the picture")
