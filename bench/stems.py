"""32 stems beside the mix, against the mix alone, to WAV, on the disk of this directory."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from common import Row, in_turn, speech
from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.types import Pcm
from roomtape.types.clock import ScriptedClock

_COUNT = 32
_RATE_HZ = 48000
_BAR = 1.5


async def _record(path: Path, voices: list[Pcm], source_rate_hz: int, stems: Path | None) -> float:
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(path, sample_rate=_RATE_HZ, stems=stems)
    recorder = AudioRecorder(config, clock=clock)
    await recorder.start()
    sources = [recorder.add_source(str(number)) for number in range(len(voices))]
    frame = source_rate_hz // 50
    begun = time.process_time()
    for at in range(0, len(voices[0]) - frame + 1, frame):
        for source, voice in zip(sources, voices, strict=True):
            source.push(voice[at : at + frame], source_rate_hz, at)
        await clock.advance(0.02)
    await recorder.stop()
    return time.process_time() - begun


def recorded(voices: list[Pcm], source_rate_hz: int, with_stems: bool) -> float:
    """CPU seconds to record these voices, from the first push to FINISH."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        stems = Path(name) / "stems" if with_stems else None
        return asyncio.run(_record(Path(name) / "mix.wav", voices, source_rate_hz, stems))


def run(quick: bool) -> Iterator[Row]:
    seconds, runs = (10, 3) if quick else (60, 5)
    for source_rate_hz in (_RATE_HZ, 16000):
        voices = [speech(index, seconds, source_rate_hz) for index in range(_COUNT)]
        stems, alone = in_turn(
            runs,
            partial(recorded, voices, source_rate_hz, True),
            partial(recorded, voices, source_rate_hz, False),
        )
        same = source_rate_hz == _RATE_HZ
        yield Row(
            "stems",
            f"mix and {_COUNT} stems of {source_rate_hz // 1000} kHz sources to 48 kHz WAV, a "
            "second",
            1000 * stems / seconds,
            "CPU ms",
            1000 * alone / seconds,
            "the mix alone",
            bar=f"<= {_BAR}" if same else "",
            holds=stems / alone <= _BAR if same else None,
            note="" if same else "each stem is resampled by itself; the mix alone, once",
        )
