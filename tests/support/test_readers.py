"""The foreign readers read what was written, and a reader that disagrees is noticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support import readers
from support.ci import refuse_skip
from support.damage import declare_data_bytes, write_aac, write_wav
from support.readers import read_all, read_ffmpeg, read_libsndfile, read_sox, read_wave, run
from support.signals import noise, speech


@pytest.mark.parametrize("reader", [read_ffmpeg, read_sox, read_libsndfile, read_wave, read_all])
@pytest.mark.parametrize("channels", [1, 2])
def test_each_reader_returns_the_samples_that_were_written(reader, channels: int, tmp_path: Path):
    pcm = noise(7, 0.5, 32000)
    if channels == 2:
        pcm = pcm.reshape(-1, 2)
    write_wav(tmp_path / "a.wav", pcm, 32000)
    read, rate = reader(tmp_path / "a.wav")
    assert rate == 32000
    assert np.array_equal(read, pcm)


def test_aac_is_read_by_ffmpeg_alone(tmp_path: Path):
    pcm, rate = read_all(write_aac(tmp_path / "a.aac", speech("alice", 2)))
    assert rate == 48000
    assert len(pcm) >= 2 * 48000


def test_readers_that_disagree_are_noticed(tmp_path: Path):
    write_wav(tmp_path / "a.wav", noise(1, 0.5), 48000)
    # ffmpeg takes the rest of the file for samples then, and wave nothing.
    declare_data_bytes(tmp_path / "a.wav", 0)
    with pytest.raises(AssertionError):
        read_all(tmp_path / "a.wav")


def test_a_missing_program_skips_at_home_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(readers.shutil, "which", lambda _: None)
    with pytest.raises(pytest.skip.Exception, match="sox is needed") as skip:
        run("sox")
    for ci, outcome in (("", "skipped"), ("true", "failed")):
        monkeypatch.setenv("CI", ci)
        reason = ("test_x.py", 1, f"Skipped: {skip.value}")
        report = pytest.TestReport("test_x", ("test_x.py", 1, "x"), {}, "skipped", reason, "call")
        refuse_skip(report)
        assert report.outcome == outcome
        assert "sox is needed" in str(report.longrepr)
