"""Live files: the header ahead, the order on disk, and past 4 GiB."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from roomtape.storage.adts import silent_frame
from roomtape.storage.disk import Disk
from roomtape.storage.live import AHEAD_S, LiveAdts, LiveWav
from roomtape.storage.recover import recover
from roomtape.storage.ring import Ring
from roomtape.storage.sink import SinkFormat
from roomtape.storage.wav import HEADER_BYTES, declared_bytes, wav_header
from roomtape.types import AudioFormat
from support.faulty_disk import NotingDisk
from support.readers import read_all, run
from support.scripted_recording import record_scripted

pytestmark = pytest.mark.slow

RATE_HZ = 48000
UNIT = RATE_HZ // 10
FOUR_GIB = 1 << 32
WAV = SinkFormat(
    audio_format=AudioFormat.WAV,
    rate_hz=RATE_HZ,
    unit_samples=UNIT,
    most_unit_bytes=2 * UNIT,
    cycle_s=0,
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
)

AAC = replace(
    WAV, audio_format=AudioFormat.AAC, rate_hz=16000, unit_samples=1024, most_unit_bytes=775
)


def units(count: int, value: int = 1000) -> list[bytes]:
    return [np.full(UNIT, value, "<i2").tobytes()] * count


@pytest.mark.slow
def test_a_live_wav_reads_to_its_last_sample_at_any_moment(tmp_path: Path):
    path = tmp_path / "a.wav"
    sink = LiveWav(path, WAV, Disk())
    sink.place()
    for tenths in (1, 99, 1, 150, 400, 3):
        sink.write(units(tenths))
        pcm, rate_hz = read_all(path)
        assert rate_hz == RATE_HZ
        assert len(pcm) == sink.samples
        ahead = declared_bytes(path.read_bytes()[:HEADER_BYTES]) - 2 * sink.samples
        assert AHEAD_S / 2 <= ahead / 2 / RATE_HZ <= AHEAD_S
    sink.finish()
    assert declared_bytes(path.read_bytes()[:HEADER_BYTES]) == 2 * sink.samples
    assert len(read_all(path)[0]) == sink.samples


async def test_data_is_synced_before_the_header_that_claims_it_is_all(tmp_path: Path):
    disk = NotingDisk()
    await record_scripted(tmp_path / "a.wav", disk=disk, seconds=3)
    kinds = [
        "header" if name == "write" and offset == 0 else name for name, offset, _ in disk.notes
    ]
    # The name is synced when it is taken, and data about once a second.
    # The second "open" follows the name, the third one is the directory.
    assert kinds[:6] == ["open", "header", "rename_new", "open", "open", "fsync"]
    # At the end it is read once more, for its hash.
    closing = ["write", "truncate", "fsync", "header", "fsync", "close"]
    assert kinds[-10:] == [*closing, "open", "read", "read", "close"]
    assert kinds.count("fsync") >= 2 + 1 + 2
    # A header is either ahead of the data by seconds, or comes after the data's sync.
    last = disk.notes[-7][2]
    end = HEADER_BYTES
    for kind, (_, offset, data) in zip(kinds, disk.notes, strict=True):
        if kind == "write":
            end = max(end, offset + len(data))
        elif kind == "header" and data is not last:
            assert declared_bytes(data) - (end - HEADER_BYTES) >= AHEAD_S * 32000
    assert declared_bytes(last) == end - HEADER_BYTES


async def test_a_ring_is_safe_before_the_start_and_until_the_finished_file_is(tmp_path: Path):
    disk = NotingDisk()
    await record_scripted(tmp_path / "a.aac", disk=disk, cycle_time=10)
    kinds = [name for name, _, _ in disk.notes]
    # Before START: the ring with its space, its head, and its name in the directory.
    named = ["open", "rename_new"]  # locked before it has its name
    assert kinds[:7] == [*named, "allocate", "write", "fsync", "open", "fsync"]
    # Copy, sync, take the name, sync the directory; only then remove the ring (its own "close"
    # comes some time after, on another thread).
    finishing = ["read", "write", "fsync", "close", "rename_new", "open", "fsync", "unlink"]
    assert kinds[kinds.index("read") :][: len(finishing)] == finishing


async def test_sync_comes_about_once_a_second(tmp_path: Path):
    disk = NotingDisk()
    await record_scripted(tmp_path / "a.wav", disk=disk, seconds=20)
    kinds = [name for name, _, _ in disk.notes]
    assert 20 <= kinds.count("fsync") <= 30


@pytest.mark.parametrize("rate_hz", [16000, 32000, 44100, 48000])
def test_a_header_says_what_it_was_given(rate_hz: int):
    for data_bytes in (0, 2, 1 << 20, FOUR_GIB - 100, FOUR_GIB - 72, FOUR_GIB, 1 << 40):
        header = wav_header(rate_hz, data_bytes)
        assert len(header) == HEADER_BYTES
        assert declared_bytes(header) == data_bytes
        assert (header[:4] == b"RF64") == (data_bytes + 72 > FOUR_GIB - 1)


def sparse_live_wav(path: Path, disk: Disk, data_bytes: int) -> LiveWav:
    """A live WAV that has so much data already; all of it zeros, none of it on disk."""
    sink = LiveWav(path, WAV, disk)
    sink.place()
    sink._end = HEADER_BYTES + data_bytes
    sink.samples = data_bytes // 2
    return sink


def assert_long_wav(path: Path, samples: int, tail: int) -> None:
    """Length and last samples, by ffmpeg and libsndfile."""
    with soundfile.SoundFile(path) as file:
        assert file.format in ("WAV", "RF64")
        assert file.frames == samples
        file.seek(samples - tail)
        assert np.all(file.read(tail, dtype="int16") == 1000)
    duration_s = float(
        run(
            "ffprobe",
            "-v",
            "error",
            "-of",
            "csv=p=0",
            "-show_entries",
            "format=duration",
            str(path),
        )
    )
    assert duration_s == pytest.approx(samples / RATE_HZ, abs=1e-4)
    start = f"{(samples - tail) / RATE_HZ:.6f}"
    raw = run("ffmpeg", "-v", "error", "-ss", start, "-i", str(path), "-f", "s16le", "-")
    assert len(raw) == 2 * tail
    assert np.all(np.frombuffer(raw, "<i2") == 1000)


def test_a_wav_that_grows_past_4_gib_becomes_rf64_and_keeps_its_true_length(tmp_path: Path):
    path = tmp_path / "a.wav"
    sink = sparse_live_wav(path, Disk(), FOUR_GIB - 60 * RATE_HZ * 2)
    heads = []
    for _ in range(100):  # 100 s, one at a time, across the border
        sink.write(units(10))
        with path.open("rb") as file:
            heads.append(file.read(4))
    assert heads == sorted(heads, reverse=True)  # RIFF, then RF64
    assert {b"RIFF", b"RF64"} == set(heads)
    finished = sink.finish()
    assert finished.file_bytes == path.stat().st_size > FOUR_GIB
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    assert struct.unpack_from("<I", header, 76)[0] == 0xFFFFFFFF
    assert declared_bytes(header) == path.stat().st_size - HEADER_BYTES
    assert_long_wav(path, sink.samples, 100 * RATE_HZ)


@pytest.mark.parametrize("over_s", [-5, 1])
def test_a_kill_near_4_gib_leaves_a_file_that_reads_to_its_end(over_s: int, tmp_path: Path):
    """Just before the data passes the border the header is RF64 already, since it is ahead."""
    path = tmp_path / "a.wav"
    disk = Disk()
    sink = sparse_live_wav(path, disk, FOUR_GIB + (over_s - 12) * RATE_HZ * 2)
    for _ in range(12):
        sink.write(units(10))
    disk.close(sink._fd)  # as a kill does: nothing else happens
    with path.open("rb") as file:
        assert file.read(4) == b"RF64"
    tail = 12 * RATE_HZ
    with soundfile.SoundFile(path) as file:
        file.seek(sink.samples - tail)
        assert np.all(file.read(-1, dtype="int16")[:tail] == 1000)
    start = f"{(sink.samples - tail) / RATE_HZ:.6f}"
    raw = run("ffmpeg", "-v", "error", "-ss", start, "-i", str(path), "-f", "s16le", "-")
    assert len(raw) == 2 * tail
    recovered = recover(path)
    assert recovered.duration_s == sink.samples / RATE_HZ
    assert_long_wav(path, sink.samples, tail)


@pytest.mark.slow
def test_a_day_of_aac_is_whole_to_its_last_frame(tmp_path: Path):
    frame, path = silent_frame(16000), tmp_path / "a.aac"
    frames, at_once = 86400 * 16000 // 1024, 10_000
    sink = LiveAdts(path, AAC, Disk())
    sink.place()
    for start in range(0, frames, at_once):
        sink.write([frame] * min(at_once, frames - start))
    finished = sink.finish()
    assert finished.samples == frames * 1024 == 86400 * 16000
    counted = ("-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0")
    assert int(run("ffprobe", "-v", "error", *counted, str(path))) == frames


async def test_a_ring_after_a_day_is_recovered_in_its_place(tmp_path: Path):
    ring = Ring(tmp_path / "a.aac", replace(AAC, cycle_s=10), Disk())
    day = 86400 * 16000 // 1024
    ring._next = day - 400
    ring.write([silent_frame(16000)] * 400)
    recovered = recover(ring.abandon().path)
    assert recovered.start_s + recovered.duration_s == 86400
    assert recovered.duration_s == pytest.approx(10, abs=0.064)
    assert recovered.started_at == AAC.started_at + timedelta(seconds=recovered.start_s)


def test_sox_reads_rf64_to_its_end(tmp_path: Path):
    """On a short file with such a header: of a long one SoX reads every byte, for minutes, before
    it says anything."""
    path, data = tmp_path / "a.wav", b"".join(units(10))
    header = bytearray(wav_header(RATE_HZ, FOUR_GIB))
    struct.pack_into("<QQQ", header, 20, 72 + len(data), len(data), len(data) // 2)
    path.write_bytes(header + data)
    assert run("sox", "-D", str(path), "-t", "raw", "-") == data
    assert int(run("sox", "--info", "-s", str(path))) == len(data) // 2
