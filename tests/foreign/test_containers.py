"""Containers as strangers write them: every second is read, in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from roomtape.analysis.inspect import inspect_file
from support.readers import read_ffmpeg

from .container_recipes import CONTAINERS, Container
from .test_wav import ours

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_second_is_read_and_damage_is_what_is_missing(name: str, tmp_path: Path):
    given: Container = CONTAINERS[name](tmp_path)
    found = inspect_file(given.path)
    assert (found.channels, found.sample_rate) == (given.channels, given.rate_hz)
    assert abs(found.duration_s - given.seconds) <= 0.06
    for wanted, words in ((given.damage, found.damage), (given.note, found.notes)):
        if wanted is None:
            assert words == () or "chained" in name
        else:
            assert any(wanted in each for each in words), words


ALIKE = (
    "flac", "flac 7.1", "opus 7.1", "ogg vorbis", "mp3", "m4a", "aiff", "au", "caf of 24 bit",
    "w64", "wavpack", "mkv pcm", "adpcm in wav", "16 channels in mov", "mp3 in wav",
)  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_what_ffmpeg_reads_is_what_we_read(name: str, tmp_path: Path):
    given: Container = CONTAINERS[name](tmp_path)
    pcm, _ = read_ffmpeg(given.path)
    read = ours(given.path)
    # Another version of FFmpeg may leave out more or less of an encoder's priming.
    count = min(len(read), len(pcm))
    assert abs(len(read) - len(pcm)) <= 1152 * 2
    difference = pcm[:count].reshape(count, -1).astype(int) - read[:count]
    assert np.abs(difference).max() <= 4


def loud(pcm: np.ndarray) -> np.ndarray:
    """Which hundredths of a second are not silent."""
    whole = pcm[: len(pcm) // 480 * 480, 0].reshape(-1, 480)
    return np.abs(whole.astype(int)).max(axis=1) > 300


def test_what_follows_a_hole_is_where_it_was_said(tmp_path: Path):
    heard = loud(ours(CONTAINERS["a hole between timestamps"](tmp_path).path))
    assert heard[10:298].all()
    assert not heard[310:600].any()
    assert heard[610:990].all()


def test_what_begins_later_is_silent_before(tmp_path: Path):
    heard = loud(ours(CONTAINERS["audio that begins later"](tmp_path).path))
    assert not heard[:198].any()
    assert heard[205:490].all()
