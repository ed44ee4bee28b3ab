"""Foreign programs that read our files: what they make of a file is what counts.

Each reader returns int16 samples, ``(frames,)`` for mono and ``(frames, channels)`` otherwise,
and the sample rate. Where its program is missing, the test is skipped.
"""

from __future__ import annotations

import functools
import hashlib
import re
import shutil
import struct
import subprocess
import wave
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from roomtape.types import Pcm

_SOX_TELLS = ("Sample Rate", "Channels")
_MOST_KEPT_BYTES = 1 << 20


def read_ffmpeg(path: str | Path) -> tuple[Pcm, int]:
    """Read with the ffmpeg program.

    It starts once: what it hands over as WAV tells rate and channels too. (ffprobe would tell them
    at the price of a second start, and a start is nearly all that reading a short file costs.)
    """
    options = ("-map", "0:a:0", "-c:a", "pcm_s16le", "-bitexact", "-f", "wav", "-")
    told = run("ffmpeg", "-v", "error", "-nostdin", "-i", str(path), *options)
    assert (told[:4], told[8:12]) == (b"RIFF", b"WAVE"), f"{path}: ffmpeg wrote {told[:12]!r}"
    at, channels, rate = 12, 0, 0
    while told[at : at + 4] != b"data":
        size = int.from_bytes(told[at + 4 : at + 8], "little")
        if told[at : at + 4] == b"fmt ":
            channels, rate = struct.unpack_from("<HI", told, at + 10)
        at += 8 + size + size % 2
        assert at < len(told), f"{path}: ffmpeg wrote no samples"
    return _shaped(told[at + 8 :], channels), rate  # to a pipe, sizes are unknown: up to the end


@functools.lru_cache(maxsize=32)
def _read_ffmpeg_once(path: Path, _digest: bytes) -> tuple[Pcm, int]:
    """What was read before is not read again, while it is the same: many are compared with one."""
    return read_ffmpeg(path)


def read_sox(path: str | Path) -> tuple[Pcm, int]:
    """Read with SoX."""
    told = run("sox", "--info", str(path)).decode(errors="replace")
    found = [re.search(rf"^{what} *: (\d+)$", told, re.MULTILINE) for what in _SOX_TELLS]
    assert all(found), f"{path}: SoX says {told!r}"
    rate, channels = (int(each[1]) for each in found if each is not None)
    raw = run("sox", "-D", str(path), "-t", "raw", "-e", "signed", "-b", "16", "-L", "-")
    return _shaped(raw, channels), rate


def read_libsndfile(path: str | Path) -> tuple[Pcm, int]:
    """Read with libsndfile, through the soundfile package."""
    try:
        import soundfile
    except (ImportError, OSError) as error:
        _missing("libsndfile (pip install soundfile)", str(error))
    pcm, rate = soundfile.read(str(path), dtype="int16")
    return pcm, rate


def read_wave(path: str | Path) -> tuple[Pcm, int]:
    """Read with Python's wave module, which knows plain RIFF and no RF64."""
    with wave.open(str(path), "rb") as file:
        assert file.getsampwidth() == 2, f"{path}: {8 * file.getsampwidth()} bits, not 16"
        raw = file.readframes(file.getnframes())
        return _shaped(raw, file.getnchannels()), file.getframerate()


def read_all(path: str | Path) -> tuple[Pcm, int]:
    """Read with every reader that knows the format, and assert that they agree.

    .aac: ffmpeg alone. .wav: SoX, libsndfile, ``wave`` unless it is an RF64 file, and ffmpeg, whose
    start costs more than all the others together, for the first file of each layout.
    """
    path = Path(path)
    if path.suffix.lower() == ".aac":
        if path.stat().st_size > _MOST_KEPT_BYTES:
            return read_ffmpeg(path)
        pcm, rate = _read_ffmpeg_once(path, hashlib.sha256(path.read_bytes()).digest())
        return pcm.copy(), rate
    pcm, rate = read_libsndfile(path)
    readers = [read_sox]
    with path.open("rb") as file:
        if file.read(4) == b"RIFF":
            readers.append(read_wave)
    layout = _layout(path)
    if layout is None or layout not in _shown_to_ffmpeg:
        readers.append(read_ffmpeg)
    for reader in readers:
        other_pcm, other_rate = reader(path)
        name = reader.__name__
        assert other_rate == rate, f"{path}: {name} says {other_rate} Hz, libsndfile {rate} Hz"
        assert other_pcm.shape == pcm.shape, (
            f"{path}: {name} reads {other_pcm.shape}, libsndfile {pcm.shape}"
        )
        assert np.array_equal(other_pcm, pcm), f"{path}: {name} reads other samples than libsndfile"
    if layout is not None:
        _shown_to_ffmpeg.add(layout)
    return pcm, rate


_shown_to_ffmpeg = set[tuple[bytes, ...]]()


def _layout(path: Path) -> tuple[bytes, ...] | None:
    """What a WAV file is made of, but for its sizes; None if these are not what is there."""
    with path.open("rb") as file:
        head, end = file.read(12), path.stat().st_size
        if int.from_bytes(head[4:8], "little") + 8 != end:
            return None
        parts, at = [head[:4]], 12
        while at < end:
            file.seek(at)
            name, size = file.read(4), int.from_bytes(file.read(4), "little")
            parts += [name, file.read(size) if name == b"fmt " else b""]
            at += 8 + size + size % 2
        return tuple(parts) if at == end else None


def run(program: str, *arguments: str) -> bytes:
    """What a program printed. It must succeed, and must be there."""
    if shutil.which(program) is None:
        _missing(program, "it is not on the PATH")
    done = subprocess.run([program, *arguments], capture_output=True, check=False, timeout=600)
    complaint = done.stderr.decode(errors="replace").strip()
    assert done.returncode == 0, f"{program} failed: {complaint}"
    return done.stdout


def _missing(what: str, why: str) -> NoReturn:
    pytest.skip(f"{what} is needed for this test: {why}")


def _shaped(raw: bytes, channels: int) -> Pcm:
    pcm = np.frombuffer(raw, "<i2")
    return pcm if channels == 1 else pcm.reshape(-1, channels)
