"""``mix`` of what strangers hand us: in full width, in its place, undone when it is broken off."""

from __future__ import annotations

import json
import signal as signals
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from roomtape.media.mono import mono_weights
from roomtape.storage.recover import recover
from roomtape.storage.wav import wav_header
from support.damage import write_wav
from support.program import Cli, assert_one_line_error, roomtape_environment
from support.readers import read_all, read_ffmpeg
from support.signals import noise, snr_db, speech

from .container_recipes import CONTAINERS
from .wav_recipes import WAVS, data, extensible, floats, fmt, riff, signal

pytestmark = pytest.mark.slow

RATE_HZ = 48000


def write_float(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ) -> Path:
    path.write_bytes(riff(fmt(3, 1, 32, rate_hz=rate_hz), data(samples.astype("<f4"))))
    return path


@pytest.fixture
def mix(run_here: Cli) -> Cli:
    """``mix(a, b, "-o", out)``, which succeeds."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        done = run_here("mix", *arguments, "--sample-rate", "48000")
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_what_exceeds_full_scale_is_turned_down_and_not_clipped(tmp_path: Path, mix: Cli):
    turns = np.arange(3 * RATE_HZ) * 2 * np.pi * 440 / RATE_HZ
    loud = write_float(tmp_path / "loud.wav", 2 * np.sin(turns))
    done = mix(loud, "-o", tmp_path / "out.wav")
    assert f"{loud}: exceeds full scale by up to 6.0 dB" in done.stderr
    assert "turned down for" in done.stdout
    pcm, _ = read_all(tmp_path / "out.wav")
    assert np.abs(pcm.astype(int)).max() < 32767
    middle = pcm[RATE_HZ : 2 * RATE_HZ].astype(float)
    ideal = np.sin(turns[RATE_HZ : 2 * RATE_HZ])
    scale = (middle @ ideal) / (ideal @ ideal)
    assert snr_db(ideal * scale, middle) > 60, "it is a sine, not a clipped one"


def test_a_loud_part_turned_down_by_another_is_its_sum(tmp_path: Path, mix: Cli):
    """+6 dB and its opposite at -1: what is left fits, and is not limited."""
    wave = 2 * np.sin(np.arange(RATE_HZ) * 0.05)
    one = write_float(tmp_path / "a.wav", wave)
    other = write_float(tmp_path / "b.wav", -0.75 * wave)
    mix(one, other, "-o", tmp_path / "out.wav")
    pcm, _ = read_all(tmp_path / "out.wav")
    assert np.abs(pcm - np.rint(0.25 * wave * 32768)).max() <= 1


def test_what_is_below_a_step_of_16_bits_adds_up(tmp_path: Path, mix: Cli):
    wave = 0.4 * np.sin(np.arange(RATE_HZ) * 0.05) / 32768
    quiet = [write_float(tmp_path / f"{number}.wav", wave) for number in range(100)]
    mix(*quiet, "-o", tmp_path / "out.wav")
    pcm, _ = read_all(tmp_path / "out.wav")
    assert np.abs(pcm - wave * 32768 * 100).max() <= 0.51


def test_24_bits_are_rounded_once(tmp_path: Path, mix: Cli):
    wave = np.sin(np.arange(RATE_HZ) * 0.05) * 0.4
    path = tmp_path / "a.wav"
    wide = np.rint(wave * (1 << 23)).astype("<i4")[:, None]
    packed = wide.view("u1").reshape(-1, 4)[:, :3].tobytes()
    path.write_bytes(riff(fmt(bits=24, rate_hz=RATE_HZ), data(packed)))
    mix(path, path, "-o", tmp_path / "out.wav")
    pcm, _ = read_all(tmp_path / "out.wav")
    assert np.array_equal(pcm, np.rint(wide[:, 0] / 128))


@pytest.mark.parametrize("kind", ["RIFX", "BW64", "block align of 4 for 16 bit mono"])
def test_odd_headers_are_mixed_sample_by_sample(kind: str, tmp_path: Path, run_here: Cli):
    path = tmp_path / "a.wav"
    path.write_bytes(WAVS[kind]().data)
    done = run_here("mix", path, "-o", tmp_path / "out.wav", "--sample-rate", "16000")
    assert done.returncode == 0
    pcm, _ = read_all(tmp_path / "out.wav")
    assert np.corrcoef(pcm[::2][100:900], signal()[100:900, 0])[0, 1] > 0.999


def test_channels_are_weighted_as_bs_775_says(tmp_path: Path, mix: Cli):
    """Each channel of 5.1 by itself: centre 1, left and right 0.7071, surround 0.5, no effects."""
    wanted = np.array([0.5**0.5, 0.5**0.5, 1, 0, 0.5, 0.5])
    wanted /= wanted.sum()
    for channel, weight in enumerate(wanted):
        samples = np.zeros((4800, 6), "<i2")
        samples[:, channel] = 20000
        path = tmp_path / "a.wav"
        header = extensible(1, 6, 16, mask=0x3F)
        header = header.replace((8000).to_bytes(4, "little"), RATE_HZ.to_bytes(4, "little"))
        path.write_bytes(riff(header, data(samples)))
        mix(path, "-o", tmp_path / "out.wav")
        pcm, _ = read_all(tmp_path / "out.wav")
        assert abs(pcm[2400] - 20000 * weight) <= 0.51
    assert mono_weights(2).tolist() == [0.5, 0.5]
    assert mono_weights(5, ("FL", "FR", "XX", "SL", "SR")).tolist() == pytest.approx([0.2] * 5)
    assert mono_weights(1, ("LFE",)).tolist() == [1.0]


def test_what_follows_a_hole_is_mixed_in_its_place(tmp_path: Path, mix: Cli):
    given = CONTAINERS["a hole between timestamps"](tmp_path)
    done = mix(given.path, "-o", tmp_path / "out.wav")
    assert "s are missing at 3.0" in done.stderr
    pcm, _ = read_all(tmp_path / "out.wav")
    assert len(pcm) == pytest.approx(10 * RATE_HZ, abs=1000)
    assert not pcm[round(3.2 * RATE_HZ) : round(5.9 * RATE_HZ)].any()
    assert np.abs(pcm[round(6.2 * RATE_HZ) :].astype(int)).max() > 2000


def program(*arguments: str | Path, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "roomtape", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=roomtape_environment(),
    )


def test_standard_input_and_output_are_files_too(tmp_path: Path):
    said = speech("alice", 2.0)
    source = write_wav(tmp_path / "a.wav", said)
    with program("mix", "-o", "-", "--sample-rate", "48000", "--", "-", f"{source}@0.5") as process:
        out, err = process.communicate(source.read_bytes(), timeout=60)
    assert process.returncode == 0, err
    assert b"-: 2.500 s from 2 files" in err
    path = tmp_path / "out.wav"
    path.write_bytes(out)
    pcm, rate_hz = read_ffmpeg(path)
    wanted = np.zeros(round(2.5 * RATE_HZ), np.int32)
    wanted[: len(said)] += said
    wanted[RATE_HZ // 2 :] += said
    assert rate_hz == RATE_HZ
    assert np.array_equal(pcm, np.clip(wanted, -32768, 32767))
    # A stream that was stored has its length put right by recover.
    assert recover(path).duration_s == 2.5
    assert np.array_equal(read_all(path)[0], pcm)


def test_a_stream_of_open_length_is_read_from_standard_input(tmp_path: Path):
    said = noise(1, 1.0)
    stream = riff(fmt(rate_hz=RATE_HZ), data(said, size=0xFFFFFFFF), size=0xFFFFFFFF)
    with program("mix", "-", "-o", tmp_path / "out.wav", "--sample-rate", "48000") as process:
        _, err = process.communicate(stream, timeout=60)
    assert process.returncode == 0, err
    assert np.array_equal(read_all(tmp_path / "out.wav")[0], said)


def test_nothing_on_standard_input_is_one_line(tmp_path: Path):
    with program("mix", "-", "-o", tmp_path / "out.wav") as process:
        _, err = process.communicate(b"", timeout=60)
    assert (process.returncode, err.count(b"\n")) == (1, 1)
    assert b"empty" in err


def test_json_tells_each_input(tmp_path: Path, mix: Cli):
    source = write_wav(tmp_path / "a.wav", speech("alice", 2.0))
    loud = write_float(tmp_path / "b.wav", np.full(RATE_HZ, 2.0))
    done = mix(source, f"{loud}@1", "-o", tmp_path / "out.wav", "--json")
    assert done.stdout.count("\n") == 1
    found = json.loads(done.stdout)
    assert (found["path"], found["duration_s"]) == (str(tmp_path / "out.wav"), 2.0)
    assert found["limited_s"] > 0.9
    assert [each["path"] for each in found["inputs"]] == [str(source), str(loud)]
    assert [each["start_s"] for each in found["inputs"]] == [0.0, 1.0]
    assert [each["over_db"] for each in found["inputs"]] == pytest.approx([0, 6.02], abs=0.01)


def test_one_file_is_one_file(tmp_path: Path, mix: Cli):
    source = write_wav(tmp_path / "a.wav", noise(1, 1.0))
    assert mix(source, "-o", tmp_path / "out.wav").stdout.endswith("1.000 s from 1 file\n")


@pytest.mark.parametrize("kind", ["wav", "float", "flac"])
def test_an_input_that_gives_nothing_fails_the_mix(kind: str, tmp_path: Path, run_here: Cli):
    good = write_wav(tmp_path / "good.wav", noise(1, 1.0))
    empty = tmp_path / f"empty.{'flac' if kind == 'flac' else 'wav'}"
    nothing = {
        "wav": riff(fmt(), data(b"")),
        "float": riff(fmt(3, 1, 32), data(floats(signal(frames=0), "<f4"))),
        "flac": b"fLaC" + bytes.fromhex("80000022") + bytes(34),
    }
    empty.write_bytes(nothing[kind])
    done = run_here("mix", good, empty, "-o", tmp_path / "out.wav")
    assert_one_line_error(done, 1, str(empty))
    assert not (tmp_path / "out.wav").exists()


def test_a_missing_file_with_an_at_sign_is_a_missing_file(tmp_path: Path, run_here: Cli):
    done = run_here("mix", tmp_path / "nofile@b.flac", "-o", tmp_path / "out.wav")
    assert_one_line_error(done, 1, "nofile@b.flac: no such file")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_mix_that_is_told_to_end_leaves_nothing(name: str, tmp_path: Path):
    # Silence is quickly mixed; a day of it takes its time.
    long = tmp_path / "long.wav"
    seconds = 24 * 3600
    long.write_bytes(wav_header(8000, seconds * 2 * 8000))
    with long.open("r+b") as file:
        file.truncate(80 + seconds * 2 * 8000)
    before = {each.name for each in tmp_path.iterdir()}
    with program("mix", long, "-o", tmp_path / "out.aac") as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("*.part")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(getattr(signals, name))
        _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + getattr(signals, name), err
    assert b"Traceback" not in err
    assert {each.name for each in tmp_path.iterdir()} == before
