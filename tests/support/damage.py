"""Files as they should be, and ways to harm them."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

from roomtape.types import Pcm

from .readers import run


def names_in(directory: Path) -> set[str]:
    """What lies in a directory, hidden or not."""
    return {each.name for each in directory.iterdir()}


def write_wav(path: Path, pcm: Pcm, rate: int = 48000) -> Path:
    """A plain WAV file with a 44-byte header, by Python's own module."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if pcm.ndim == 1 else pcm.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.tobytes())
    return path


def write_aac(path: Path, pcm: Pcm, rate: int = 48000) -> Path:
    """An ADTS file, by the ffmpeg program."""
    wav = write_wav(path.with_suffix(".source.wav"), pcm, rate)
    run("ffmpeg", "-v", "error", "-nostdin", "-i", str(wav), "-f", "adts", str(path))
    wav.unlink()
    return path


def declare_data_bytes(path: Path, count: int) -> None:
    """Have the header of :func:`write_wav` say that there are ``count`` bytes of samples."""
    with path.open("r+b") as file:
        file.seek(40)
        file.write(struct.pack("<I", count))


def adts_offsets(path: Path) -> list[int]:
    """Where the frames of an undamaged ADTS file begin."""
    data = path.read_bytes()
    offsets = [0]
    while offsets[-1] < len(data):
        head = data[offsets[-1] : offsets[-1] + 7]
        offsets.append(offsets[-1] + ((head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5))
    return offsets[:-1]
