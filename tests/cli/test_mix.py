"""``roomtape mix``: what goes in comes out, sample by sample."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from roomtape.media.offline import MixInput, MixSide, mix_to_stream
from roomtape.types import Pcm
from support.damage import declare_data_bytes, write_aac, write_wav
from support.program import Cli
from support.readers import read_all, read_ffmpeg, run
from support.signals import noise, offset_of, snr_db, speech

pytestmark = pytest.mark.slow


def converted(source: Path, target: Path, *options: str) -> Path:
    """``source`` in another format, by the ffmpeg program."""
    run("ffmpeg", "-v", "error", "-nostdin", "-i", str(source), *options, str(target))
    return target


@pytest.fixture
def voices(tmp_path: Path) -> tuple[Path, Path]:
    """a.wav (30 s) and b.wav (20 s), 48 kHz, together below full scale."""
    return (
        write_wav(tmp_path / "a.wav", speech("alice", 30)),
        write_wav(tmp_path / "b.wav", speech("bob", 20)),
    )


def test_two_48_khz_files_are_the_exact_sum(
    tmp_path: Path, voices: tuple[Path, Path], run_here: Cli
):
    a, b = voices
    out = tmp_path / "out.wav"
    done = run_here("mix", a, f"{b}@12.5", "-o", out, "--sample-rate", "48000")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{out}: 32.500 s from 2 files\n"
    pcm, rate = read_all(out)
    wanted = np.zeros(round(32.5 * 48000), np.int32)
    wanted[: 30 * 48000] += speech("alice", 30)
    wanted[600000:] += speech("bob", 20)
    assert rate == 48000
    assert np.array_equal(pcm, wanted)


@pytest.mark.parametrize("rate", [16000, 32000, 44100, 48000])
def test_one_source_alone_comes_out_bit_by_bit(tmp_path: Path, rate: int, run_here: Cli):
    said = noise(1, 3.21, rate, dbfs=0)
    source = write_wav(tmp_path / "a.wav", said, rate)
    run_here("mix", source, "-o", tmp_path / "out.wav", "--sample-rate", str(rate))
    assert np.array_equal(read_all(tmp_path / "out.wav")[0], said)


@pytest.mark.slow
def test_eight_full_scale_sources_give_no_clipped_sample(tmp_path: Path, run_here: Cli):
    rng = np.random.default_rng(7)
    sources = []
    for number in range(8):
        phase = rng.uniform(0, 6)
        wave = np.sin(2 * np.pi * (200 + 31 * number) * np.arange(5 * 48000) / 48000 + phase)
        square = np.where(wave > 0, 32767, -32768).astype(np.int16)
        sources.append(write_wav(tmp_path / f"{number}.wav", square))
    done = run_here("mix", *sources, "-o", tmp_path / "out.wav", "--sample-rate", "48000")
    assert "turned down for" in done.stdout
    pcm, _ = read_all(tmp_path / "out.wav")
    assert pcm.max() < 32767
    assert pcm.min() > -32768
    total = sum(read_all(source)[0].astype(np.int64) for source in sources)
    assert isinstance(total, np.ndarray)
    loud = np.abs(total) > 3000
    assert (np.sign(pcm[loud]) == np.sign(total[loud])).mean() > 0.999, "it wrapped"


IMPULSE_PERIOD = 48000 * 7 + 1
MINUTES_10 = 10 * 60 * 48000


@pytest.fixture(scope="module")
def minutes_of_impulses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    train = np.zeros(MINUTES_10, np.int16)
    train[::IMPULSE_PERIOD] = 24000
    return write_wav(tmp_path_factory.mktemp("train") / "train.wav", train)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [16000, 32000, 44100])
@pytest.mark.parametrize("suffix", ["wav", "aac"])
def test_impulses_land_within_a_sample_from_the_first_to_the_last_of_10_minutes(
    tmp_path: Path,
    minutes_of_impulses: Path,
    suffix: str,
    rate: int,
    run_here: Cli,
):
    out = tmp_path / f"out.{suffix}"
    done = run_here("mix", minutes_of_impulses, "-o", out, "--sample-rate", str(rate))
    assert done.returncode == 0
    pcm, read_rate = read_ffmpeg(out)
    assert read_rate == rate
    assert 0 <= len(pcm) - MINUTES_10 * rate // 48000 < (1024 if suffix == "aac" else 1)
    worst = 0.0
    # The first one of AAC lies in the fade-in of the first frame, and is faint but there.
    for place in range(0, MINUTES_10, IMPULSE_PERIOD):
        wanted = place * rate / 48000
        low = max(0, round(wanted) - 200)
        around = np.abs(pcm[low : round(wanted) + 200].astype(int))
        worst = max(worst, abs(low + int(around.argmax()) - wanted))
    assert worst <= 1.0


def test_48_to_32_khz_is_as_good_as_an_ideal_resampler(tmp_path: Path, run_here: Cli):
    seconds, rate = 4, 32000
    tones = [(440, 0.45), (9000.25, 0.3), (13000, 0.2)]

    def ideal(at: int) -> np.ndarray:
        turns = np.arange(seconds * at) / at
        return sum(32767 * level * np.sin(2 * np.pi * hz * turns) for hz, level in tones)

    source = converted_float(tmp_path / "a.wav", ideal(48000))
    run_here("mix", source, "-o", tmp_path / "out.wav", "--sample-rate", str(rate))
    pcm, _ = read_all(tmp_path / "out.wav")
    inside = slice(rate // 10, -rate // 10)
    assert snr_db(ideal(rate)[inside], pcm[inside]) >= 90


def converted_float(path: Path, samples: np.ndarray) -> Path:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(path, samples / 32768, 48000, subtype="FLOAT")
    return path


FORMATS: dict[str, tuple[str, tuple[str, ...], float]] = {
    # suffix, ffmpeg's options, the SNR against the source in dB (0: lossy, only alike)
    "stereo": ("wav", ("-af", "pan=stereo|c0=c0|c1=c0"), np.inf),
    "24 bit": ("wav", ("-c:a", "pcm_s24le"), np.inf),
    "float": ("wav", ("-c:a", "pcm_f32le"), np.inf),
    "8 bit": ("wav", ("-c:a", "pcm_u8"), 20),
    "flac": ("flac", (), np.inf),
    "flac 5.1": ("flac", ("-ac", "6"), 0),
    "mp3": ("mp3", ("-b:a", "128k"), 0),
    "ogg": ("ogg", ("-c:a", "libvorbis", "-b:a", "128k"), 0),
    "opus": ("opus", ("-b:a", "96k"), 0),
    "m4a": ("m4a", ("-b:a", "128k"), 0),
    "aiff": ("aiff", (), np.inf),
    "mkv": ("mkv", ("-c:a", "pcm_s16le"), np.inf),
}


@pytest.mark.parametrize("form", FORMATS)
def test_inputs_of_every_format_are_mixed(tmp_path: Path, form: str, run_here: Cli):
    suffix, options, wanted_db = FORMATS[form]
    said = speech("alice", 4.0)
    source = write_wav(tmp_path / "source.wav", said)
    given = converted(source, tmp_path / f"given.{suffix}", *options)
    done = run_here("mix", f"{given}@1", "-o", tmp_path / "out.wav", "--sample-rate", "48000")
    assert (done.returncode, done.stderr) == (0, "")
    pcm, _ = read_all(tmp_path / "out.wav")
    assert not pcm[: 48000 - 2000].any()
    if wanted_db:
        assert len(pcm) == 5 * 48000
        assert snr_db(said, pcm[48000:]) >= wanted_db
    else:
        offset_s, likeness = offset_of(said, pcm, 48000)
        assert abs(offset_s - 1) < 0.06
        assert likeness > 0.9


def test_inputs_of_different_rates_are_put_on_one_clock(tmp_path: Path, run_here: Cli):
    names = ("alice", "bob", "dave")
    rates = (8000, 22050, 48000)
    given = [
        f"{write_wav(tmp_path / f'{name}.wav', speech(name, 4.0, rate) // 2, rate)}@{start}"
        for name, rate, start in zip(names, rates, (0, 5, 10), strict=True)
    ]
    run_here("mix", *given, "-o", tmp_path / "out.wav", "--sample-rate", "16000")
    pcm, _ = read_all(tmp_path / "out.wav")
    assert len(pcm) == 14 * 16000
    for name, start in zip(names, (0, 5, 10), strict=True):
        offset_s, likeness = offset_of(speech(name, 4.0, 16000), pcm, 16000)
        assert abs(offset_s - start) <= 1 / 16000
        assert likeness > 0.9


def test_a_truncated_wav_is_mixed_as_far_as_it_goes_and_said_so(tmp_path: Path, run_here: Cli):
    said = noise(1, 2.0)
    source = write_wav(tmp_path / "cut.wav", said)
    source.write_bytes(source.read_bytes()[: 44 + 96001])
    done = run_here("mix", source, "-o", tmp_path / "out.wav", "--sample-rate", "48000")
    assert done.returncode == 0
    assert done.stderr.startswith(f"roomtape: {source}: ")
    assert np.array_equal(read_all(tmp_path / "out.wav")[0], said[:48000])


def test_a_truncated_aac_and_a_header_that_claims_too_much_are_mixed(tmp_path: Path, run_here: Cli):
    said = speech("alice", 4.0)
    aac = write_aac(tmp_path / "cut.aac", said)
    aac.write_bytes(aac.read_bytes()[: aac.stat().st_size // 2 + 3])
    wav = write_wav(tmp_path / "long.wav", said)
    declare_data_bytes(wav, 0xFFFFFF00)
    done = run_here("mix", aac, f"{wav}@10", "-o", tmp_path / "out.wav", "--sample-rate", "48000")
    assert done.returncode == 0, done.stderr
    assert str(aac) in done.stderr
    pcm, _ = read_all(tmp_path / "out.wav")
    assert np.array_equal(pcm[480000:], said)
    assert offset_of(said[:48000], pcm[:96000], 48000)[1] > 0.9


def test_the_same_file_twice_is_mixed_twice(tmp_path: Path, run_here: Cli):
    said = noise(1, 2.0, dbfs=-12)
    source = write_wav(tmp_path / "a.wav", said)
    run_here("mix", source, f"{source}@1", "-o", tmp_path / "out.wav", "--sample-rate", "48000")
    pcm, _ = read_all(tmp_path / "out.wav")
    wanted = np.zeros(3 * 48000, np.int16)
    wanted[:96000] += said
    wanted[48000:] += said
    assert np.array_equal(pcm, wanted)


def test_an_output_that_is_an_input_does_it_no_harm(tmp_path: Path, run_here: Cli):
    said = noise(1, 2.0)
    source = write_wav(tmp_path / "a.wav", said)
    before = source.read_bytes()
    done = run_here("mix", source, f"{source}@1", "-o", source, "--sample-rate", "48000")
    assert done.returncode == 0
    assert (tmp_path / "a.1.wav").read_bytes() == before
    assert len(read_all(source)[0]) == 3 * 48000


def test_names_with_an_at_sign_are_names_where_such_a_file_exists(tmp_path: Path, run_here: Cli):
    write_wav(tmp_path / "a@1.5.wav", noise(1, 1.0))
    odd = write_wav(tmp_path / "b.wav", noise(2, 1.0)).rename(tmp_path / "b.wav@2")
    out = tmp_path / "out.wav"
    for given, seconds in ((tmp_path / "a@1.5.wav", 1.0), (odd, 1.0), (f"{odd}@2", 3.0)):
        assert run_here("mix", given, "-o", out, "--sample-rate", "48000").returncode == 0
        assert len(read_all(out)[0]) == seconds * 48000


def everything_in(directory: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(directory)): each.read_bytes()
        for each in directory.rglob("*")
        if each.is_file()
    }


@pytest.mark.parametrize("suffix", ["wav", "aac"])
def test_each_file_is_heard_on_its_side(
    tmp_path: Path, voices: tuple[Path, Path], suffix: str, run_here: Cli
):
    a, b = voices
    out = tmp_path / f"out.{suffix}"
    options = ("--sample-rate", "48000", "--quality", "high", "--json")
    done = run_here("mix", f"{a}@left", f"{b}@12.5@right", f"{b}@left", "-o", out, *options)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["channels"], [each["side"] for each in told["inputs"]]) == (
        2,
        ["left", "right", "left"],
    )
    pcm, _ = read_all(out)
    wanted = np.zeros((round(32.5 * 48000), 2), np.int32)
    wanted[: 30 * 48000, 0] += speech("alice", 30)
    wanted[: 20 * 48000, 0] += speech("bob", 20)
    wanted[600000:, 1] += speech("bob", 20)
    if suffix == "wav":
        assert np.array_equal(pcm, wanted)
    else:
        assert not pcm[: 600000 - 2048, 1].any()
        assert snr_db(wanted[48000:-48000, 1], pcm[48000 : len(wanted) - 48000, 1]) > 10


def test_two_sides_go_to_standard_output(tmp_path: Path, voices: tuple[Path, Path]):
    stream = io.BytesIO()
    inputs = [MixInput(path, side=side) for path, side in zip(voices, MixSide, strict=True)]
    result = mix_to_stream(inputs, stream, sample_rate=48000)
    assert (result.duration_s, result.channels) == (30.0, 2)
    (tmp_path / "out.wav").write_bytes(stream.getvalue())
    pcm, _ = read_ffmpeg(tmp_path / "out.wav")
    assert np.array_equal(pcm[:, 0], speech("alice", 30))
    assert np.array_equal(pcm[: 20 * 48000, 1], speech("bob", 20))


def test_a_name_that_ends_in_a_side_is_a_name_where_such_a_file_exists(
    tmp_path: Path, run_here: Cli
):
    odd = write_wav(tmp_path / "a.wav@left", noise(1, 0.5))
    out = tmp_path / "out.wav"
    done = run_here("mix", odd, "-o", out, "--sample-rate", "48000")
    assert done.returncode == 0, done.stderr
    assert read_all(out)[0].ndim == 1
    done = run_here("mix", f"{odd}@right", "-o", out, "--sample-rate", "48000")
    assert not read_all(out)[0][:, 0].any()
    assert np.array_equal(read_all(out)[0][:, 1], noise(1, 0.5))


BAD: dict[str, tuple[list[str], int, str]] = {
    "missing file": (["nosuch.wav", "-o", "out.wav"], 1, "nosuch.wav: no such file"),
    "text file named .wav": (["text.wav", "-o", "out.wav"], 1, "text.wav: not a WAV file"),
    "empty file": (["empty.wav", "-o", "out.wav"], 1, "empty.wav: the file is empty"),
    "directory": ([".", "-o", "out.wav"], 1, "directory"),
    "a good and a missing one": (["good.wav", "nosuch.wav", "-o", "out.wav"], 1, "no such file"),
    "unknown suffix": (["good.wav", "-o", "out.mp3"], 2, "must end in .wav or .aac"),
    "rate": (["good.wav", "-o", "out.wav", "--sample-rate", "12345"], 2, "12345"),
    "rate in words": (["good.wav", "-o", "out.wav", "--sample-rate", "high"], 2, "sample-rate"),
    "quality": (["good.wav", "-o", "out.wav", "--quality", "best"], 2, "quality"),
    "negative start": (["good.wav@-3", "-o", "out.wav"], 2, "0 to 604800"),
    "unreadable start": (["good.wav@soon", "-o", "out.wav"], 2, "'soon'"),
    "start that is not finite": (["good.wav@inf", "-o", "out.wav"], 2, "0 to 604800"),
    "start beyond all bounds": (["good.wav@1e300", "-o", "out.wav"], 2, "0 to 604800"),
    "one file without a side": (["good.wav@left", "good.wav", "-o", "out.wav"], 2, "needs a side"),
    "two channels without sides": (["good.wav", "-o", "out.wav", "--channels", "2"], 2, "@left"),
    "a side of one channel": (["good.wav@left", "-o", "out.wav", "--channels", "1"], 2, "no left"),
    "two sides": (["good.wav@left@right", "-o", "out.wav"], 2, "on one side"),
    "three channels": (["good.wav", "-o", "out.wav", "--channels", "3"], 2, "channels is 3"),
    "start behind the side": (["good.wav@left@2", "-o", "out.wav"], 1, "no such file"),
    "no input": (["-o", "out.wav"], 2, "FILE"),
    "no output": (["good.wav"], 2, "output"),
    "missing directory": (["good.wav", "-o", "nowhere/out.wav"], 1, "no such file or directory"),
    "directory that is a file": (["good.wav", "-o", "text.wav/out.wav"], 1, "not a directory"),
    "output that is a directory": (["good.wav", "-o", "there.wav"], 1, "directory"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_leaves_nothing_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, run_here: Cli
):
    arguments, code, words = BAD[case]
    monkeypatch.chdir(tmp_path)
    write_wav(tmp_path / "good.wav", noise(1, 0.5))
    (tmp_path / "text.wav").write_text("this is no audio at all")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "out.wav").write_bytes(b"older")
    (tmp_path / "there.wav").mkdir()
    before = everything_in(tmp_path)
    done = run_here("mix", *arguments)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("roomtape: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert words in done.stderr
    assert done.stdout == ""
    assert everything_in(tmp_path) == before


def test_an_unreadable_file_is_one_line(tmp_path: Path, run_here: Cli):
    os.mkfifo(tmp_path / "loop")
    (tmp_path / "loop").unlink()
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    done = run_here("mix", tmp_path / "loop.wav", "-o", tmp_path / "out.wav")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out.wav").exists()


def test_an_aac_mix_is_as_long_as_its_inputs(tmp_path: Path, run_here: Cli):
    said: Pcm = speech("alice", 3.0)
    source = write_wav(tmp_path / "a.wav", said)
    out = tmp_path / "out.aac"
    assert run_here("mix", f"{source}@0.5", "-o", out, "--quality", "high").returncode == 0
    pcm, rate = read_all(out)
    assert rate == 32000
    assert 0 <= len(pcm) - 3.5 * rate < 1024
    offset_s, likeness = offset_of(speech("alice", 3.0, rate), pcm, rate)
    assert abs(offset_s - 0.5) <= 1 / rate
    assert likeness > 0.95


def test_quiet_and_loud_files_come_together(tmp_path: Path, run_here: Cli):
    """At a rate of which a tenth of a second is no whole number of samples, too."""
    rate = 11025
    for name, share in (("alice", 8), ("bob", 1)):
        write_wav(tmp_path / f"{name}.wav", speech(name, 30.0, rate) // share, rate)
    heard = {}
    for name in ("alice", "bob"):
        for option in ((), ("--level",)):
            mixed = tmp_path / "mixed.wav"
            source = tmp_path / f"{name}.wav"
            done = run_here("mix", source, "-o", mixed, "--sample-rate", "16000", *option)
            assert (done.returncode, done.stderr) == (0, "")
            said = read_all(mixed)[0][20 * 16000 :].astype(float)
            heard[name, bool(option)] = 20 * np.log10(np.sqrt(np.mean(said**2)))
            mixed.unlink()
    assert heard["bob", False] - heard["alice", False] > 15
    assert abs(heard["bob", True] - heard["alice", True]) < 4
