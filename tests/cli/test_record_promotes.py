"""``roomtape record`` goes live, and back, on the key ``l`` and on SIGUSR2."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from roomtape.media.voices import voice_path
from support.processes import stop
from support.program import read_until, roomtape_environment, start_roomtape
from support.readers import read_all
from support.serving import serving


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as (_, url):
        yield url


@pytest.mark.network
def test_sigusr2_goes_live_and_back(tmp_path: Path, server: str):
    recording = start_roomtape(
        *("record", f"{server}/turns", "-o", tmp_path / "a.wav", "--cycle-time", "10", "--json"),
    )
    try:
        lines = read_until(recording, '"start"')
        time.sleep(0.8)
        recording.send_signal(signal.SIGUSR2)
        lines += read_until(recording, '"promoted"')
        assert (tmp_path / "a.wav").exists()
        recording.send_signal(signal.SIGUSR2)
        lines += read_until(recording, '"part_finished"')
        recording.terminate()
        rest, errors = recording.communicate(timeout=120)
    finally:
        stop(recording)
    assert (recording.returncode, errors) == (0, "")
    events = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    told = [event["event"] for event in events if event["event"] != "recording"]
    assert told == ["start", "promoted", "demoted", "part_finished", "finish", "report"]
    report = events[-1]["report"]
    live = len(read_all(tmp_path / "a.1.wav")[0])  # aside, since the ring became a.wav at the end
    assert live == round(report["skipped_s"] * 32000)
    assert len(read_all(tmp_path / "a.wav")[0]) == round(report["duration_s"] * 32000)


@pytest.mark.network
def test_stems_turn_with_the_recording(tmp_path: Path, server: str):
    room = f"{server}/turning-stems"
    hears = start_roomtape(
        *("record", room, "-o", tmp_path / "a.wav", "--cycle-time", "10", "--json"),
        *("--stems", tmp_path / "stems", "--name", "ear"),
    )
    speaks = None
    try:
        lines = read_until(hears, '"start"')
        speaks = start_roomtape(
            *("record", room, "-o", tmp_path / "mouth.wav", "--position", "local"),
            *("--duration", "60", "--name", "mouth", "--speak", voice_path("dave")),
        )
        lines += read_until(hears, "mouth")
        time.sleep(2.0)
        hears.send_signal(signal.SIGUSR2)
        lines += read_until(hears, '"promoted"')
        time.sleep(1.0)
        hears.send_signal(signal.SIGUSR2)
        lines += read_until(hears, '"part_finished"')
        hears.terminate()
        _, errors = hears.communicate(timeout=120)
    finally:
        for each in (hears, speaks):
            if each is not None:
                stop(each)
    assert (hears.returncode, errors) == (0, "")
    for mix, stem in (("a.1.wav", "001-mouth.wav"), ("a.wav", "001-mouth-002.wav")):
        whole, _ = read_all(tmp_path / mix)
        alone, _ = read_all(tmp_path / "stems" / stem)
        assert np.array_equal(alone, whole), (mix, stem)
    heard, _ = read_all(tmp_path / "a.1.wav")
    assert np.abs(heard).max() > 1000


@pytest.mark.network
@pytest.mark.parametrize("cycle", ["10", "0"])
def test_the_key_l_goes_live_and_the_meters_say_what_is_kept(
    cycle: str, tmp_path: Path, server: str
):
    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "roomtape", "record", f"{server}/keys-{cycle}"),
            *("-o", str(tmp_path / "a.aac"), "--cycle-time", cycle),
        ],
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env=roomtape_environment({"TERM": "xterm-256color", "COLUMNS": "200"}),
    ) as recording:
        try:
            while b"REC" not in shown:
                shown += os.read(ours, 65536)
            assert (b"the last 10 s; l: live" in shown) == (cycle == "10")
            os.write(ours, b"l")
            expected = b"live; l: the last 10 s" if cycle == "10" else b"it is no cyclic recording"
            while expected not in shown:
                shown += os.read(ours, 65536)
            recording.terminate()
            while b"finished" not in shown:
                shown += os.read(ours, 65536)
            assert recording.wait(120) == 0
        finally:
            stop(recording)
            os.close(ours)
            os.close(theirs)
    assert len(read_all(tmp_path / "a.aac")[0]) > 0
