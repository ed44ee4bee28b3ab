"""WAV files as strangers write them: what we read is what the others read, where they agree."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from roomtape.analysis.inspect import inspect_file
from roomtape.analysis.reader import open_audio
from roomtape.types import Pcm

from .wav_recipes import WAVS, Wav

soundfile = pytest.importorskip("soundfile")


def ours(path: Path) -> Pcm:
    with open_audio(path) as reader:
        blocks = [np.rint(block * np.float32(32768)) for block in reader.blocks()]
        return np.clip(np.concatenate(blocks), -32768, 32767).astype(np.int16)


def ffmpeg(path: Path, channels: int) -> Pcm | None:
    command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-f", "s16le", "-"]
    return _shaped(command, channels)


def sox(path: Path, channels: int) -> Pcm | None:
    to = ["-t", "raw", "-e", "signed", "-b", "16", "-L", "-"]
    return _shaped(["sox", "-V1", "-D", str(path), *to], channels)


def _shaped(command: list[str], channels: int) -> Pcm | None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is needed")
    raw = subprocess.run(command, capture_output=True, check=False, timeout=60).stdout
    return (
        np.frombuffer(raw, "<i2").reshape(-1, channels) if len(raw) % (2 * channels) == 0 else None
    )


def libsndfile(path: Path, channels: int) -> Pcm | None:
    del channels
    try:
        # Floats, rounded as we do it: libsndfile rounds otherwise.
        samples, _ = soundfile.read(str(path), dtype="float64", always_2d=True)
    except soundfile.LibsndfileError:
        return None
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("name", WAVS)
def test_what_readers_agree_on_is_what_we_read(name: str, tmp_path: Path):
    wav: Wav = WAVS[name]()
    path = tmp_path / "a.wav"
    path.write_bytes(wav.data)
    found = inspect_file(path)
    assert (found.channels, found.sample_rate) == (wav.channels, wav.rate_hz)
    assert found.samples == wav.frames
    read = ours(path)
    theirs = [each(path, wav.channels) for each in (ffmpeg, sox, libsndfile)]
    agreed = [
        one
        for one, other in itertools.combinations(theirs, 2)
        if one is not None and other is not None and np.array_equal(one, other)
    ]
    if wav.alone:
        assert all(pcm.size == 0 for pcm in agreed)
        return
    for pcm in agreed[:1]:
        assert pcm.shape == read.shape
        assert np.abs(pcm.astype(int) - read).max() <= wav.tolerance


@pytest.mark.parametrize("name", WAVS)
def test_damage_is_what_is_missing_and_a_note_what_is_odd(name: str, tmp_path: Path):
    wav: Wav = WAVS[name]()
    path = tmp_path / "a.wav"
    path.write_bytes(wav.data)
    found = inspect_file(path)
    for wanted, words in ((wav.damage, found.damage), (wav.note, found.notes)):
        if wanted is None:
            assert words == ()
        else:
            assert any(wanted in each for each in words), words
