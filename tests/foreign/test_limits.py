"""What a stranger's file must not do: crash, hang, fill the memory, or open something else."""

from __future__ import annotations

import json
import os
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from roomtape.analysis.inspect import inspect_file
from roomtape.types.errors import DamagedFileError, FileError
from support.program import (
    Cli,
    assert_one_line_error,
    run_python,
    run_roomtape,
)
from support.readers import run

from .container_recipes import made, sine
from .wav_recipes import data, floats, fmt, riff, signal

pytestmark = pytest.mark.slow


def mutated(path: Path, at: int, value: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[at : at + len(value)] = value
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("tag", [0x9999, 0x0000, 0x7777, 0xFFFE])
def test_a_codec_that_nobody_knows_is_one_line(tag: int, tmp_path: Path, run_here: Cli):
    path = tmp_path / "a.wav"
    path.write_bytes(mutated_tag(tag))
    done = run_here("inspect", path)
    assert_one_line_error(done, 1, f"{path}: ")
    assert "internal" not in done.stderr


def mutated_tag(tag: int) -> bytes:
    content = bytearray(riff(fmt(), data(signal())))
    content[20:22] = struct.pack("<H", tag)
    return bytes(content)


@pytest.mark.parametrize("rate_hz", [1, 999, 1_000_000, 200_000_000, 2**31, 2**32 - 1])
@pytest.mark.parametrize("dtype", ["<i2", "<f4"])
def test_no_rate_makes_much_of_a_small_file(
    dtype: str, rate_hz: int, tmp_path: Path, run_here: Cli
):
    path, frames = tmp_path / "a.wav", 500_000
    samples = signal(frames=frames)
    samples[::2] = 0
    header = fmt(rate_hz=rate_hz) if dtype == "<i2" else fmt(3, 1, 32, rate_hz=rate_hz)
    path.write_bytes(riff(header, data(samples if dtype == "<i2" else floats(samples, dtype))))
    tracemalloc.start()
    found = inspect_file(path)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.samples, found.sample_rate) == (frames, rate_hz)
    assert most_bytes < 20_000_000
    done = run_here("mix", path, "-o", tmp_path / "out.wav")
    assert_one_line_error(done, 1, f"{rate_hz} Hz cannot be mixed")


@pytest.mark.parametrize("suffix", ["flac", "opus", "wv"])
@pytest.mark.parametrize("channels", [8])
def test_eight_channels_do_not_crash(suffix: str, channels: int, tmp_path: Path, run_here: Cli):
    path = made(tmp_path / f"a.{suffix}", *sine(seconds=1), "-ac", str(channels))
    done = run_here("inspect", path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["channels"] == channels


@pytest.mark.parametrize("name", ["SEGV", "ABRT", "KILL", "XCPU"])
def test_a_decoder_that_crashes_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = made(tmp_path / "a.flac", *sine(seconds=1))
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nkill -{name} $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    words = "had given nothing for 10 s" if name == "XCPU" else f"crashed on it .SIG{name}"
    with pytest.raises(DamagedFileError, match=words):
        inspect_file(path)


def test_the_decoder_cannot_take_all_memory():
    code = (
        "from roomtape.analysis.decoding.limits import limit_memory\n"
        "limit_memory()\n"
        "try:\n"
        "    bytearray(300 << 20)\n"
        "except MemoryError:\n"
        "    print('refused')\n"
        "bytearray(50 << 20)\n"
    )
    assert run_python(code).stdout == "refused\n"


def test_the_decoder_cannot_take_all_time():
    code = (
        "from roomtape.analysis.decoding import limits\n"
        "limits.MOST_CPU_S = 0\n"
        "limits.allow_time()\n"
        "while True: pass\n"
    )
    assert run_python(code).returncode == -24


CONCAT = {
    "ffconcat": "ffconcat version 1.0\nfile 'a.flac'\n",
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:2,\na.flac\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=audio 5000 RTP/AVP 0\n",
}


@pytest.mark.parametrize("kind", CONCAT)
def test_a_file_that_names_others_opens_none(kind: str, tmp_path: Path, run_here: Cli):
    made(tmp_path / "a.flac", *sine(seconds=1))
    for suffix in (kind, "wav", "flac"):
        path = tmp_path / f"list.{suffix}"
        path.write_text(CONCAT[kind])
        assert_one_line_error(run_here("inspect", path), 1, "it begins with")


def test_a_pipe_is_refused_at_once(tmp_path: Path, run_here: Cli):
    os.mkfifo(tmp_path / "a.wav")
    for command in (("inspect",), ("mix", "-o", tmp_path / "b.wav")):
        done = run_here(*command, tmp_path / "a.wav")
        assert_one_line_error(done, 1, "no regular file")


@pytest.mark.parametrize("name", ["call-10:42.flac", "file:x.flac", "pipe:0", "-", "a b%d.flac"])
def test_a_name_is_but_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made(tmp_path / "a.flac", *sine(seconds=1)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert inspect_file(name).samples == 48000


def test_a_name_that_is_no_text_is_read(tmp_path: Path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.flac"
    os.rename(made(tmp_path / "a.flac", *sine(seconds=1)), path)  # noqa: PTH104
    assert inspect_file(os.fsdecode(path)).samples == 48000


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_terminal_without_umlauts_gets_escapes(options: tuple[str, ...], tmp_path: Path):
    path = tmp_path / "gespräch.wav"
    path.write_bytes(riff(fmt(), data(signal())))
    env = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = run_roomtape("inspect", path, *options, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "gespr\\xe4ch" in done.stdout


def test_what_is_no_number_is_silence_and_told(tmp_path: Path, run_here: Cli):
    samples = floats(signal(), "<f4")
    samples[10], samples[20], samples[30], samples[40] = np.nan, np.inf, -np.inf, 1e30
    path = tmp_path / "a.wav"
    path.write_bytes(riff(fmt(3, 1, 32), data(samples)))
    done = run_here("inspect", path, "--json")
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    assert found["damage"] == ["4 samples are no numbers, or beyond all bounds: read as 0"]
    assert found["peak_dbfs"] < 0
    mixed = run_here("mix", path, "-o", tmp_path / "b.wav")
    assert mixed.returncode == 0
    assert "4 samples are no numbers" in mixed.stderr


def test_nothing_of_the_working_directory_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made(tmp_path / "a.flac", *sine(seconds=1))
    (tmp_path / "av.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert inspect_file("a.flac").samples == 48000


def test_a_decoder_ends_with_who_started_it(tmp_path: Path):
    path = made(tmp_path / "a.flac", *sine(seconds=60))
    code = (
        "from roomtape.analysis.reader import open_audio\n"
        f"reader = open_audio({str(path)!r})\n"
        "print(reader._process.pid, flush=True)\n"
        "import os; os._exit(0)\n"
    )
    pid = int(run_python(code).stdout)
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists():
            return
        run("sleep", "0.05")
    pytest.fail("the decoder is still there")


def test_a_file_that_vanishes_is_one_line(tmp_path: Path):
    with pytest.raises(FileError, match="no such file"):
        inspect_file(tmp_path / "nosuch.flac")
    with pytest.raises(FileError, match="no file can have this name"):
        inspect_file("a\0b.wav")
