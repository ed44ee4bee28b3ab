"""What inspect_file says of whole, odd and harmed files."""

from __future__ import annotations

import itertools
import json
import math
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from roomtape.analysis.inspect import inspect_file
from roomtape.storage.live import AHEAD_S
from roomtape.storage.wav import wav_header
from roomtape.types.errors import DamagedFileError, FileError
from support.damage import adts_offsets, declare_data_bytes, write_aac, write_wav
from support.readers import read_ffmpeg, run
from support.signals import noise, silence, speech, tone


def test_a_whole_wav_file_is_told_to_the_sample(tmp_path: Path):
    path = write_wav(tmp_path / "a.wav", tone(1000, 2.5, 32000, dbfs=-6), 32000)
    found = inspect_file(path)
    assert (found.format, found.sample_rate, found.channels) == ("wav pcm_s16le", 32000, 1)
    assert (found.samples, found.duration_s, found.declared_s) == (80000, 2.5, 2.5)
    assert found.bytes == path.stat().st_size
    assert found.peak_dbfs == pytest.approx(-6, abs=0.01)
    assert found.rms_dbfs == pytest.approx(-9.01, abs=0.01)
    assert found.dc_offset == pytest.approx(0, abs=1e-6)
    assert (found.clipped_samples, found.silences, found.damage) == (0, (), ())


def test_a_whole_aac_file_has_1024_samples_a_frame_and_the_levels_that_ffmpeg_decodes(
    tmp_path: Path,
):
    path = write_aac(tmp_path / "a.aac", speech("alice", 3, 32000), 32000)
    found = inspect_file(path)
    pcm, _ = read_ffmpeg(path)
    assert (found.format, found.sample_rate, found.channels) == ("aac adts (LC)", 32000, 1)
    assert found.samples == 1024 * len(adts_offsets(path)) == len(pcm)
    assert found.peak_dbfs == pytest.approx(20 * math.log10(np.abs(pcm).max() / 32768), abs=0.01)
    assert found.damage == ()


@pytest.mark.parametrize("suffix", ["flac", "mp3", "opus", "m4a", "ogg"])
def test_other_formats_are_left_to_ffmpeg(suffix: str, tmp_path: Path):
    wav = write_wav(tmp_path / "a.wav", speech("bob", 2))
    other = tmp_path / f"a.{suffix}"
    run("ffmpeg", "-v", "error", "-nostdin", "-i", str(wav), str(other))
    found = inspect_file(other)
    assert found.sample_rate == 48000
    assert found.duration_s == pytest.approx(2, abs=0.1)
    assert found.damage == ()


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le"])
def test_wav_files_of_other_sample_formats_are_read(codec: str, tmp_path: Path):
    wav = write_wav(tmp_path / "a.wav", tone(440, 1.0).repeat(2).reshape(-1, 2))
    other = tmp_path / "other.wav"
    run("ffmpeg", "-v", "error", "-nostdin", "-i", str(wav), "-c:a", codec, str(other))
    found = inspect_file(other)
    assert (found.format, found.channels, found.samples) == (f"wav {codec}", 2, 48000)
    assert found.peak_dbfs == pytest.approx(-6, abs=0.2)  # 8 bits are coarse
    assert found.damage == ()


def test_an_rf64_file_is_read_by_its_ds64_chunk(tmp_path: Path):
    wav = write_wav(tmp_path / "a.wav", noise(3, 1.0))
    rf64 = tmp_path / "rf64.wav"
    run("ffmpeg", "-v", "error", "-nostdin", "-i", str(wav), "-rf64", "always", str(rf64))
    found = inspect_file(rf64)
    assert (found.format, found.samples, found.damage) == ("rf64 pcm_s16le", 48000, ())


