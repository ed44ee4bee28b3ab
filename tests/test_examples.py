"""The examples are whole programs: each is run as a user would, and what it leaves is looked at."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from roomtape.analysis.alignment import find_voice
from roomtape.media.voices import load_voice
from support.readers import read_all

EXAMPLES = Path(__file__).parent.parent / "examples"

HEARD = {
    "swap_media_recorder": ("alice", "bob"),
    "engine_cyclic": ("bob",),
    "push_pcm": ("carol", "dave"),
    "long_call": ("alice", "bob"),
    "replay_to_live": ("alice", "bob"),
    "prove_recording": ("alice", "bob"),
    "sides_and_stems": ("alice", "bob"),
    "respect_people": ("alice", "bob"),
}

ELSEWHERE = {"livekit_agent": "livekit_rooms/test_agent.py"}
"""Examples that need more than a Python."""


def test_every_example_is_tested_and_short() -> None:
    programs = {path.stem: path for path in EXAMPLES.glob("*.py")}
    assert set(programs) == {*HEARD, *ELSEWHERE}
    for name, test in ELSEWHERE.items():
        assert f"{name}.py" in (Path(__file__).parent / test).read_text()
    for path in programs.values():
        assert len(path.read_text().splitlines()) < 90


@pytest.mark.realtime
@pytest.mark.parametrize("name", HEARD)
def test_an_example_records_its_voices(name: str, tmp_path: Path) -> None:
    recording = tmp_path / "example.wav"
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", recording],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    pcm, rate_hz = read_all(recording)
    if pcm.ndim == 2:
        pcm = pcm.sum(axis=1, dtype=np.int16)
    for voice in HEARD[name]:
        assert find_voice(pcm, load_voice(voice, rate_hz), rate_hz).score > 0.25
