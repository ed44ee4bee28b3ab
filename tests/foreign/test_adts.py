"""ADTS files as strangers write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roomtape.analysis.inspect import inspect_file
from support.readers import read_ffmpeg

from .adts_recipes import ADTS, FRAME, Adts
from .test_wav import ours

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ADTS)
def test_every_frame_is_read_and_damage_is_what_is_missing(name: str, tmp_path: Path):
    adts: Adts = ADTS[name]()
    path = tmp_path / "a.aac"
    path.write_bytes(adts.data)
    found = inspect_file(path)
    assert (found.channels, found.sample_rate) == (adts.channels, adts.rate_hz)
    assert abs(found.samples - adts.frames * FRAME) <= (0 if adts.same_as_ffmpeg else 2)
    for wanted, words in ((adts.damage, found.damage), (adts.note, found.notes)):
        if wanted is None:
            assert words == ()
        else:
            assert any(wanted in each for each in words), words


@pytest.mark.parametrize("name", [name for name in ADTS if ADTS[name]().same_as_ffmpeg])
def test_what_ffmpeg_reads_is_what_we_read(name: str, tmp_path: Path):
    path = tmp_path / "a.aac"
    path.write_bytes(ADTS[name]().data)
    pcm, _ = read_ffmpeg(path)
    read = ours(path)
    assert len(read) == len(pcm)
    assert np.abs(pcm.reshape(read.shape).astype(int) - read).max() <= 1


def test_the_second_stream_is_heard(tmp_path: Path):
    for name in ("mono, then stereo", "32, then 48 kHz"):
        path = tmp_path / "a.aac"
        path.write_bytes(ADTS[name]().data)
        read = ours(path)
        half = len(read) // 2
        first, second = np.abs(read[:half].astype(int)), np.abs(read[half:].astype(int))
        assert 0.4 < second.mean() / first.mean() < 1.5, name
