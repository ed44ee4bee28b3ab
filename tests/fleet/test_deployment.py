"""The Dockerfile, the compose file and the systemd unit, as far as they can be looked at without an
engine, by the tools that are made for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from roomtape.cli import app
from support.program import run_roomtape

ROOT = Path(__file__).parents[2]
DOCKERFILE, COMPOSE = ROOT / "Dockerfile", ROOT / "compose.yaml"
UNIT = ROOT / "deploy" / "roomtape-worker.service"
KEYS = {"LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret" * 6}


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_dockerfile_is_clean():
    hadolint = Path(sys.executable).with_name("hadolint")
    assert run(str(hadolint), str(DOCKERFILE)) == ""


def test_the_unit_is_one(tmp_path: Path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (apt-get install systemd)")
    # The program need not be installed here.
    unit = UNIT.read_text().replace("/opt/roomtape/bin/roomtape", sys.executable)
    (tmp_path / UNIT.name).write_text(unit)
    said = run("systemd-analyze", "verify", "--man=no", str(tmp_path / UNIT.name))
    assert UNIT.name not in said, said


def test_the_compose_file_is_one():
    version = ["docker", "compose", "version"]
    if (
        shutil.which("docker") is None
        or subprocess.run(version, check=False, capture_output=True).returncode
    ):
        # It comes from nowhere but Docker: there is nothing to be installed where it is not.
        pytest.xfail("needs docker compose")
    assert "worker-2" in run("docker", "compose", "--file", str(COMPOSE), "config", **KEYS)


def test_each_command_in_them_is_one_of_ours():
    commands = {
        *re.findall(r'CMD \["(\w+)"', DOCKERFILE.read_text()),
        *re.findall(r"bin/roomtape (\w+)", UNIT.read_text()),
    }
    assert commands == {"worker"}
    assert "worker" in {each.callback.__name__ for each in app.registered_commands}
    known = {*re.findall(r"--[a-z][a-z-]+", run_roomtape("worker", "--help").stdout)}
    used = {
        *re.findall(r'"(--[a-z][a-z-]+)"', DOCKERFILE.read_text().rpartition("CMD")[2]),
        *re.findall(r"(--[a-z][a-z-]+)", re.findall("ExecStart=.*", UNIT.read_text())[0]),
    }
    assert used <= known


def test_no_secret_is_in_them():
    for path in (DOCKERFILE, COMPOSE, UNIT):
        for line in path.read_text().splitlines():
            if re.match(r"\s*(LIVEKIT_API_SECRET|LIVEKIT_KEYS):", line):
                assert "${LIVEKIT_API_SECRET:?" in line
        assert "eyJ" not in path.read_text()


def test_what_the_image_is_built_from_reaches_it():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