def test_clipping_is_counted_from_three_samples_in_a_row_at_full_scale(tmp_path: Path):
    pcm = silence(3)
    pcm[100:102] = 32767  # a peak that just fits
    pcm[200:203] = 32767
    pcm[300:310] = -32768
    pcm[65534:65540] = 32767  # across the edge of what is read at once
    pcm[-4:] = -32768
    found = inspect_file(write_wav(tmp_path / "a.wav", pcm))
    assert (found.clipped_runs, found.clipped_samples) == (4, 3 + 10 + 6 + 4)


def test_stretches_of_silence_are_listed_from_a_second_on(tmp_path: Path):
    pcm = np.concatenate([silence(1.5), tone(440, 1), silence(0.5), tone(440, 1), silence(3)])
    found = inspect_file(write_wav(tmp_path / "a.wav", pcm))
    listed = [(round(s.start_s, 2), round(s.end_s, 2)) for s in found.silences]
    assert listed == [(0, 1.5), (4, 7)]
    assert found.silent_fraction == pytest.approx(5 / 7, abs=0.001)


def test_silence_in_one_channel_is_no_silence(tmp_path: Path):
    pcm = np.stack([silence(2), tone(440, 2)], axis=1)
    assert inspect_file(write_wav(tmp_path / "a.wav", pcm)).silent_fraction == 0


def test_a_silent_file_has_no_level_and_is_valid_json(tmp_path: Path):
    found = inspect_file(write_wav(tmp_path / "a.wav", silence(2)))
    assert found.peak_dbfs == found.rms_dbfs == -math.inf
    assert found.silent_fraction == 1
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["peak_dbfs"] is None
    assert plain["silences"] == [{"start_s": 0.0, "end_s": 2.0}]


def test_a_wav_file_without_samples_is_valid_and_empty(tmp_path: Path):
    found = inspect_file(write_wav(tmp_path / "a.wav", silence(0)))
    assert (found.samples, found.duration_s, found.damage) == (0, 0.0, ())


def test_dc_is_that_of_the_channel_that_is_farthest_off(tmp_path: Path):
    pcm = np.stack([silence(1), np.full(48000, -3277, np.int16)], axis=1)
    assert inspect_file(write_wav(tmp_path / "a.wav", pcm)).dc_offset == pytest.approx(-0.1, 1e-3)


def test_a_cut_wav_file_tells_how_much_is_readable(tmp_path: Path):
    path = write_wav(tmp_path / "a.wav", noise(1, 20))
    with path.open("r+b") as file:
        file.truncate(44 + round(12.3 * 96000) + 1)
    found = inspect_file(path)
    assert found.samples == round(12.3 * 48000)
    assert found.damage == (
        "the last sample is cut",
        "damaged, 12.3 s readable of 20.0 s declared",
    )


def test_a_live_recording_is_still_growing_and_not_damaged(tmp_path: Path):
    pcm = noise(1, 3, 32000)
    path = tmp_path / "live.wav"
    path.write_bytes(wav_header(32000, pcm.nbytes + AHEAD_S * 64000) + pcm.tobytes())
    found = inspect_file(path)
    assert (found.samples, found.declared_s) == (3 * 32000, 3 + AHEAD_S)
    assert found.damage == ("still growing, or not closed: 3.0 s readable",)


def test_a_recording_that_lacks_more_than_a_live_one_can_was_cut(tmp_path: Path):
    path = tmp_path / "cut.wav"
    path.write_bytes(wav_header(32000, 100 * 64000) + noise(1, 3, 32000).tobytes())
    assert inspect_file(path).damage == ("damaged, 3.0 s readable of 100.0 s declared",)


def test_samples_that_the_header_leaves_out_are_told(tmp_path: Path):
    path = write_wav(tmp_path / "a.wav", noise(1, 3))
    declare_data_bytes(path, 2 * 96000)
    found = inspect_file(path)
    assert found.samples == 2 * 48000
    assert "96,000 bytes after the samples are no chunk (1.0 s if" in found.damage[0]


