"""What every benchmark needs: speech, CPU time of whole processes, rows of the table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import soxr

from roomtape.media.voices import VOICE_RATE_HZ, VOICES, load_voice
from roomtape.types import Pcm

HERE = Path(__file__).parent
OUT = Path(os.environ.get("BENCH_OUT", HERE.parent / "bench-out"))
PYTHON = sys.executable


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        bench: The benchmark's name.
        what: What was compared.
        ours, peer: The two figures, in ``unit``.
        unit: What they are.
        against: What the peer is.
        bar: What ``ours / peer`` has to be; or ``ours``, where there is no peer.
        holds: Whether it is; None where there is no bar.
        note: What else there is to know.
        of_ours: The bar is that of ``ours`` although there is a peer.
    """

    bench: str
    what: str
    ours: float
    unit: str
    peer: float | None = None
    against: str = ""
    bar: str = ""
    holds: bool | None = None
    note: str = ""
    of_ours: bool = False

    @property
    def ratio(self) -> float | None:
        return self.ours / self.peer if self.peer else None


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    cpu_s: float
    peak_mib: float
    out: str


def cost_of(command: Sequence[str | Path]) -> Cost:
    """Run a process and its children to their end.

    Raises:
        RuntimeError: It failed.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        # As installed: with the bytecode that pip leaves beside every module.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=err, env=env)
        # The peak of rusage would count what this process was before it became the other.
        peak_kib = 0
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            peak_kib = max(peak_kib, _peak_kib(process.pid))
            time.sleep(0.02)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{command[:4]}... failed: {err.read()[-2000:]}")
        return Cost(usage.ru_utime + usage.ru_stime, peak_kib / 1024, out.read())


def _peak_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(each.split()[1]) for each in lines if each.startswith("VmHWM")), 0)


def in_turn(runs: int, *works: Callable[[], float]) -> list[float]:
    """The round in which the first two compare as they do in the median.

    A machine that is shared changes its pace for many seconds: within a round, that hits all alike.
    """
    rounds = [[work() for work in works] for _ in range(runs)]
    rounds.sort(key=lambda results: results[0] / results[1])
    return rounds[len(rounds) // 2]


@lru_cache(maxsize=8)
def _voices(rate_hz: int) -> tuple[Pcm, ...]:
    voices = [load_voice(name) for name in VOICES]
    if rate_hz == VOICE_RATE_HZ:
        return tuple(voices)
    return tuple(soxr.resample(voice, VOICE_RATE_HZ, rate_hz) for voice in voices)


def speech(speaker: int, seconds: float, rate_hz: int = 48000) -> Pcm:
    """A participant who speaks about half of the time: the shipped voices, with pauses."""
    dice = np.random.default_rng(speaker)
    voices = _voices(rate_hz)
    pcm = np.zeros(round(seconds * rate_hz), np.int16)
    at = int(dice.integers(0, 5 * rate_hz))
    while at < len(pcm):
        voice = voices[(speaker + int(dice.integers(0, len(voices)))) % len(voices)]
        count = min(len(voice), len(pcm) - at)
        pcm[at : at + count] = voice[:count] // 2
        at += count + int(dice.integers(0, 14 * rate_hz))
    return pcm


@contextmanager
def folder() -> Iterator[Path]:
    """A directory for what a benchmark writes, on the disk of ``OUT``."""
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OUT, prefix="work-") as path:
        yield Path(path)


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            x.split(":")[1].strip() for x in info.read_text().splitlines() if "model name" in x
        ]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    found = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": model,
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "ffmpeg": _ffmpeg_version(),
        "load at the start": f"{os.getloadavg()[0]:.1f}",
    }
    for package in ("numpy", "soxr", "av", "aiortc", "livekit", "pipecat-ai", "pesq"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _ffmpeg_version() -> str:
    try:
        text = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "not installed"
    return text.stdout.split()[2]


def save_rows(rows: Sequence[Row], path: Path) -> None:
    plain = [asdict(row) | {"ratio": row.ratio} for row in rows]
    path.write_text(json.dumps({"machine": machine(), "rows": plain}, indent=1))
