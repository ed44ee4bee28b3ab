"""Workers as programs, and what is in the files that they leave."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from .lag import Lag
from .livekit_crowd import BEEP_EVERY_S, BEEP_HZ, tone_hz
from .livekit_server import KEY, SECRET
from .processes import SUPPORT
from .program import start_roomtape
from .readers import read_ffmpeg

_WINDOW_S = 0.02
_BEEP_OFF_S = 0.3
"""The SDK's queue, and its way to the server and back."""


class RunningWorker:
    """``roomtape worker`` in processes of its own."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"worker (\S+) records to .*; (http://\S+)\n", line)
        assert found, f"{line!r}: {self.log}"
        self.name, self.url = found[1], found[2]

    @property
    def log(self) -> str:
        return self._log.read_text()

    def health(self) -> dict[str, Any]:
        """What ``/healthz`` says, well or not."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=60) as answer:
                return {"well": True, **json.load(answer)}
        except urllib.error.HTTPError as error:
            return {"well": False, **json.load(error)}

    def metric(self, name: str) -> float:
        """One number of ``/metrics``."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        found = re.search(rf"^roomtape_{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])

    def children(self) -> list[int]:
        """Its recorder processes."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(each) for each in path.read_text().split()]

    def kill_all(self) -> None:
        """As if the machine had lost its power: worker and recorders at once."""
        pids = [self.process.pid, *self.children()]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def drain(self) -> int:
        """As an operator ends it; its exit code."""
        self.process.terminate()
        return self.process.wait(300)


@contextmanager
def running_worker(
    directory: Path, url: str, *arguments: str, log: Path, redis: str = ""
) -> Iterator[RunningWorker]:
    """A worker, ended when the block is left."""
    environment = {"LIVEKIT_URL": url, "LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
    shared = ("--redis", redis) if redis else ()
    fixed = ("--listen", "127.0.0.1:0", "--disk-floor", "0")
    with log.open("w") as errors:
        process = start_roomtape(
            "worker", directory, *fixed, *shared, *arguments, env=environment, errors=errors
        )
    with process:
        try:
            yield RunningWorker(process, log)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(120)
                except subprocess.TimeoutExpired:
                    process.kill()


@dataclass(frozen=True)
class Recording:
    """A finished file and its report."""

    path: Path
    report: dict[str, Any]

    @property
    def started_s(self) -> float:
        return datetime.fromisoformat(self.report["started_at"]).timestamp()

    @property
    def ended_s(self) -> float:
        return self.started_s + float(self.report["duration_s"])

    @property
    def fleet(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.report["fleet"]
        return facts


def recordings(directory: Path, room: str) -> list[Recording]:
    """All finished ones of a room, in order."""
    paths = sorted((directory / room).glob("*Z.aac.json"))
    found = [Recording(path.with_suffix(""), json.loads(path.read_text())) for path in paths]
    return sorted(found, key=lambda each: each.started_s)


def files(directory: Path, room: str) -> list[Path]:
    """All files of a room, finished or not."""
    return sorted((directory / room).glob("*Z.aac"))


@dataclass(frozen=True)
class Heard:
    """What is in a file of a room of the crowd.

    Attributes:
        duration_s: Its length.
        first_s, last_s: Where its room's tone is first and last heard.
        missing_s: For how long it is not, in between.
        others: The rooms whose tones are heard, but for its own.
        beep_offsets_s: How far each beep is from the full five seconds of the wall clock.
    """

    duration_s: float
    first_s: float
    last_s: float
    missing_s: float
    others: tuple[int, ...]
    beep_offsets_s: tuple[float, ...]


def listen(recording: Recording, number: int, rooms: int) -> Heard:
    """Take a recording of the n-th room of a crowd apart."""
    samples, rate_hz = read_ffmpeg(recording.path)
    pcm = samples.astype(np.float64)
    size = round(_WINDOW_S * rate_hz)
    windows = pcm[: len(pcm) // size * size].reshape(-1, size)
    own = _level(windows, tone_hz(number), rate_hz) > 1000
    assert own.any(), f"{recording.path}: its room's tone is not in it"
    first, last = int(np.argmax(own)), len(own) - int(np.argmax(own[::-1]))
    others = tuple(
        other
        for other in range(rooms)
        if other != number and (_level(windows, tone_hz(other), rate_hz) > 1000).mean() > 0.05
    )
    beeping = _level(windows, BEEP_HZ, rate_hz) > 1500
    onsets = np.flatnonzero(beeping[1:] & ~beeping[:-1]) + 1
    moments = recording.started_s + onsets * _WINDOW_S
    offsets = (moments + BEEP_EVERY_S / 2) % BEEP_EVERY_S - BEEP_EVERY_S / 2
    return Heard(
        duration_s=len(pcm) / rate_hz,
        first_s=first * _WINDOW_S,
        last_s=last * _WINDOW_S,
        missing_s=float((~own[first:last]).sum()) * _WINDOW_S,
        others=others,
        beep_offsets_s=tuple(map(float, offsets)),
    )


def _level(windows: np.ndarray, frequency_hz: float, rate_hz: int) -> np.ndarray:
    """The amplitude of one frequency in each window."""
    size = windows.shape[1]
    turns = np.exp(-2j * np.pi * frequency_hz * np.arange(size) / rate_hz)
    # A Hann window, so that a loud neighbour does not pass for it.
    return np.abs((windows * np.hanning(size)) @ turns) * 4 / size


def wait_until(true: Callable[[], bool], what: str, within_s: float = 120.0) -> float:
    """Wait for what nobody tells of.

    Returns:
        When it was so, by the wall clock.
    """
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.1)
    return time.time()


def names(count: int) -> Sequence[str]:
    """Of the rooms of a crowd."""
    return [f"room-{number}" for number in range(count)]


@contextmanager
def crowd(url: str, rooms: int) -> Iterator[subprocess.Popen[str]]:
    """One participant who hums in each room."""
    with subprocess.Popen(
        [sys.executable, SUPPORT / "livekit_crowd.py", url, *names(rooms)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(SUPPORT.parent),
            "LIVEKIT_API_KEY": KEY,
            "LIVEKIT_API_SECRET": SECRET,
        },
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "humming\n"
            yield process
        finally:
            process.kill()


def check_heard(recording: Recording, number: int, rooms: int, lag: Lag) -> None:
    """It holds its own room from its beginning to its end, at the right time."""
    heard = listen(recording, number, rooms)
    slack_s = lag.worst_s
    assert heard.others == ()
    assert heard.first_s < 1.5 + slack_s, heard  # until the first packet is there
    assert heard.duration_s - heard.last_s < 0.5 + slack_s, heard
    assert heard.missing_s < 0.15 + lag.late_s + slack_s, heard
    assert all(abs(offset) < _BEEP_OFF_S + slack_s for offset in heard.beep_offsets_s), heard


def named(recording: Recording) -> dict[str, object]:
    """As the reports of others name it."""
    facts = recording.fleet
    return {"file": str(recording.path), "worker": facts["worker"], "lease": facts["lease"]}
