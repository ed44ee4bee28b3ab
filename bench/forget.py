"""8. Forgetting a voice that was heard all the time, which is the most that there can be to write:
the whole of a ring, against copying as many bytes on that disk. Wall time and CPU.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from common import Row, folder, speech
from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.types.clock import ScriptedClock
from stop import copied

RATE_HZ = 48000


async def costs_of_forgetting(
    where: Path, suffix: str, cycle_s: int, runs: int
) -> list[list[float]]:
    """Wall and CPU seconds of emptying a ring, and of copying it, run by run."""
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(
        where / f"call{suffix}", sample_rate=RATE_HZ, cycle_time=cycle_s
    )
    recorder = AudioRecorder(config, clock=clock)
    await recorder.start()
    source = recorder.add_source("speaker")
    signal = speech(1, 60, RATE_HZ).reshape(-1, RATE_HZ)
    signal = np.where(signal == 0, np.int16(8), signal)  # a microphone is never digital silence
    for second in range(cycle_s + 5):
        source.push(signal[second % 60], RATE_HZ, second * RATE_HZ)
        await clock.advance(1)
    ring = where / f"call{suffix}.ring"
    costs = []
    for _ in range(runs):
        os.sync()
        begun, cpu = time.perf_counter(), time.process_time()
        forgotten = await recorder.forget("speaker")
        assert forgotten.silenced_s >= cycle_s - 10, forgotten
        emptied = [time.perf_counter() - begun, time.process_time() - cpu]
        os.sync()
        begun, cpu = time.perf_counter(), time.process_time()
        copied(ring)
        costs.append([*emptied, time.perf_counter() - begun, time.process_time() - cpu])
    await recorder.stop()
    return costs


def run(quick: bool) -> Iterator[Row]:
    with folder() as where:
        for suffix in (".wav",) if quick else (".wav", ".aac"):
            costs = asyncio.run(costs_of_forgetting(where, suffix, 900, 5))
            wall, cpu, copy_wall, copy_cpu = map(statistics.median, zip(*costs, strict=True))
            what = f"a voice in all of the last 900 s, 48 kHz {suffix[1:].upper()}"
            yield Row("forget", f"{what}: time", wall, "s", copy_wall, "copying the ring")
            yield Row("forget", f"{what}: CPU", cpu, "s", copy_cpu, "copying the ring")
