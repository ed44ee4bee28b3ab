"""7. Saving the last seconds of a running recording, against copying as many bytes on that disk:
wall time and CPU, the second of recording that goes on meanwhile included.
"""

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
from stop import copied

RATE_HZ = 48000


async def costs_of_saves(where: Path, suffix: str, cycle_s: int, runs: int) -> list[list[float]]:
    """Wall and CPU seconds of saving the cycle, and of copying the same file, run by run."""
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(
        where / f"call{suffix}", sample_rate=RATE_HZ, cycle_time=cycle_s
    )
    recorder = AudioRecorder(config, clock=clock)
    await recorder.start()
    source = recorder.add_source("speaker")
    signal = speech(1, 60, RATE_HZ).reshape(-1, RATE_HZ)
    second = 0

    async def go_on() -> None:
        nonlocal second
        source.push(signal[second % 60], RATE_HZ, second * RATE_HZ)
        await clock.advance(1)
        second += 1

    for _ in range(cycle_s + 5):
        await go_on()
    costs = []
    for run in range(runs):
        part = where / f"part-{run}{suffix}"
        os.sync()
        begun, cpu = time.perf_counter(), time.process_time()
        saving = asyncio.ensure_future(recorder.save(part, last_s=cycle_s))
        await asyncio.sleep(0)
        await go_on()
        await saving
        saved = [time.perf_counter() - begun, time.process_time() - cpu]
        os.sync()
        begun, cpu = time.perf_counter(), time.process_time()
        copied(part)
        costs.append([*saved, time.perf_counter() - begun, time.process_time() - cpu])
        part.unlink()
    await recorder.stop()
    return costs


def run(quick: bool) -> Iterator[Row]:
    with folder() as where:
        for suffix, cycle_s in ((".wav", 60), (".wav", 900), (".aac", 900)):
            if quick and suffix == ".aac":
                continue
            costs = asyncio.run(costs_of_saves(where, suffix, cycle_s, 5))
            wall, cpu, copy_wall, copy_cpu = map(statistics.median, zip(*costs, strict=True))
            what = f"the last {cycle_s} s, 48 kHz {suffix[1:].upper()}"
            yield Row("save", f"{what}: time", wall, "s", copy_wall, "copying the file")
            yield Row("save", f"{what}: CPU", cpu, "s", copy_cpu, "copying the file")
