"""A stranger's way: a machine with nothing but Python, ``pip install`` of the wheel, five lines."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.readers import read_all

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PROGRAM = """
import asyncio, sys
import numpy as np
from roomtape import AudioRecorder, AudioRecordingConfiguration

async def main():
    config = AudioRecordingConfiguration(sys.argv[1], sample_rate=16000)
    async with AudioRecorder(config) as recorder:
        caller = recorder.add_source("caller")
        caller.push(np.arange(8000, dtype=np.int16), sample_rate=16000, pts=0)
        await asyncio.sleep(0.6)
    print(recorder.report.sources[0].received_s)

asyncio.run(main())
"""


def pythons() -> list[str]:
    """This Python, and the others that are here and can have the package."""
    others = {shutil.which(f"python3.{minor}") for minor in range(11, 16)}
    others |= {str(path) for path in Path.home().glob(".pyenv/versions/3.1[1-9].*/bin/python")}
    found = {sys.version_info[:2]: sys.executable}
    for each in sorted(filter(None, others)):
        asked = "import sys, venv, ensurepip; print(sys.version_info[1])"
        done = subprocess.run([each, "-c", asked], capture_output=True, text=True, check=False)
        if done.returncode == 0 and int(done.stdout) >= 11:
            found.setdefault((3, int(done.stdout)), each)
    return [found[version] for version in sorted(found)]


def run(*command: object) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of what git has: no file that happens to lie about may be needed."""
    place = tmp_path_factory.mktemp("wheel")
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of git")
    run("git", "-C", ROOT, "archive", "--output", place / "source.tar", "HEAD")
    shutil.unpack_archive(place / "source.tar", place / "source")
    quietly = ("-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps")
    run(sys.executable, *quietly, "--wheel-dir", place, place / "source")
    (built,) = place.glob("*.whl")
    return built


@pytest.mark.parametrize("python", pythons(), ids=lambda python: Path(python).parts[-3])
def test_pip_install_and_five_lines_record(wheel: Path, python: str, tmp_path: Path) -> None:
    """With the newest versions of all that it needs."""
    run(python, "-m", "venv", tmp_path / "bare")
    bare = tmp_path / "bare/bin/python"
    quickly = ("--quiet", "--disable-pip-version-check", "--no-compile")
    run(bare, "-m", "pip", "install", *quickly, wheel)
    (tmp_path / "five_lines.py").write_text(PROGRAM)
    told = run(bare, "-I", tmp_path / "five_lines.py", tmp_path / "call.wav")
    assert float(told) == 0.5
    pcm, rate_hz = read_all(tmp_path / "call.wav")
    assert rate_hz == 16000
    first = int(np.flatnonzero(pcm)[0]) - 1
    assert np.array_equal(pcm[first : first + 8000], np.arange(8000))
    one_line = subprocess.run(
        [bare, "-I", "-m", "roomtape", "--help"], capture_output=True, text=True, check=False
    )
    assert one_line.returncode == 1
    assert "pip install 'roomtape[cli]'" in one_line.stderr
