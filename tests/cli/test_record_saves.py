"""``roomtape record`` saves the last seconds on the key ``s`` and on SIGUSR1."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import stop
from support.program import (
    Cli,
    assert_one_line_error,
    read_until,
    roomtape_environment,
    start_roomtape,
)
from support.readers import read_all
from support.serving import serving


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as (_, url):
        yield url


@pytest.mark.network
def test_sigusr1_saves_the_last_seconds_and_the_recording_goes_on(tmp_path: Path, server: str):
    (tmp_path / "a.saved-1.wav").write_bytes(b"somebody's")
    recording = start_roomtape(
        *("record", f"{server}/saves", "-o", tmp_path / "a.wav", "--cycle-time", "10", "--json"),
        *("--save-last", "1", "--save-then", "0.5"),
    )
    try:
        lines = read_until(recording, '"start"')
        time.sleep(1.5)
        recording.send_signal(signal.SIGUSR1)
        lines += read_until(recording, '"saved"')
        recording.send_signal(signal.SIGUSR1)  # what is not there yet is ended with the recording
        time.sleep(0.2)  # of two signals that wait, a process may see the second one first
        recording.terminate()
        rest, errors = recording.communicate(timeout=120)
    finally:
        stop(recording)
    assert (recording.returncode, errors) == (0, "")
    events = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    saved = [event["report"] for event in events if event["event"] == "saved"]
    told = [(event["event"], event.get("detail")) for event in events]
    assert [Path(each["file_path"]).name for each in saved] == ["a.saved-2.wav", "a.saved-3.wav"], (
        told
    )
    assert saved[0]["duration_s"] == 1.5
    for each in saved:
        assert len(read_all(each["file_path"])[0]) == round(each["duration_s"] * 32000)
    assert [event["event"] for event in events][-1] == "report"
    assert (tmp_path / "a.saved-1.wav").read_bytes() == b"somebody's"


@pytest.mark.network
def test_the_key_s_saves_on_a_terminal_and_the_terminal_is_left_as_it_was(
    tmp_path: Path, server: str
):
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    shown = b""
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "roomtape", "record", f"{server}/keys"),
            *("-o", str(tmp_path / "a.aac"), "--save-last", "2"),
        ],
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env=roomtape_environment({"TERM": "xterm-256color"}),
    ) as recording:
        try:
            while b"REC" not in shown:
                shown += os.read(ours, 65536)
            os.write(ours, b"xs")
            while b"saved 0:0" not in shown:
                shown += os.read(ours, 65536)
            recording.terminate()
            while b"finished" not in shown:
                shown += os.read(ours, 65536)
            assert recording.wait(120) == 0
            assert termios.tcgetattr(theirs) == before
        finally:
            stop(recording)
            os.close(ours)
            os.close(theirs)
    assert len(read_all(tmp_path / "a.saved-1.aac")[0]) > 0
    assert not (tmp_path / "a.saved-2.aac").exists()


@pytest.mark.parametrize(
    ("option", "value"), [("--save-last", "-1"), ("--save-then", "4000"), ("--save-last", "nan")]
)
def test_what_cannot_be_saved_is_told_at_the_start(
    option: str, value: str, tmp_path: Path, run_here: Cli
):
    done = run_here("record", "http://127.0.0.1:1/a", "-o", tmp_path / "a.wav", option, value)
    assert_one_line_error(done, 2, option)
