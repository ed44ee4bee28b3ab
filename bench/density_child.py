"""What :mod:`density` runs on one core: recordings fed in real time, or encoders alone.

Prints one JSON object. ``density_child.py recorder SECONDS COUNT RATE SUFFIX DIR`` or
``density_child.py encoder SECONDS COUNT RATE SUFFIX``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from common import speech
from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.audio.encoder import make_encoder
from roomtape.audio.session import MIX_DELAY_NS
from roomtape.types import NS_PER_S, AudioFormat, AudioRecordingQuality

SPEAKERS = 4
FRAME_HZ = 50
IN_RATE_HZ = 48000
FRAME = IN_RATE_HZ // FRAME_HZ
BEGIN_S = 10

Found = dict[str, float]


async def feed_recorders(
    seconds: float, count: int, rate_hz: int, suffix: str, folder: Path
) -> Found:
    """Push 20 ms frames of ``SPEAKERS`` speakers into each of ``count`` recordings."""
    voices = [speech(index, 60, IN_RATE_HZ) for index in range(SPEAKERS)]
    frames = [[*voice.reshape(-1, FRAME)] for voice in voices]  # as arrays of their own
    recorders: list[AudioRecorder] = []
    sources = []
    begun = time.monotonic()
    behind_s = pushed_late_s = 0.0
    ticks = int(seconds * FRAME_HZ)
    # Calls neither begin nor speak all at once: their frames are spread over the 20 ms.
    groups = min(8, count)
    for tick in range(ticks):
        while len(recorders) < min(count, 1 + tick * count // (BEGIN_S * FRAME_HZ)):
            path = folder / f"r{len(recorders)}{suffix}"
            recorder = AudioRecorder(AudioRecordingConfiguration(path, sample_rate=rate_hz))
            await recorder.start()
            recorders.append(recorder)
            sources.append([recorder.add_source(f"s{index}") for index in range(SPEAKERS)])
        if tick == BEGIN_S * FRAME_HZ:
            all_begun, cpu = time.monotonic(), time.process_time()
        for group in range(groups):
            due = begun + (tick + group / groups) / FRAME_HZ
            wait = due - time.monotonic()
            await asyncio.sleep(max(0.0, wait))
            for number in range(group, len(recorders), groups):
                at = (tick + 37 * number) % len(frames[0])
                for source, pieces in zip(sources[number], frames, strict=True):
                    source.push(pieces[at], IN_RATE_HZ, tick * FRAME)
            pushed_late_s = max(pushed_late_s, time.monotonic() - due)
        if tick % FRAME_HZ == FRAME_HZ - 1:
            behind_s = max(behind_s, *map(lateness_s, recorders))
    cpu = time.process_time() - cpu
    wall = time.monotonic() - all_begun
    reports = [await recorder.stop() for recorder in recorders]
    lost_s = sum(s.lost_s + s.late_s for report in reports for s in report.sources)
    return {"cpu": cpu, "wall": wall, "behind_s": behind_s, "lost_s": lost_s,
            "pushed_late_s": pushed_late_s}  # fmt: skip


def lateness_s(recorder: AudioRecorder) -> float:
    """How far the mix head is behind where it should be."""
    mixed_s = recorder._output.mixed_samples / recorder.config.sample_rate
    return recorder.duration_s - MIX_DELAY_NS / NS_PER_S - mixed_s


def run_encoders(seconds: float, count: int, rate_hz: int, suffix: str) -> Found:
    """``count`` encoders in turn, each given its signal in pieces of 0.2 s as a recorder does."""
    # The mix that the recorder has to encode: one speaker's pauses would be cheaper.
    signal = np.zeros(60 * rate_hz, np.float32)
    for index in range(SPEAKERS):
        signal += speech(index, 60, rate_hz)
    signal = signal.clip(-32768, 32767)
    encoders = [
        make_encoder(AudioFormat(suffix[1:]), rate_hz, AudioRecordingQuality.MEDIUM)
        for _ in range(count)
    ]
    piece = rate_hz // 5
    cpu = time.process_time()
    for tick in range(int(seconds * 5)):
        for number, encoder in enumerate(encoders):
            at = (tick + 7 * number) % 300 * piece
            encoder.encode(signal[at : at + piece])
    return {"cpu": time.process_time() - cpu, "wall": seconds}


def main() -> None:
    what, seconds, count, rate_hz, suffix = sys.argv[1:6]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    given = (float(seconds), int(count), int(rate_hz), suffix)
    if what == "encoder":
        result = run_encoders(*given)
    else:
        result = asyncio.run(feed_recorders(*given, Path(sys.argv[6])))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
