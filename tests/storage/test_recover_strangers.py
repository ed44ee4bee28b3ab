"""``recover`` and files that Roomtape did not write, or that somebody else has changed since."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from roomtape.storage.adts import has_mark
from roomtape.storage.live import AHEAD_S
from roomtape.storage.recover import recover
from roomtape.storage.wav import HEADER_BYTES, our_header, wav_header
from roomtape.types.errors import DamagedFileError
from support.damage import write_aac
from support.program import Cli, assert_one_line_error
from support.readers import read_all, read_ffmpeg, run
from support.scripted_recording import listing, record_scripted
from support.signals import noise

pytestmark = pytest.mark.slow

RATE_HZ = 32000
SINE = ("-f", "lavfi", "-i", "sine=d=2:r=32000")


def by_ffmpeg(path: Path, *options: str) -> Path:
    run("ffmpeg", "-v", "error", "-nostdin", *SINE, *options, str(path))
    return path


def first_version_header(data_bytes: int, rate_hz: int = RATE_HZ) -> bytes:
    """The 80 bytes that the first version wrote, without a mark."""
    header = bytearray(wav_header(rate_hz, data_bytes))
    header[20:48] = bytes(28)
    return bytes(header)


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


@pytest.mark.parametrize(
    "options",
    [
        ("-ac", "2"),
        ("-ac", "1"),
        ("-c:a", "pcm_f32le"),
        ("-c:a", "pcm_s24le"),
        ("-c:a", "pcm_u8"),
        ("-ac", "2", "-c:a", "pcm_s32le"),
        ("-ar", "22050"),
        ("-ar", "48000", "-ac", "2"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("tag", [b"", chunk(b"LIST", b"INFO" + bytes(4000)), b"TAG" + bytes(125)])
def test_a_wav_of_another_program_is_left_alone(
    options: tuple[str, ...], tag: bytes, tmp_path: Path
):
    path = by_ffmpeg(tmp_path / "s.wav", *options, "-rf64", "auto", "-bitexact")
    before = path.read_bytes() + tag
    assert before[12:16] == b"JUNK"
    path.write_bytes(before)
    with suppress(DamagedFileError):
        assert recover(path).aside is None
    assert path.read_bytes() == before
    assert listing(tmp_path) == [path]


def test_a_broken_off_wav_of_another_program_is_left_alone(tmp_path: Path):
    """ffmpeg leaves sizes of 0xFFFFFFFF."""
    path = by_ffmpeg(tmp_path / "s.wav", "-rf64", "auto", "-bitexact")
    data = bytearray(path.read_bytes())
    data[4:8] = data[76:80] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match="nothing was changed"):
        recover(path)
    assert path.read_bytes() == data


@pytest.mark.parametrize("rate_hz", [0, 1, 200_000_000, 2**31, 2**32 - 1])
def test_a_rate_that_no_recording_has_changes_nothing(rate_hz: int, tmp_path: Path):
    path = tmp_path / "a.wav"
    data = bytearray(first_version_header(40 * RATE_HZ) + bytes(RATE_HZ))
    data[60:64] = struct.pack("<I", rate_hz)
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match="not a WAV file that Roomtape wrote"):
        recover(path)
    assert path.read_bytes() == data


async def recorded(path: Path) -> bytes:
    await record_scripted(path)
    return path.read_bytes()  # noqa: ASYNC240 (nothing else runs)


TAGS: dict[str, bytes] = {
    "LIST": chunk(b"LIST", b"INFO" + bytes(80000)),
    "id3": chunk(b"id3 ", b"ID3\3\0\0\0\0\0\0" + bytes(301)),
    "_PMX": chunk(b"_PMX", b"<xmp/>"),
    "ID3v1": b"TAG" + bytes(125),
    "APE": b"APETAGEX" + bytes(300),
}


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("counted", [True, False], ids=["riff size right", "riff size as it was"])
async def test_a_recording_that_an_editor_tagged_stays_as_it_is(
    tag: str, counted: bool, tmp_path: Path
):
    path = tmp_path / "a.wav"
    data = bytearray(await recorded(path) + TAGS[tag])
    if counted:
        data[4:8] = struct.pack("<I", len(data) - 8)
    path.write_bytes(data)
    recovered = recover(path)
    assert recovered.aside is None
    assert path.read_bytes() == data
    assert listing(tmp_path) == [path]


@pytest.mark.parametrize("name", ["ID3v1", "APE", "ID3v2"])
async def test_a_tag_behind_an_aac_stays(name: str, tmp_path: Path):
    path = tmp_path / "a.aac"
    tag = TAGS.get(name, b"ID3\4\0\0\0\0\0\x0a" + bytes(10))
    ours = await recorded(path)
    theirs = write_aac(tmp_path / "b.aac", noise(1, 1, RATE_HZ), RATE_HZ).read_bytes()
    for data in (ours + tag, theirs + tag):
        path.write_bytes(data)
        recovered = recover(path)
        assert (recovered.cut_bytes, recovered.aside) == (0, None)
        assert path.read_bytes() == data


def test_aac_of_another_kind_is_left_alone(tmp_path: Path):
    for options in (("-ac", "6"), ("-ac", "2"), ("-ar", "22050"), ("-profile:a", "aac_main")):
        path = by_ffmpeg(tmp_path / "s.aac", "-c:a", "aac", "-strict", "-2", *options)
        data = path.read_bytes()[:-5]
        path.write_bytes(data)
        with pytest.raises(DamagedFileError, match=r"nothing was (changed|cut)"):
            recover(path)
        assert path.read_bytes() == data
        path.unlink()


def test_what_stands_behind_anothers_aac_is_not_cut_off(tmp_path: Path):
    path = write_aac(tmp_path / "a.aac", noise(1, 1, RATE_HZ), RATE_HZ)
    data = path.read_bytes() + bytes(5000)
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match="nothing was cut"):
        recover(path)
    assert path.read_bytes() == data


async def test_zeros_behind_our_aac_are_left_out(tmp_path: Path):
    """A power cut: the file grew, and its last block was never written."""
    path = tmp_path / "a.aac"
    whole = await recorded(path)
    assert has_mark(whole)
    path.write_bytes(whole + bytes(4096))
    recovered = recover(path)
    assert (path.read_bytes(), recovered.cut_bytes) == (whole, 4096)


@pytest.mark.parametrize("rate_hz", [16000, 32000, 44100, 48000])
@pytest.mark.parametrize("ahead_s", [0.5, 10, AHEAD_S])
def test_a_live_wav_of_the_first_version_is_put_right(ahead_s: float, rate_hz: int, tmp_path: Path):
    path, pcm = tmp_path / "a.wav", noise(1, 2, rate_hz)
    ahead_bytes = round(ahead_s * rate_hz) * 2
    left = first_version_header(pcm.nbytes + ahead_bytes, rate_hz) + pcm.tobytes() + b"x"
    path.write_bytes(left)
    recovered = recover(path)
    assert (recovered.duration_s, recovered.cut_bytes) == (2, 1)
    assert np.array_equal(read_all(path)[0], pcm)
    assert recovered.aside is not None
    assert recovered.aside.read_bytes() == left


def test_a_finished_wav_of_the_first_version_is_left_as_it_is(tmp_path: Path):
    path, pcm = tmp_path / "a.wav", noise(1, 2, RATE_HZ)
    data = first_version_header(pcm.nbytes) + pcm.tobytes()
    path.write_bytes(data)
    assert recover(path).aside is None
    assert path.read_bytes() == data


async def test_a_live_aac_of_the_first_version_loses_its_half_frame(tmp_path: Path):
    path = write_aac(tmp_path / "a.aac", noise(1, 1, RATE_HZ), RATE_HZ)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    recovered = recover(path)
    assert whole.startswith(path.read_bytes())
    assert recovered.aside is not None
    assert recovered.aside.read_bytes() == whole[:-5]


def turned_bits(data: bytes, count: int) -> list[bytes]:
    """``data`` with each bit of its first ``count`` bytes turned, one at a time."""
    every = []
    for bit in range(8 * count):
        turned = bytearray(data)
        turned[bit // 8] ^= 1 << bit % 8
        every.append(bytes(turned))
    return every


@pytest.mark.parametrize("ahead_bytes", [0, 20 * RATE_HZ], ids=["finished", "live"])
def test_no_bit_of_a_live_wav_head_costs_a_sample(ahead_bytes: int, tmp_path: Path):
    path, pcm = tmp_path / "a.wav", noise(1, 0.2, RATE_HZ)
    whole = wav_header(RATE_HZ, pcm.nbytes + ahead_bytes) + pcm.tobytes()
    wanted = wav_header(RATE_HZ, pcm.nbytes) + pcm.tobytes()
    for left in turned_bits(whole, HEADER_BYTES):
        path.write_bytes(left)
        recovered = recover(path)
        assert path.read_bytes() == wanted
        assert recovered.aside is not None
        assert recovered.aside.read_bytes() == left
        recovered.aside.unlink()


async def test_no_bit_of_a_live_aac_head_costs_a_frame(tmp_path: Path):
    path = tmp_path / "a.aac"
    whole = await recorded(path)
    half = whole[:-5]
    for left in turned_bits(half, 26):
        path.write_bytes(left)
        try:
            recovered = recover(path)
        except DamagedFileError:
            assert path.read_bytes() == left
            continue
        assert whole.startswith(path.read_bytes()[26:], 26)
        assert len(whole) - path.stat().st_size < 800
        assert recovered.aside is not None
        assert recovered.aside.read_bytes() == left
        recovered.aside.unlink()


def test_rates_and_channels_are_told_apart_whatever_bit_is_turned():
    for rate_hz in (16000, 32000, 44100, 48000):
        for channels in (1, 2):
            for left in turned_bits(wav_header(rate_hz, 1000, channels=channels), HEADER_BYTES):
                found = our_header(left)
                assert found is not None
                assert (found.rate_hz, found.channels) == (rate_hz, channels)


async def test_the_mark_of_an_aac_is_not_heard(tmp_path: Path):
    path, cyclic = tmp_path / "a.aac", tmp_path / "b.aac"
    await recorded(path)
    await record_scripted(cyclic, cycle_time=10)
    assert path.read_bytes() != cyclic.read_bytes()
    assert np.array_equal(read_ffmpeg(path)[0], read_ffmpeg(cyclic)[0])


async def test_the_command_says_that_there_is_nothing_to_recover(tmp_path: Path, run_here: Cli):
    path = tmp_path / "a.wav"
    before = await recorded(path)
    done = run_here("recover", path)
    assert done.returncode == 0
    assert done.stdout == (
        f"{path}: nothing to recover: 0:01.600 (wav, 32000 Hz) are whole; nothing was changed\n"
    )
    assert path.read_bytes() == before


def test_a_stereo_file_of_another_program_is_said_to_be_none_of_ours(tmp_path: Path, run_here: Cli):
    path = by_ffmpeg(tmp_path / "s.wav", "-ac", "2", "-rf64", "auto", "-bitexact")
    assert_one_line_error(run_here("recover", path), 1, "not a WAV file that Roomtape wrote")
