"""1. ``roomtape mix`` against ``ffmpeg -filter_complex amix`` and GStreamer's ``audiomixer``.

Whole processes, one thread each; GStreamer, where it is installed, has one for each file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import soundfile

from common import PYTHON, Row, cost_of, folder, in_turn, speech

BAR = 0.2
_DISTINCT = 32
_GST_CAPS = "audio/x-raw,rate=32000,channels=1,format=S16LE"


Mix = Callable[[Sequence[Path], Path], list[str | Path]]
"""The command that mixes files into one."""


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


def gstreamer_mix(inputs: Sequence[Path], output: Path) -> list[str | Path]:
    command: list[str | Path] = ["gst-launch-1.0", "-q", "audiomixer", "name=mix"]
    for stage in ("audioconvert", "audioresample", _GST_CAPS, "wavenc"):
        command += ["!", stage]
    command += ["!", "filesink", f"location={output}"]
    for path in inputs:
        command += ["filesrc", f"location={path}", "!", "wavparse", "!", "mix."]
    return command


def run(quick: bool) -> Iterator[Row]:
    counts = (8, 32) if quick else (2, 8, 32, 128)
    with folder() as where:
        files = speech_files(where, max(counts), 600)
        for suffix in (".wav", ".aac"):
            for count in counts if suffix == ".wav" or not quick else (8,):
                yield _compare(files[:count], where, suffix, 1 if count > 32 else 3)
        if shutil.which("gst-launch-1.0") is not None:
            for count in counts:
                yield _compare(files[:count], where, ".wav", 1, "GStreamer audiomixer")


def _compare(
    inputs: Sequence[Path], where: Path, suffix: str, runs: int, against: str = "ffmpeg amix"
) -> Row:
    peer_mix = ffmpeg_amix if against == "ffmpeg amix" else gstreamer_mix
    peaks = [0.0, 0.0]

    def cpu_s(index: int, mix: Mix) -> float:
        output = where / f"mixed{suffix}"
        cost = cost_of(mix(inputs, output))
        peaks[index] = cost.peak_mib
        output.unlink()
        return cost.cpu_s

    ours, peer = in_turn(runs, lambda: cpu_s(0, roomtape_mix), lambda: cpu_s(1, peer_mix))
    barred = len(inputs) == 32 and suffix == ".wav" and peer_mix is ffmpeg_amix
    return Row(
        "offline_mix",
        f"{len(inputs)} x 10 min of 48 kHz to 32 kHz {suffix[1:].upper()}",
        ours,
        "CPU s",
        peer,
        against,
        f"<= {BAR}" if barred else "",
        ours / peer <= BAR if barred else None,
        f"peak memory {peaks[0]:.0f} MiB against {peaks[1]:.0f} MiB",
    )