@pytest.mark.parametrize("declared", [0, 0xFFFFFFFF])
def test_a_header_that_was_never_finished_hides_no_samples(declared: int, tmp_path: Path):
    path = write_wav(tmp_path / "a.wav", noise(1, 3))
    declare_data_bytes(path, declared)
    found = inspect_file(path)
    assert (found.samples, found.declared_s) == (3 * 48000, None)
    assert "leaves the length open" in found.damage[0]


def test_chunks_around_the_samples_are_no_damage(tmp_path: Path):
    data = write_wav(tmp_path / "a.wav", noise(1, 1)).read_bytes()
    before, after = (
        b"JUNK" + struct.pack("<I", 3) + b"abc\0",
        b"LIST" + struct.pack("<I", 4) + b"INFO",
    )
    body = data[8:36] + before + data[36:] + after
    (tmp_path / "b.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    found = inspect_file(tmp_path / "b.wav")
    assert (found.samples, found.damage) == (48000, ())


def test_a_cut_aac_file_loses_its_last_frame_only(tmp_path: Path):
    path = write_aac(tmp_path / "a.aac", noise(1, 2))
    frames = adts_offsets(path)
    with path.open("r+b") as file:
        file.truncate(frames[50] + 11)
    found = inspect_file(path)
    assert found.samples == 50 * 1024
    assert found.damage == (f"the last frame is cut: 11 of {frames[51] - frames[50]} bytes",)


def test_garbage_between_aac_frames_is_skipped_and_told(tmp_path: Path):
    path = write_aac(tmp_path / "a.aac", noise(1, 2))
    data, at = path.read_bytes(), adts_offsets(path)[20]
    path.write_bytes(data[:at] + b"\xff\xf1garbage" * 20 + data[at:])
    found = inspect_file(path)
    assert found.samples == 1024 * len(adts_offsets(write_aac(tmp_path / "b.aac", noise(1, 2))))
    assert found.damage == (
        f"180 bytes at byte {at:,} are no frame; resynchronised at byte {at + 180:,}",
    )


def test_an_aac_frame_that_lost_bytes_does_not_take_the_next_one_with_it(tmp_path: Path):
    path = write_aac(tmp_path / "a.aac", noise(1, 2))
    data, frames = path.read_bytes(), adts_offsets(path)
    path.write_bytes(data[: frames[20] + 30] + data[frames[20] + 60 :])
    found = inspect_file(path)
    assert found.samples == 1024 * (len(frames) - 1)
    assert f"at byte {frames[20]:,} are no frame" in found.damage[0]


def test_zeros_after_a_crash_are_told_as_no_frames(tmp_path: Path):
    path = write_aac(tmp_path / "a.aac", noise(1, 1))
    with path.open("ab") as file:
        file.write(bytes(4096))
    assert inspect_file(path).damage == ("the last 4,096 bytes are no frame",)


def test_an_aac_frame_that_cannot_be_decoded_counts_as_silence(tmp_path: Path):
    path = write_aac(tmp_path / "a.aac", noise(1, 2))
    data, frames = bytearray(path.read_bytes()), adts_offsets(path)
    for at, end in ((frames[0], frames[1]), (frames[20], frames[21])):
        data[at + 7 : end] = b"\xee" * (end - at - 7)
    path.write_bytes(data)
    found = inspect_file(path)
    assert found.samples == 1024 * len(frames)
    assert found.damage == ("2 frames cannot be decoded",)


def test_much_damage_is_summed_up(tmp_path: Path):
    path = write_aac(tmp_path / "a.aac", noise(1, 2))
    data, frames = path.read_bytes(), adts_offsets(path)[:93:3]
    pieces = [data[start:end] + b"garbage" for start, end in itertools.pairwise(frames)]
    path.write_bytes(b"".join(pieces))
    found = inspect_file(path)
    assert len(found.damage) == 11
    assert found.damage[-1] == "and 20 more such places"


def test_a_cut_flac_file_tells_how_much_is_readable(tmp_path: Path):
    wav = write_wav(tmp_path / "a.wav", noise(1, 10))
    run("ffmpeg", "-v", "error", "-nostdin", "-i", str(wav), str(tmp_path / "a.flac"))
    data = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(data[: len(data) // 2])
    assert inspect_file(tmp_path / "a.flac").damage[-1] in (
        "damaged, 4.9 s readable of 10.0 s declared",
        "damaged, 5.0 s readable of 10.0 s declared",
    )


def test_audio_under_a_wrong_name_is_read_and_told(tmp_path: Path):
    wav = write_wav(tmp_path / "a.wav", noise(1, 1))
    run("ffmpeg", "-v", "error", "-nostdin", "-i", str(wav), str(tmp_path / "a.flac"))
    (tmp_path / "a.flac").rename(wav)
    found = inspect_file(wav)
    assert (found.damage, found.notes) == ((), ("named .wav, but is flac",))


def test_memory_does_not_grow_with_the_file(tmp_path: Path):
    path = tmp_path / "long.wav"
    seconds = 600
    path.write_bytes(wav_header(48000, seconds * 96000))
    with path.open("r+b") as file:
        file.truncate(80 + seconds * 96000)  # a sparse file: silence that takes no disk
    tracemalloc.start()
    found = inspect_file(path)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.duration_s == seconds
    assert most_bytes < 8_000_000


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.wav", b"hello, this is text", "not a WAV file: it begins with 'hello, this"),
        ("text.aac", b"hello, this is text", "not an AAC file: it begins with 'hello, this"),
        ("text.flac", b"hello, this is text", "not an audio file: it begins with 'hello, this"),
        ("empty.wav", b"", r"the file is empty \(0 bytes\)"),
        ("empty.aac", b"", r"the file is empty \(0 bytes\)"),
        ("ones.aac", b"\xff" * 3000, "not an AAC file"),
        ("riff.wav", b"RIFF\x24\0\0\0WAVE", "it ends before its first sample"),
        ("data.wav", b"RIFF\x24\0\0\0WAVEdata\4\0\0\0abcd", "no fmt chunk"),
        ("long.wav", b"RIFF\x24\0\0\0WAVELIST\xff\0\0\0abcd", "reaches beyond its end"),
        ("short.wav", b"RIFF\x24\0\0\0WAVEfmt \2\0\0\0ab" + b"data\0\0\0\0", "fmt chunk is cut"),
        (
            "zero.wav",
            b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + bytes(16) + b"data\0\0\0\0",
            "it claims 0 channels",
        ),
    ],
)
def test_what_is_no_audio_file_is_refused_in_one_line(
    name: str, content: bytes, words: str, tmp_path: Path
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DamagedFileError, match=words) as raised:
        inspect_file(tmp_path / name)
    assert str(raised.value).startswith(str(tmp_path / name))
    assert "\n" not in str(raised.value)


def test_a_missing_file_and_a_directory_are_refused_in_one_line(tmp_path: Path):
    with pytest.raises(FileError, match="no such file"):
        inspect_file(tmp_path / "nosuch.wav")
    with pytest.raises(FileError, match="this is a directory"):
        inspect_file(tmp_path)


def test_each_channel_has_its_own_levels(tmp_path: Path):
    pcm = np.stack([silence(2), tone(440, 2, dbfs=-6), tone(440, 2, dbfs=-20)], axis=1)
    found = inspect_file(write_wav(tmp_path / "a.wav", pcm))
    left, middle, right = found.channel_levels
    assert left.peak_dbfs == left.rms_dbfs == -math.inf
    assert (middle.peak_dbfs, right.peak_dbfs) == pytest.approx((-6, -20), abs=0.01)
    assert (middle.rms_dbfs, right.rms_dbfs) == pytest.approx((-9.01, -23.01), abs=0.01)
    assert found.peak_dbfs == middle.peak_dbfs
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["channel_levels"][0] == {"peak_dbfs": None, "rms_dbfs": None}
