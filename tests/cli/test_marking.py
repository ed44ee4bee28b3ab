"""The key ``m`` of ``roomtape record``, and what ``inspect`` shows of marks."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from roomtape import AudioRecorder, AudioRecordingConfiguration, verify_recording
from roomtape.analysis.plot import plot_file
from roomtape.types.clock import ScriptedClock
from support.cues import read_cues_libsndfile
from support.keys import write_keys
from support.program import Cli, roomtape_environment
from support.serving import serving


@pytest.mark.network
def test_keys_mark_pause_and_mask(tmp_path: Path):
    path = tmp_path / "a.wav"
    private, public = write_keys(tmp_path)
    ours, theirs = pty.openpty()
    with serving() as (_, url):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "roomtape", "record", f"{url}/marks"),
                *("-o", str(path), "--json", "--sign", str(private), "--exclude", "bob"),
                *("--mask", "carol", "--forget", "dave", "--pause-mode", "tone"),
            ],
            stdin=theirs,
            stdout=subprocess.PIPE,
            text=True,
            env=roomtape_environment(),
        )
        os.close(theirs)
        try:
            assert process.stdout is not None
            events = []
            while not events or events[-1]["event"] != "start":
                events.append(json.loads(process.stdout.readline()))
            for _ in range(3):
                os.write(ours, b"mxpk")  # any other key is none
                time.sleep(0.5)
            os.write(ours, b"f")
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=120)
        finally:
            process.kill()
            process.wait()
            os.close(ours)
    events += [json.loads(line) for line in rest.splitlines()]
    told = [(each["label"], each["at_s"]) for each in events if each["event"] == "mark"]
    assert [label for label, _ in told] == ["mark 1", "mark 2", "mark 3"]
    report = events[-1]["report"]
    pauses = [each["event"] for each in events if each["event"] in ("paused", "resumed")]
    assert pauses == ["paused", "resumed", "paused"]
    masks = [each["event"] for each in events if each["event"].endswith("masked")]
    assert masks == ["masked", "unmasked", "masked"]
    excluded, *acts = report["acts"]
    assert (excluded["kind"], excluded["who"]) == ("excluded", "bob")
    assert {act["how"] for act in acts if act["kind"] == "paused"} == {"tone"}
    told_of = [each for each in events if each["event"] == "forgotten"]
    assert [(each["uid"], each["still_in"]) for each in told_of] == [("dave", [])]
    forgotten = next(act for act in acts if act["kind"] == "forgotten")
    acts.remove(forgotten)
    assert (forgotten["who"], forgotten["by"]) == ("dave", "key f")
    assert [(act["kind"], act["who"], act["by"]) for act in acts] == [
        ("paused", "", "key p"),
        ("masked", "carol", "key k"),
        ("resumed", "", "key p"),
        ("unmasked", "carol", "key k"),
        ("paused", "", "key p"),
        ("masked", "carol", "key k"),
    ]
    assert [(each["label"], each["at_s"]) for each in report["marks"]] == told
    assert read_cues_libsndfile(path) == [
        (each["sample"], each["label"]) for each in report["marks"]
    ]
    assert verify_recording(path, key=public).ok


async def marked(path: Path, labels: int) -> None:
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(path, report=True)
    async with AudioRecorder(config, clock=clock) as recorder:
        for number in range(labels):
            recorder.mark(f"mark $ {number} \u4e2d")
            await clock.advance(2)
        await clock.advance(1)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_inspect_shows_marks_in_words_and_on_the_picture(
    suffix: str, tmp_path: Path, run_here: Cli
):
    path, plain = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    await marked(path, 2)
    await marked(plain, 0)
    png, plain_png = tmp_path / "a.png", tmp_path / "b.png"
    done = run_here("inspect", path, "--plot", png)
    lines = done.stdout.splitlines()
    assert lines[-2:] == ["mark: 0:00.000 mark $ 0 \u4e2d", "mark: 0:02.000 mark $ 1 \u4e2d"]
    found = json.loads(run_here("inspect", path, "--json").stdout)
    assert [mark["at_s"] for mark in found["marks"]] == [0, 2]
    plot_file(plain, plain_png)
    pink = np.array([0xC2, 0x18, 0x5B]) / 255

    def columns(picture: Path) -> int:
        """How many columns of the picture have a line of the marks' colour."""
        near = np.abs(imread(picture)[:, :, :3] - pink).max(axis=2) < 0.02
        return int((near.sum(axis=0) > 100).sum())

    assert columns(png) >= 2
    assert columns(plain_png) == 0


async def test_so_many_marks_still_give_a_picture(tmp_path: Path, run_here: Cli):
    path = tmp_path / "a.wav"
    await marked(path, 30)
    plot_file(path, tmp_path / "a.png")
    shown = [
        line for line in run_here("inspect", path).stdout.splitlines() if line.startswith("mark: ")
    ]
    assert len(shown) == 21
    assert shown[-1] == "mark: and 10 more"
