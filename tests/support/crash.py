"""Recorders that are killed, and disks that are small or lose their power.

Run as a program (``DIRECTORY SEED SHORT LONG``) this records and kills, one forked child a moment,
and prints a line of JSON for each. Python starts once, so a hundred moments are cheap; each child
runs twelve recordings at once, so each kill tests twelve files. With ``power MOUNT-POINT SECONDS``
it records on that disk and cuts its power.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.types import AudioRecordingCode, RecordingEvent

RATES_HZ = (16000, 44100, 48000)
_FRAME_S = 0.02
_EXT4_IOC_SHUTDOWN = 0x8004587D
_NOLOGFLUSH = 2  # nothing that waits is written any more: the power is gone


# -- recorders that are killed ----------------------------------------------------------------


def names() -> list[str]:
    """The twelve recordings of one child: both kinds, both formats, three rates."""
    return [
        f"{kind}-{rate_hz}.{suffix}"
        for kind in ("live", "cyclic")
        for suffix in ("wav", "aac")
        for rate_hz in RATES_HZ
    ]


async def record_until_killed(directory: Path, started_file: Path) -> None:
    """Record noise to every one of :func:`names`; when all have started, say when, in
    nanoseconds of the monotonic clock, in ``started_file``."""
    started: dict[str, int] = {}

    def on_event(event: RecordingEvent) -> None:
        if event.code is AudioRecordingCode.START:
            started[Path(event.file_path).name] = time.monotonic_ns()

    sources = []
    for name in names():
        recorder = AudioRecorder(
            AudioRecordingConfiguration(
                directory / name,
                sample_rate=int(name.split("-")[1].split(".")[0]),
                cycle_time=10 if name.startswith("cyclic") else 0,
            ),
            on_event=on_event,
        )
        await recorder.start()
        sources.append(recorder.add_source("alice"))
    half_written = started_file.with_suffix(".half")
    half_written.write_text(json.dumps(started))
    half_written.rename(started_file)
    pcm = np.random.default_rng(1).integers(-8000, 8000, 48000 * 2).astype(np.int16)
    frame, begin = round(_FRAME_S * 48000), time.monotonic()
    for number in range(50 * 60):  # a minute at the most
        await asyncio.sleep(max(0.0, begin + number * _FRAME_S - time.monotonic()))
        at = number * frame % len(pcm)
        for source in sources:
            source.push(pcm[at : at + frame], 48000, number * frame)


def fork_recorder(directory: Path, started_file: Path) -> int:
    """Fork a child that runs :func:`record_until_killed`; return its process id. Only for a
    process without threads."""
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(record_until_killed(directory, started_file))
        except Exception:
            traceback.print_exc()
        os._exit(1)
    return child


def wait_until_started(started_file: Path) -> dict[str, int]:
    for _ in range(2000):
        if started_file.exists():
            return {str(name): int(at) for name, at in json.loads(started_file.read_text()).items()}
        time.sleep(0.01)
    raise AssertionError("the recorders did not start")


def kill_at_random_moments(directory: Path, seed: int, short: int, long: int) -> None:
    """Fork, record, kill; ``short`` times within 2.4 s, ``long`` times after the cycle is full."""
    chance = random.Random(seed)
    delays = [chance.uniform(0, 2.4) for _ in range(short)]
    delays += [chance.uniform(10.2, 13) for _ in range(long)]
    for number, delay in enumerate(delays):
        place = directory / str(number)
        place.mkdir()
        started_file = directory / f"{number}.started"
        child = fork_recorder(place, started_file)
        try:
            started = wait_until_started(started_file)
            time.sleep(delay)
        finally:
            killed_ns = time.monotonic_ns()
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        ran_s = {name: (killed_ns - start_ns) / 1e9 for name, start_ns in started.items()}
        print(json.dumps({"directory": str(place), "ran_s": ran_s}), flush=True)  # noqa: T201


def cut_power_after(directory: Path, delay: float) -> None:
    """Fork, record on the disk that is mounted at ``directory``, and cut its power."""
    started_file = directory.parent / "all.started"
    child = fork_recorder(directory, started_file)
    try:
        started = wait_until_started(started_file)
        time.sleep(delay)
        cut_ns = time.monotonic_ns()
        cut_power(directory)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    ran_s = {name: (cut_ns - start_ns) / 1e9 for name, start_ns in started.items()}
    print(json.dumps(ran_s))  # noqa: T201


@contextmanager
def crash_program(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """This file as a program, ended when the block is left."""
    with subprocess.Popen(
        [sys.executable, "-m", "support.crash", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            # The child must not inherit threads: they do not survive a fork.
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
        },
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


# -- disks ------------------------------------------------------------------------------------


def need_root() -> None:
    """Skip the test without root; in CI, fail."""
    if os.geteuid() == 0:
        return
    if os.environ.get("CI"):
        pytest.fail("CI must run the tests that need root")
    pytest.skip("mounting needs root")


def cut_power(mount_point: Path) -> None:
    """From now on nothing reaches this ext4 disk, as if it had lost its power."""
    fd = os.open(mount_point, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NOLOGFLUSH))
    finally:
        os.close(fd)


@contextmanager
def tmpfs(directory: Path, *, size: str) -> Iterator[Path]:
    """A small disk in memory at ``directory``."""
    directory.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory))
    try:
        yield directory
    finally:
        _run("umount", "--lazy", str(directory))


class PowerCutDisk:
    """An ext4 file system in a file, whose power can be cut."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "mounted"
        self.path.mkdir()
        self._image = directory / "image"
        with self._image.open("wb") as image:
            image.truncate(256 << 20)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self._mounted = False
        self.mount()

    def mount(self) -> None:
        _run("mount", "-o", "loop", str(self._image), str(self.path))
        self._mounted = True

    def unmount(self) -> None:
        if self._mounted:
            _run("umount", str(self.path))
            self._mounted = False


@contextmanager
def power_cut_disk(directory: Path) -> Iterator[PowerCutDisk]:
    """See :class:`PowerCutDisk`."""
    disk = PowerCutDisk(directory)
    try:
        yield disk
    finally:
        disk.unmount()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


if __name__ == "__main__":
    if sys.argv[1] == "power":
        cut_power_after(Path(sys.argv[2]), float(sys.argv[3]))
    else:
        kill_at_random_moments(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
