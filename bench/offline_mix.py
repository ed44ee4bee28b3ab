"""1. ``roomtape mix`` against ``ffmpeg -filter_complex amix``: whole processes, one thread each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import soundfile

from common import PYTHON, Row, cost_of, folder, in_turn, speech

BAR = 0.2
_DISTINCT = 32


def speech_files(where: Path, count: int, seconds: int) -> list[Path]:
    """``count`` names of 48 kHz WAV files of speech; past 32, the same ones under other names."""
    paths = []
    for number in range(count):
        path = where / f"p{number:03}.wav"
        first = where / f"p{number % _DISTINCT:03}.wav"
        if number < _DISTINCT:
            soundfile.write(path, speech(number, seconds), 48000, subtype="PCM_16")
        else:
            path.hardlink_to(first)
        paths.append(path)
    return paths


def roomtape_mix(inputs: Sequence[Path], output: Path) -> list[str | Path]:
    return [PYTHON, "-m", "roomtape", "mix", *inputs, "-o", output]


def ffmpeg_amix(inputs: Sequence[Path], output: Path) -> list[str | Path]:
    threads = ("-threads", "-filter_threads", "-filter_complex_threads")
    command: list[str | Path] = ["ffmpeg", "-y", "-v", "error"]
    command += [word for name in threads for word in (name, "1")]
    for path in inputs:
        command += ["-i", path]
    command += ["-filter_complex", f"amix=inputs={len(inputs)}:normalize=0"]
    aac = ["-c:a", "aac", "-b:a", "54k"] if output.suffix == ".aac" else []
    return [*command, "-ar", "32000", "-ac", "1", *aac, output]


def run(quick: bool) -> Iterator[Row]:
    counts = (8, 32) if quick else (2, 8, 32, 128)
    with folder() as where:
        files = speech_files(where, max(counts), 600)
        for suffix in (".wav", ".aac"):
            for count in counts if suffix == ".wav" or not quick else (8,):
                yield _compare(files[:count], where, suffix, 1 if count > 32 else 3)


def _compare(inputs: Sequence[Path], where: Path, suffix: str, runs: int) -> Row:
    peaks = [0.0, 0.0]

    def cpu_s(index: int, command: list[str | Path]) -> float:
        cost = cost_of(command)
        peaks[index] = cost.peak_mib
        Path(command[-1]).unlink()
        return cost.cpu_s

    ours, peer = in_turn(
        runs,
        lambda: cpu_s(0, roomtape_mix(inputs, where / f"ours{suffix}")),
        lambda: cpu_s(1, ffmpeg_amix(inputs, where / f"peer{suffix}")),
    )
    barred = len(inputs) == 32 and suffix == ".wav"
    return Row(
        "offline_mix",
        f"{len(inputs)} x 10 min of 48 kHz to 32 kHz {suffix[1:].upper()}",
        ours,
        "CPU s",
        peer,
        "ffmpeg amix",
        f"<= {BAR}" if barred else "",
        ours / peer <= BAR if barred else None,
        f"peak memory {peaks[0]:.0f} MiB against {peaks[1]:.0f} MiB",
    )
