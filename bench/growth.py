"""7. What a recording costs as participants, rates and hours grow, and the memory it takes.

Times are simulated: a scripted clock, and frames of 20 ms pushed as fast as they are mixed.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from common import Row, folder, speech
from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.audio.encoder import PcmEncoder
from roomtape.audio.session import RecordingSession
from roomtape.audio.source_track import SourceTrack
from roomtape.storage.disk import Disk
from roomtape.types import NS_PER_S, Pcm
from roomtape.types.clock import ScriptedClock

MOST_GROWTH_MB = 10
MOST_CYCLIC_MB = 16
_FRAME_NS = NS_PER_S // 50
_TICK_FRAMES = 10


class _UnsyncedDisk(Disk):
    """A day has a hundred thousand syncs, which say nothing about memory."""

    def sync(self, fd: int) -> None:
        pass


def push(track: SourceTrack, pcm: Pcm, frame: int) -> None:
    """As a source does it."""
    given = (48000, frame * 960, frame * _FRAME_NS, False)
    if not track.inbox.offer(pcm, *given):
        track.inbox.put(pcm.copy(), *given)


def cost_of_second(participants: int, rate_hz: int, *, seconds: int = 10) -> float:
    """CPU milliseconds for mixing a second of 48 kHz to WAV."""
    session = RecordingSession()
    output = session.add_output(PcmEncoder(rate_hz), rate_hz=rate_hz)
    voices = [speech(index % 8, 20).reshape(-1, 960) for index in range(participants)]
    joined = (session.add_source(str(i), local=False, joined_ns=0) for i in range(participants))
    tracks = [track for track in joined if track is not None]
    cpu = 0.0
    for tick in range(seconds * 5):
        for frame in range(tick * _TICK_FRAMES, (tick + 1) * _TICK_FRAMES):
            for track, voice in zip(tracks, voices, strict=True):
                push(track, voice[frame % 1000], frame)
        begun = time.process_time()
        session.mix((tick + 1) * _TICK_FRAMES * _FRAME_NS)
        output.encode()
        cpu += time.process_time() - begun
    return cpu / seconds * 1000


def anonymous_mb() -> float:
    """What the process holds in memory that no file backs, after giving back what is free."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in x)
    return int(line.split()[1]) / 1000


async def memory_over(path: Path, seconds: int, cycle_s: int, steps: int = 24) -> list[float]:
    """Memory at the start and after each step of a recording of two people who pause, mute and
    lose frames."""
    clock = ScriptedClock()
    rate_hz = 16000
    config = AudioRecordingConfiguration(path, sample_rate=rate_hz, cycle_time=cycle_s)
    before = anonymous_mb()
    recorder = AudioRecorder(config, clock=clock, disk=_UnsyncedDisk())
    await recorder.start()
    sources = [recorder.add_source(name) for name in ("alice", "bob")]
    voices = [speech(index, 60, rate_hz).reshape(60, rate_hz) for index in range(2)]
    dice = np.random.default_rng(0)
    memory = [before]
    for second in range(seconds):
        for source, voice in zip(sources, voices, strict=True):
            if dice.random() > 0.05:
                source.push(voice[second % 60], rate_hz, second * rate_hz)
        if second % 600 == 599:
            sources[0].set_muted(second % 1200 == 599)
        await clock.advance(1)
        if second == 60 or (second + 1) % (seconds // steps) == 0:
            memory.append(anonymous_mb())
    await recorder.stop()
    return memory


def run(quick: bool) -> Iterator[Row]:
    counts = (1, 4, 16, 64) if quick else (1, 2, 4, 8, 16, 32, 64, 128, 256)
    costs = [min(cost_of_second(count, 32000) for _ in range(3)) for count in counts]
    slope, fixed = np.polyfit(counts, costs, 1)
    yield Row(
        "growth",
        f"1 to {counts[-1]} participants of 48 kHz to 32 kHz, CPU ms a second",
        float(slope),
        "ms a participant",
        note=f"and {fixed:.2f} ms fixed; measured "
        + ", ".join(f"{n}: {c:.1f}" for n, c in zip(counts, costs, strict=True)),
    )
    rates = (16000, 32000, 44100, 48000)
    costs = [min(cost_of_second(4, rate_hz) for _ in range(3)) for rate_hz in rates]
    yield Row(
        "growth",
        "4 participants of 48 kHz by the rate of the recording",
        float(np.polyfit(np.array(rates) / 1000, costs, 1)[0]),
        "ms a kHz",
        note=", ".join(f"{r / 1000:g} kHz: {c:.2f} ms" for r, c in zip(rates, costs, strict=True)),
    )
    hours = 2 if quick else 24
    with folder() as where:
        begun = time.process_time()
        memory = asyncio.run(memory_over(where / "day.wav", hours * 3600, 0))
        cpu = time.process_time() - begun
        grown = max(memory[-3:]) - memory[2]
        yield Row(
            "growth",
            f"memory over {hours} h simulated, after the first step",
            grown,
            "MB",
            bar=f"< {MOST_GROWTH_MB}",
            holds=grown < MOST_GROWTH_MB,
            note=f"{cpu / hours:.1f} CPU s an hour; MB: "
            + " ".join(f"{each:.0f}" for each in memory),
        )
        memory = asyncio.run(memory_over(where / "cycle.wav", 1000, 900, steps=10))
        added = max(memory) - memory[0]
        yield Row(
            "growth",
            "anonymous memory that a cyclic recording of 900 s adds",
            added,
            "MB",
            bar=f"< {MOST_CYCLIC_MB}",
            holds=added < MOST_CYCLIC_MB,
        )
