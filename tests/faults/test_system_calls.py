"""Faults in the system calls themselves, put there with strace: below Python, and below our seam.

What is injected into :class:`Disk` elsewhere is what we think that the system does; here the
kernel's own calls fail, wait, or are the last that the process makes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from roomtape.storage.recover import recover
from support.program import roomtape_environment
from support.readers import read_all

pytestmark = pytest.mark.slow

RATE_HZ = 16000
_TESTS = str(Path(__file__).parents[1])
_RECORD = """
import asyncio, json, sys
from pathlib import Path
from support.scripted_recording import record_scripted

outcome = asyncio.run(
    record_scripted(Path(sys.argv[1]), sample_rate=16000, seconds=4, cycle_time=int(sys.argv[2]))
)
report = outcome.report
print(json.dumps({
    "codes": [code.name for code in outcome.codes],
    "refused": outcome.refused,
    "duration_s": report and report.duration_s,
    "error": report and report.error,
}))
"""


def record_under(
    injected: str, path: Path, *, cycle_time: int = 0
) -> tuple[subprocess.CompletedProcess[str], dict[str, object]]:
    """Record 4 s with a fault in a system call, as in ``fdatasync:error=EIO:when=2``."""
    if shutil.which("strace") is None:
        pytest.skip("strace is needed for this test")
    call = injected.partition(":")[0]
    strace = ("strace", "-f", "-qqq", "-o", os.devnull)
    program = (sys.executable, "-c", _RECORD, str(path), str(cycle_time))
    done = subprocess.run(
        [*strace, "-e", f"trace={call}", "-e", f"inject={injected}", *program],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=roomtape_environment({"PYTHONPATH": os.pathsep.join([_TESTS, *sys.path])}),
    )
    return done, json.loads(done.stdout) if done.stdout else {}


@pytest.mark.parametrize(
    ("injected", "words"),
    [
        ("pwrite64:error=ENOSPC:when=4+", "no space left"),
        ("fdatasync:error=EIO:when=2", "input/output error"),
    ],
)
def test_a_call_that_fails_is_one_error_and_the_file_is_readable(
    injected: str, words: str, tmp_path: Path
):
    done, told = record_under(injected, tmp_path / "a.wav")
    assert told["codes"] == ["START", "ERROR"], done.stderr
    assert words in str(told["error"])
    pcm, _ = read_all(tmp_path / "a.wav")
    assert len(pcm) / RATE_HZ == told["duration_s"]


@pytest.mark.parametrize(
    "injected",
    ["pwrite64:error=EINTR:when=2+2", "fdatasync:delay_enter=300000"],
    ids=["interrupted", "slow"],
)
def test_a_call_that_only_stumbles_costs_nothing(injected: str, tmp_path: Path):
    done, told = record_under(injected, tmp_path / "a.wav")
    assert told["codes"] == ["START", "FINISH"], done.stderr
    assert len(read_all(tmp_path / "a.wav")[0]) == 4 * RATE_HZ


@pytest.mark.parametrize("cycle_time", [0, 10])
def test_a_kill_inside_a_call_leaves_what_was_written(cycle_time: int, tmp_path: Path):
    done, _ = record_under(
        "pwrite64:signal=SIGKILL:when=12", tmp_path / "a.wav", cycle_time=cycle_time
    )
    assert done.returncode in (-9, 137)
    recovered = recover(tmp_path / "a.wav")
    assert 1.5 <= recovered.duration_s < 4
    assert len(read_all(tmp_path / "a.wav")[0]) == round(recovered.duration_s * RATE_HZ)
