from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from roomtape.analysis.peaks import Envelope, Spectrum
from roomtape.analysis.plot import Lane, plot_file, plot_lanes
from roomtape.analysis.timecode import timecode
from roomtape.types import Interval, IntervalKind
from roomtape.types.errors import FileError
from support.damage import write_wav
from support.signals import silence, speech, tone


def is_a_picture(png: Path) -> bool:
    pixels = imread(png)
    return pixels.shape[0] > 200 and pixels.shape[1] > 1000 and float(pixels.std()) > 0.01


@pytest.mark.parametrize("seconds", [0, 0.001, 1, 60])
def test_a_file_of_any_length_gives_a_picture(seconds: float, tmp_path: Path):
    path = write_wav(tmp_path / "a.wav", speech("alice", seconds))
    plot_file(path, tmp_path / "a.png")
    assert is_a_picture(tmp_path / "a.png")


@pytest.mark.slow
def test_each_of_two_channels_has_its_own_waveform_and_spectrum(tmp_path: Path):
    sides = np.stack([speech("alice", 3), silence(3)], axis=1)
    plot_file(write_wav(tmp_path / "a.wav", sides), tmp_path / "sides.png")
    plot_file(write_wav(tmp_path / "b.wav", sides[:, 0]), tmp_path / "one.png")
    assert is_a_picture(tmp_path / "sides.png")
    tall, single = (imread(tmp_path / name) for name in ("sides.png", "one.png"))
    assert len(tall) > 1.9 * len(single)


def test_lanes_of_every_kind_of_interval_and_of_odd_names_give_a_picture(tmp_path: Path):
    intervals = tuple(Interval(kind, i, i + 0.8) for i, kind in enumerate(IntervalKind))
    lanes = [
        Lane("卡罗尔 $x_1$ \\frac", speech("carol", 3), 48000, 1.5, intervals),
        Lane("bob", silence(0), 16000, note="local"),
    ]
    mix = Lane("mix", speech("alice", 6, 32000), 32000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_lanes(lanes, mix, tmp_path / "a.png", title="a $ title")
    assert is_a_picture(tmp_path / "a.png")


def test_a_mix_without_participants_gives_a_picture(tmp_path: Path):
    plot_lanes([], Lane("mix", silence(0), 48000), tmp_path / "a.png")
    assert is_a_picture(tmp_path / "a.png")


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path: Path):
    path = write_wav(tmp_path / "a.wav", silence(1))
    with pytest.raises(FileError, match="cannot write the picture: No such file or directory"):
        plot_file(path, tmp_path / "nosuch" / "a.png")


@pytest.mark.parametrize("block", [1000, 4096, 100_000])
def test_an_outline_keeps_every_peak_however_long_the_audio_is(block: int):
    pcm = np.zeros((1_000_003, 1), np.float32)
    pcm[[0, 500_000, 1_000_002], 0] = [0.5, -0.25, 1.0]
    envelope = Envelope()
    for start in range(0, len(pcm), block):
        envelope.add(pcm[start : start + block])
    starts, low, high = envelope.finish()
    assert len(starts) <= 2049
    assert (high.max(), low.min()) == (1.0, -0.25)
    # Each peak is in the column that covers its position.
    for position, line in ((0, high), (500_000, -low), (1_000_002, high)):
        column = np.searchsorted(starts, position, side="right") - 1
        assert line[column] > 0


def test_a_spectrum_shows_a_full_scale_tone_at_0_dbfs_in_its_place():
    spectrum = Spectrum()
    for piece in np.array_split(tone(6000, 120, 48000, dbfs=0), 50):
        spectrum.add(piece.astype(np.float32)[:, None] / 32768)
    columns = spectrum.finish_dbfs()
    assert len(columns) <= 2049
    loudest = columns[len(columns) // 2].argmax()
    assert loudest * 48000 / 1024 == 6000
    assert columns[10, loudest] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("seconds", "decimals", "text"),
    [
        (0, 0, "0:00"),
        (59.96, 1, "1:00.0"),
        (83, 1, "1:23.0"),
        (3600, 0, "1:00:00"),
        (7.494, 3, "0:07.494"),
    ],
)
def test_timecodes_read_as_minutes_and_seconds(seconds: float, decimals: int, text: str):
    assert timecode(seconds, decimals) == text


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, roomtape.analysis.plot; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=300).returncode == 0
