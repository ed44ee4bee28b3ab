"""What :mod:`quiet` runs on one core: recordings in real time, of rooms in which little happens.

Prints one JSON object. ``quiet_child.py WHAT SECONDS COUNT DIR SUFFIX``; WHAT is one of ``ROOMS``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common import speech
from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.types import Pcm

FRAME_HZ = 50
RATE_HZ = 48000
FRAME = RATE_HZ // FRAME_HZ
SETTLED_S = 3
"""Nothing is counted before: what begins, begins."""
HEARTBEAT = 20
"""With DTX, a sender that is silent sends one frame in so many: every 400 ms."""

# By name: how many speak, how many listen, and what those send.
ROOMS = {
    "nobody": (0, 0, None),
    "speakers": (4, 0, None),
    "silence": (0, 4, "silence"),
    "dtx": (2, 48, "dtx"),
    "all": (50, 0, None),
}


def pushed(speaking: int, listening: int, sends: str | None) -> list[tuple[Sequence[Pcm], int]]:
    """Of each source, its 20 ms frames, over and over, and one in how many it sends."""
    voices = [speech(index, 60, RATE_HZ) for index in range(speaking)]
    sources: list[tuple[Sequence[Pcm], int]] = [
        ([*voice.reshape(-1, FRAME)], 1) for voice in voices
    ]
    hush = np.zeros(FRAME, np.int16)
    comfort = np.random.default_rng(1).integers(-8, 9, FRAME).astype(np.int16)
    sources += [([hush], 1) if sends == "silence" else ([comfort], HEARTBEAT)] * listening
    return sources


async def record(
    what: str, seconds: float, count: int, folder: Path, suffix: str
) -> dict[str, float]:
    """CPU time while ``count`` recordings of such a room run."""
    frames = pushed(*ROOMS[what])
    recorders, sources = [], []
    for number in range(count):
        path = folder / f"r{number}{suffix}"
        recorder = AudioRecorder(AudioRecordingConfiguration(path, sample_rate=32000))
        await recorder.start()
        recorders.append(recorder)
        sources.append([recorder.add_source(f"s{index}") for index in range(len(frames))])
        await asyncio.sleep(SETTLED_S / 2 / count)  # calls do not begin all at once
    begun = time.monotonic()
    # Who sends in each of so many ticks: what nobody sends costs nothing here.
    phases = [
        [index for index, (_, every) in enumerate(frames) if (phase + index) % every == 0]
        for phase in range(HEARTBEAT)
    ]
    for tick in range(int((seconds + SETTLED_S) * FRAME_HZ)):
        if tick == SETTLED_S * FRAME_HZ:
            wall, cpu = time.monotonic(), time.process_time()
        await asyncio.sleep(max(0.0, begun + tick / FRAME_HZ - time.monotonic()))
        for number in range(count if frames else 0):
            for index in phases[tick % HEARTBEAT]:
                pieces, _ = frames[index]
                piece = pieces[(tick + 37 * number) % len(pieces)]
                sources[number][index].push(piece, RATE_HZ, tick * FRAME, gap_is_silence=True)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    reports = [await recorder.stop() for recorder in recorders]
    lost_s = sum(each.lost_s + each.late_s for report in reports for each in report.sources)
    return {"cpu": cpu / wall / count, "lost_s": lost_s}


def main() -> None:
    what, seconds, count, folder, suffix = sys.argv[1:6]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    given = what, float(seconds), int(count), Path(folder), suffix
    print(json.dumps(asyncio.run(record(*given))))


if __name__ == "__main__":
    main()
