"""Recorders that are killed, at a random moment or at each of their calls to the disk.

Run as a program, Python starts once, so a hundred kills are cheap:

- ``DIRECTORY SEED SHORT LONG`` records and kills, one forked child a moment, and prints a line of
  JSON for each. A child runs twelve recordings at once, so each kill tests twelve files.
- ``power MOUNT-POINT SECONDS`` records on that disk and cuts its power.
- ``each-call DIRECTORY FILE-NAME CYCLE-TIME`` makes the same short recording again and again,
  killed at its first, second, ... call to the disk, each in a directory of its number; ``whole`` is
  one that nobody killed. Prints how many there were.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.storage.disk import Disk
from roomtape.types import AudioRecordingCode, RecordingEvent

from .disks import cut_power
from .scripted_recording import record_scripted

RATES_HZ = (16000, 44100, 48000)
_FRAME_S = 0.02
OLDER = b"an older recording"
"""What stands at the target of each recording that is killed at a call."""


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

    recorders = [
        AudioRecorder(
            AudioRecordingConfiguration(
                directory / name,
                sample_rate=int(name.split("-")[1].split(".")[0]),
                cycle_time=10 if name.startswith("cyclic") else 0,
            ),
            on_event=on_event,
        )
        for name in names()
    ]
    await asyncio.gather(*(each.start() for each in recorders))
    sources = [each.add_source("alice") for each in recorders]
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


class KillingDisk(Disk):
    """Kills its process at the n-th call; of a write, half is done before."""

    def __init__(self, at: int | None) -> None:
        self.calls = 0
        self._at = at

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        if self.calls == self._at:
            if name == "write":
                fd, data, offset = args
                function(fd, data[: len(data) // 2], offset)
            os.kill(os.getpid(), signal.SIGKILL)
        self.calls += 1
        return function(*args)


def record_on(disk: KillingDisk, path: Path, cycle_time: int) -> bool:
    """Fork a child that makes a short recording over an older file; tell whether it was killed."""
    path.parent.mkdir()
    path.write_bytes(OLDER)
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(record_scripted(path, disk=disk, sample_rate=16000, cycle_time=cycle_time))
        except Exception:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    assert killed or os.WEXITSTATUS(status) == 0
    return killed


def kill_at_each_call(directory: Path, name: str, cycle_time: int) -> None:
    """See the module's text."""
    assert not record_on(KillingDisk(None), directory / "whole" / name, cycle_time)
    number = 0
    while record_on(KillingDisk(number), directory / str(number) / name, cycle_time):
        number += 1
    print(number)  # noqa: T201


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


if __name__ == "__main__":
    if sys.argv[1] == "power":
        cut_power_after(Path(sys.argv[2]), float(sys.argv[3]))
    elif sys.argv[1] == "each-call":
        kill_at_each_call(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        kill_at_random_moments(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
