"""6. From ``stop`` to FINISH for a cyclic recording, against copying as many bytes on that disk."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from common import Row, folder, speech
from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.types.clock import ScriptedClock

BAR = 2.0


async def time_to_finish(path: Path, cycle_s: int, rate_hz: int) -> float:
    """Wall seconds that stopping takes, with the ring full and once around."""
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(path, sample_rate=rate_hz, cycle_time=cycle_s)
    recorder = AudioRecorder(config, clock=clock)
    await recorder.start()
    source = recorder.add_source("speaker")
    signal = speech(1, 60, rate_hz).reshape(-1, rate_hz)
    for second in range(cycle_s + 5):
        source.push(signal[second % 60], rate_hz, second * rate_hz)
        await clock.advance(1)
    os.sync()
    begun = time.perf_counter()
    await recorder.stop()
    return time.perf_counter() - begun


def time_to_copy(path: Path) -> float:
    """Wall seconds for reading the file, writing it beside itself, and having it on the disk."""
    os.sync()
    begun = time.perf_counter()
    copy = copied(path)
    taken = time.perf_counter() - begun
    copy.unlink()
    return taken


def copied(path: Path) -> Path:
    """A copy of the file beside it, on the disk."""
    copy = path.with_suffix(".copy")
    with path.open("rb") as source, copy.open("wb") as target:
        while data := source.read(1 << 20):
            target.write(data)
        target.flush()
        os.fsync(target.fileno())
    return copy


def run(quick: bool) -> Iterator[Row]:
    with folder() as where:
        for suffix in (".wav", ".aac"):
            for cycle_s in (10, 900) if quick else (10, 60, 360, 900):
                if quick and suffix == ".aac" and cycle_s == 900:
                    continue
                path = where / f"last{cycle_s}{suffix}"
                ours, copies = [], []
                for _ in range(5):
                    ours.append(asyncio.run(time_to_finish(path, cycle_s, 48000)))
                    copies.append(time_to_copy(path))
                    size = path.stat().st_size
                    path.unlink()
                mine, copy = statistics.median(ours), statistics.median(copies)
                barred = cycle_s == 900 and suffix == ".wav"
                yield Row(
                    "stop",
                    f"cyclic {cycle_s} s, 48 kHz {suffix[1:].upper()}",
                    mine,
                    "s",
                    copy,
                    "copying the file",
                    f"<= {BAR}" if barred else "",
                    mine / copy <= BAR if barred else None,
                    f"{size / 1e6:.1f} MB",
                )
