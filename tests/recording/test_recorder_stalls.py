"""Time goes on while this process does not: the length stays right, and the report says so."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.lag import Lag
from support.processes import SUPPORT
from support.program import roomtape_environment
from support.readers import read_all
from support.signals import noise

AAC_FRAME_S = 1024 / 48000


async def recording_of_a_stopped_process(path: Path) -> dict[str, Any]:
    """Record 11 s: the event loop is blocked from second 1 to 3, the process from 4 to 9."""
    environment = roomtape_environment()
    environment["PYTHONPATH"] = f"{SUPPORT.parent}{os.pathsep}{environment['PYTHONPATH']}"
    with subprocess.Popen(  # noqa: ASYNC220 (it starts within milliseconds)
        [sys.executable, "-m", "support.stalled_recording", str(path), "11", "2"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        try:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "started\n"
            await asyncio.sleep(4)
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(5)
            process.send_signal(signal.SIGCONT)
            said: dict[str, Any] = json.loads(await asyncio.to_thread(process.stdout.readline))
            assert await asyncio.to_thread(process.wait, 120) == 0
        finally:
            process.kill()
    return said


@pytest.mark.realtime
async def test_a_blocked_loop_costs_nothing_and_a_stopped_process_what_it_did_not_hear(
    tmp_path: Path,
    lag: Lag,
):
    paths = [tmp_path / "a.wav", tmp_path / "a.aac"]
    outcomes = await asyncio.gather(*map(recording_of_a_stopped_process, paths))
    for path, said in zip(paths, outcomes, strict=True):
        pcm, rate = read_all(path)
        longer_s = len(pcm) / rate - said["length_s"]
        frame_s = AAC_FRAME_S if path.suffix == ".aac" else 0
        assert -0.02 - lag.worst_s <= longer_s <= 0.02 + lag.worst_s + frame_s
        (mic,) = said["report"]["sources"]
        assert 4.5 < mic["lost_s"] < 5.5 + lag.worst_s
        assert mic["received_s"] + mic["lost_s"] == pytest.approx(
            said["length_s"], abs=0.3 + lag.worst_s
        )
        (stall,) = [each for each in mic["intervals"] if each["kind"] == "stalled"]
        assert stall["end_s"] - stall["start_s"] == pytest.approx(
            mic["lost_s"], abs=0.05 + lag.worst_s
        )
        if path.suffix == ".wav":
            # Every sample that was heard stands where it was spoken, before and after.
            wanted = noise(1, 60.0)
            begin = int(np.flatnonzero(pcm)[0])
            assert begin < (0.2 + lag.worst_s) * rate
            shift = int(np.flatnonzero(wanted[:4800] == pcm[begin])[0]) - begin
            for low_s, high_s in ((0.3, 3.5), (stall["end_s"] + 0.1, 10.5)):
                low, high = round(low_s * rate), round(high_s * rate)
                assert np.array_equal(pcm[low:high], wanted[low + shift : high + shift])
