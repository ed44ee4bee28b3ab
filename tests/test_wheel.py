"""A stranger's way: a machine with nothing but Python, ``pip install``, and README's own lines."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from support.lag import Lag
from support.readers import read_all
from support.signals import speech
from support.words import assert_each_in_place, find_words, place_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roomtape"
INTERRUPTED_S, SAID_S = 1.2, 3.0
AROUND = """
import asyncio
import numpy as np
from roomtape.media.voices import load_voice

speech = load_voice("carol", 24000)
pcm = np.concatenate([np.zeros({silent}, np.int16), load_voice("alice", 16000)])[:{said}]

class peer_connection:
    on = staticmethod(lambda event: lambda function: function)

async def readme():
{lines}

asyncio.run(readme())
"""
"""What README's first program takes for granted; the caller speaks when it interrupts the bot."""


def readme_program() -> str:
    """In which time goes by: until the bot is interrupted, and until the end."""
    lines = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    for before, waits_s in (
        ("bot.clear()", INTERRUPTED_S),
        ("report = ", SAID_S - INTERRUPTED_S + 0.3),
    ):
        assert lines.count(before) == 1
        lines = lines.replace(before, f"await asyncio.sleep({waits_s})\n{before}")
    silent, said = round(INTERRUPTED_S * 16000), round(SAID_S * 16000)
    return AROUND.format(silent=silent, said=said, lines=textwrap.indent(lines, "    "))


def pythons() -> list[object]:
    """This Python, and the others that are here and can have the package."""
    others = {shutil.which(f"python3.{minor}") for minor in range(11, 16)}
    others |= {str(path) for path in Path.home().glob(".pyenv/versions/3.1[1-9].*/bin/python")}
    others |= {str(path) for path in CACHE.glob("python3.*/usr/bin/python3.*")}  # .ci/python3.14
    found = {sys.version_info[1]: sys.executable}
    for each in sorted(filter(None, others)):
        asked = "import sys, venv; print(sys.version_info[1])"
        done = subprocess.run([each, "-c", asked], capture_output=True, text=True, check=False)
        if done.returncode == 0 and int(done.stdout) >= 11:
            found.setdefault(int(done.stdout), each)
    return [pytest.param(found[minor], id=f"3.{minor}") for minor in sorted(found)]


def accelerated(python: Path) -> bool:
    code = "from roomtape.audio.arrays import NATIVE; print(NATIVE is not None)"
    return run(python, "-I", "-c", code) == "True\n"


def run(*command: object, cwd: Path | None = None, **env: str) -> str:
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **env},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """What several tests need, made by the first worker that comes to it."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / f"{name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (shared / name).exists():
            making = shared / f"{name}.making"
            shutil.rmtree(making, ignore_errors=True)  # of who failed
            making.mkdir()
            make(making)
            making.rename(shared / name)
    return shared / name


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of what git has: no file that happens to lie about may be needed. Beside it is a Python with
    what builds it, and nothing else."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of git")

    def make(place: Path) -> None:
        source = place / "source"
        run("git", "-C", ROOT, "archive", "--output", place / "source.tar", "HEAD")
        shutil.unpack_archive(place / "source.tar", source)
        needed = tomllib.loads((source / "pyproject.toml").read_text())["build-system"]["requires"]
        builder = bare_python(sys.executable, place)
        run(*pip(builder), "install", *needed)
        code = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
        run(builder, "-c", code, place, cwd=source)

    (built,) = once(tmp_path_factory, "sdist", make).glob("roomtape-*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the source distribution, so that lacks nothing either."""
    (built,) = once(tmp_path_factory, "wheel", partial(build_wheel, sdist)).glob("*.whl")
    return built


def build_wheel(sdist: Path, place: Path, **env: str) -> None:
    builder = pip(sdist.parent / "bare/bin/python")
    # Not out of the cache, nor into it: it would be taken for that of another compiler.
    alone = ("--no-cache-dir", "--no-build-isolation", "--no-deps")
    run(*builder, "wheel", *alone, "--wheel-dir", place, sdist, **env)


def pip(python: str | Path) -> tuple[str | Path, ...]:
    """This environment's pip, run by another Python: to give each its own takes 3 s."""
    quiet = ("--quiet", "--disable-pip-version-check")
    return (sys.executable, "-m", "pip", "--python", python, *quiet)


def bare_python(python: str, place: Path) -> Path:
    """With nothing at all."""
    run(python, "-m", "venv", "--without-pip", place / "bare")
    return place / "bare/bin/python"


@pytest.fixture(scope="module")
def installed(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A Python that has the wheel, and the newest versions of all that it needs."""
    bare = bare_python(request.param, tmp_path_factory.mktemp("installed"))
    run(*pip(bare), "install", "--no-compile", wheel)
    return bare


def readme_records(python: Path, place: Path, lag: Lag) -> None:
    """README's lines, with a Python that has the package; and the file has what was heard."""
    (place / "readme.py").write_text(readme_program())
    told = run(python, "-I", place / "readme.py", cwd=place)
    seconds = {
        words[0]: [float(each) for each in words[1:]]
        for words in map(str.split, told.splitlines())
        if words[0] in ("caller", "bot")
    }
    # What was pushed before it was recorded, or was still to be said, is not in the file.
    assert seconds["caller"] == pytest.approx([SAID_S, 0.0, 0.0], abs=0.02)
    assert seconds["bot"] == pytest.approx([INTERRUPTED_S, 0.0, 0.0], abs=0.05 + lag.worst_s)
    pcm, rate_hz = read_all(place / "call.wav")
    assert rate_hz == 48000
    bot, caller = speech("carol", INTERRUPTED_S), speech("alice", SAID_S - INTERRUPTED_S)
    begins_s = place_of(bot, pcm, rate_hz)
    assert 0 <= begins_s < 0.1 + lag.worst_s
    for said, at_s in ((bot, begins_s), (caller, begins_s + INTERRUPTED_S)):
        found = find_words(said, pcm, rate_hz, begins_s=at_s)
        assert_each_in_place(found, at_least=2, within_s=0.02 + lag.worst_s, alike=0.9)


@pytest.mark.realtime
@pytest.mark.parametrize("installed", pythons(), indirect=True)
def test_pip_install_and_the_lines_of_the_readme_record(
    installed: Path, tmp_path: Path, lag: Lag
) -> None:
    assert accelerated(installed) == (shutil.which("cc") is not None)
    readme_records(installed, tmp_path, lag)
    one_line = subprocess.run(
        [installed, "-I", "-m", "roomtape", "--help"], capture_output=True, text=True, check=False
    )
    assert one_line.returncode == 1
    assert "pip install 'roomtape[cli]'" in one_line.stderr


@pytest.mark.realtime
def test_the_source_installs_without_a_compiler(sdist: Path, tmp_path: Path, lag: Lag) -> None:
    build_wheel(sdist, tmp_path, CC="/bin/false")
    bare = bare_python(sys.executable, tmp_path)
    run(*pip(bare), "install", "--no-compile", *tmp_path.glob("*.whl"))
    assert not accelerated(bare)
    readme_records(bare, tmp_path, lag)
