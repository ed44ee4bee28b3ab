"""``recover``: rings, live files, and everything that it must leave alone."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.storage.recover import recover
from roomtape.storage.ring import RING_HEADER_BYTES
from roomtape.storage.wav import wav_header
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import DamagedFileError, FileError, SuffixError
from support.damage import adts_offsets, write_wav
from support.faulty_disk import Fault, FaultyDisk, KilledAtTheEnd
from support.program import Cli, assert_one_line_error, run_roomtape
from support.readers import read_all
from support.scripted_recording import listing, record_scripted
from support.signals import noise

pytestmark = pytest.mark.slow

RATE_HZ = 32000


async def left_ring(path: Path) -> tuple[Path, Path]:
    """A ring of 3 s, as a crash leaves it, and the file that it would have become."""
    whole = path.with_name(f"whole{path.suffix}")
    await record_scripted(whole, seconds=3, cycle_time=10)
    await record_scripted(path, seconds=3, cycle_time=10, disk=KilledAtTheEnd())
    return path.with_name(path.name + ".ring"), whole


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def snapshot(directory: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in directory.iterdir()}


@pytest.mark.parametrize("suffix", ["wav", "aac"])
@pytest.mark.parametrize("by_target", [False, True])
async def test_a_ring_becomes_the_file_that_it_was_meant_to_be(
    by_target: bool, suffix: str, tmp_path: Path
):
    path = tmp_path / f"a.{suffix}"
    ring, whole = await left_ring(path)
    recovered = recover(path if by_target else ring)
    assert path.read_bytes() == whole.read_bytes()
    assert recovered.path == path
    assert recovered.missing == ()
    assert recovered.duration_s == len(read_all(path)[0]) / RATE_HZ
    assert recovered.started_at.isoformat() == "2026-01-01T00:00:00+00:00"
    assert not ring.exists()
    assert len(listing(tmp_path)) == 2


async def test_what_stands_at_the_target_is_moved_aside(tmp_path: Path):
    ring, whole = await left_ring(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(b"a later recording")
    recover(ring)
    assert (tmp_path / "a.wav").read_bytes() == whole.read_bytes()
    assert (tmp_path / "a.1.wav").read_bytes() == b"a later recording"


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_torn_slot_keeps_its_place_as_silence(suffix: str, tmp_path: Path):
    ring, whole = await left_ring(tmp_path / f"a.{suffix}")
    # A slot of PCM holds 0.1 s, and one of AAC a frame.
    slot_bytes, samples = (16 + 6400, 3200) if suffix == "wav" else (16 + 775, 1024)
    with ring.open("r+b") as file:
        file.seek(RING_HEADER_BYTES + 12 * slot_bytes + 40)
        file.write(bytes(100))
    recovered = recover(ring)
    start, stop = 12 * samples, 13 * samples
    assert [(each.start_s, each.end_s) for each in recovered.missing] == [
        (start / RATE_HZ, stop / RATE_HZ)
    ]
    expected, _ = read_all(whole)
    pcm, _ = read_all(tmp_path / f"a.{suffix}")
    assert len(pcm) == len(expected)
    # AAC frames overlap: one that is missing is heard in the next as well, and then no more.
    overlap = 0 if suffix == "wav" else 1024
    assert np.array_equal(pcm[: start - overlap], expected[: start - overlap])
    after = stop + overlap
    difference = np.abs(pcm[after:].astype(int) - expected[after:])
    assert difference.max() <= (0 if suffix == "wav" else 1)
    if suffix == "wav":
        assert not pcm[start:stop].any()


async def test_a_ring_is_recovered_elsewhere(tmp_path: Path):
    ring, whole = await left_ring(tmp_path / "a.wav")
    (tmp_path / "elsewhere").mkdir()
    output = tmp_path / "elsewhere" / "b.WAV"
    assert recover(ring, output).path == output
    assert output.read_bytes() == whole.read_bytes()
    assert not ring.exists()
    assert not (tmp_path / "a.wav").exists()


async def test_a_ring_stays_until_the_finished_file_is_safe(tmp_path: Path):
    ring, _ = await left_ring(tmp_path / "a.wav")
    counting = FaultyDisk()
    copy = ring.read_bytes()
    recover(ring, tmp_path / "counted.wav", disk=counting)
    for at, name in enumerate(counting.calls):
        ring.write_bytes(copy)
        disk = FaultyDisk(Fault(at, 28, "kind"))
        before = set(listing(tmp_path))
        try:
            recovered = recover(ring, tmp_path / f"{at}.wav", disk=disk)
        except FileError:
            assert ring.read_bytes() == copy, name
            extra = set(listing(tmp_path)) - before
            assert extra <= {tmp_path / f"{at}.wav"} or disk.hit == "unlink", name
        else:
            assert recovered.path.stat().st_size == 80 + 6 * RATE_HZ
            assert recovered.left == (ring if ring.exists() else None)


@pytest.mark.parametrize("cut_bytes", [1, 0])
def test_a_live_wav_is_put_right_and_kept_as_it_was(cut_bytes: int, tmp_path: Path):
    path, pcm = tmp_path / "a.wav", noise(1, 2, RATE_HZ)
    left = wav_header(RATE_HZ, 40 * RATE_HZ) + pcm.tobytes() + b"x" * cut_bytes
    path.write_bytes(left)
    recovered = recover(path)
    assert recovered.aside == tmp_path / "a.1.wav"
    assert recovered.aside.read_bytes() == left
    assert (recovered.path, recovered.duration_s) == (path, 2.0)
    assert recovered.cut_bytes == cut_bytes
    assert path.read_bytes() == wav_header(RATE_HZ, 4 * RATE_HZ) + pcm.tobytes()
    assert np.array_equal(read_all(path)[0], pcm)
    again = recover(path)  # once more does nothing
    assert (again.cut_bytes, again.aside) == (0, None)
    assert len(listing(tmp_path)) == 2


async def test_a_live_aac_loses_its_half_frame(tmp_path: Path):
    path = tmp_path / "a.aac"
    await record_scripted(path)
    data = path.read_bytes()
    borders = [*adts_offsets(path), len(data)]
    for cut in (1, 5, 8, 100):
        path.write_bytes(data[: len(data) - cut])
        recovered = recover(path)
        frames = sum(border <= len(data) - cut for border in borders) - 1
        assert recovered.duration_s == frames * 1024 / RATE_HZ
        assert path.read_bytes() == data[: borders[frames]]
        assert recovered.cut_bytes == len(data) - cut - borders[frames]


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_live_file_is_copied_where_an_output_is_named(suffix: str, tmp_path: Path):
    path, output = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    await record_scripted(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    recover(path, output)
    assert path.read_bytes() == whole[:-3]
    assert len(read_all(output)[0]) > RATE_HZ
    assert output.stat().st_size <= len(whole) - 3


async def test_an_aac_that_is_damaged_in_its_middle_is_not_cut_there(tmp_path: Path):
    path = tmp_path / "a.aac"
    await record_scripted(path)
    data = bytearray(path.read_bytes())
    at = adts_offsets(path)[10]
    data[at : at + 20] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=f"at byte {at}"):
        recover(path)
    assert path.read_bytes() == data


async def test_what_cannot_be_recovered_is_one_line_and_nothing_changes(
    tmp_path: Path, run_here: Cli
):
    ring, _ = await left_ring(tmp_path / "a.wav")
    data = ring.read_bytes()
    (tmp_path / "text.ring").write_text("this is text")
    (tmp_path / "empty.ring").touch()
    (tmp_path / "directory.ring").mkdir()
    (tmp_path / "unwritten.ring").write_bytes(data[:RING_HEADER_BYTES] + bytes(100000))
    (tmp_path / "cut.ring").write_bytes(data[:2000])
    (tmp_path / "head.ring").write_bytes(b"ROOMTAPE RING 2\n" + bytes(100000))
    (tmp_path / "text.wav").write_text("this is text")
    (tmp_path / "text.aac").write_text("this is text")
    (tmp_path / "bare.wav").write_bytes(wav_header(RATE_HZ, 0))
    write_wav(tmp_path / "foreign.wav", noise(1, 0.1, RATE_HZ), RATE_HZ)
    (tmp_path / "a.wav.1.ring").write_bytes(data)
    directory = tmp_path / "directory.ring"
    directory.rmdir()
    before = snapshot(tmp_path)
    for name, words in (
        ("text.ring", "not what a recording leaves behind"),
        ("empty.ring", "not what a recording leaves behind"),
        ("head.ring", "the head of the ring and all that it holds are damaged"),
        ("unwritten.ring", "nothing in this ring is whole"),
        ("cut.ring", "nothing in this ring is whole"),
        ("text.wav", "not a WAV file that Roomtape wrote"),
        ("text.aac", "not an AAC file that Roomtape wrote"),
        ("bare.wav", "there are no samples in it"),
        ("foreign.wav", "not a WAV file that Roomtape wrote"),
        ("nosuch.wav", "no such file, and no ring"),
        ("a.wav", "several rings are there"),
        (".", "not a file"),
    ):
        with pytest.raises(FileError, match=words):
            recover(tmp_path / name)
    done = run_here("recover", tmp_path / "text.ring")
    assert_one_line_error(done, 1, "not what a recording leaves behind")
    assert snapshot(tmp_path) == before


async def test_a_file_that_is_still_being_recorded_is_refused(tmp_path: Path):
    ring, _ = await left_ring(tmp_path / "a.wav")
    before = snapshot(tmp_path)
    fd = os.open(ring, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(FileError, match="still being recorded"):
        recover(ring)
    assert snapshot(tmp_path) == before
    os.close(fd)
    recover(ring)


@pytest.mark.parametrize("cycle_time", [0, 10], ids=["live", "cyclic"])
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_recording_that_runs_is_refused_and_goes_on(
    suffix: str, cycle_time: int, tmp_path: Path
):
    path, clock = tmp_path / f"a.{suffix}", ScriptedClock()
    config = AudioRecordingConfiguration(path, cycle_time=cycle_time)
    async with AudioRecorder(config, clock=clock) as recorder:
        await clock.advance(3)
        with pytest.raises(FileError, match="still being recorded"):
            recover(path)
        done = run_roomtape("recover", path)
        assert_one_line_error(done, 1, "still being recorded")
        await clock.advance(1)
    assert recorder.report.duration_s == pytest.approx(4, abs=0.032)
    assert len(read_all(path)[0]) / RATE_HZ == recorder.report.duration_s


async def test_the_output_must_be_of_the_format_that_was_recorded(tmp_path: Path, run_here: Cli):
    ring, _ = await left_ring(tmp_path / "a.wav")
    await record_scripted(tmp_path / "live.aac")
    before = snapshot(tmp_path)
    for path in (ring, tmp_path / "live.aac"):
        with pytest.raises(SuffixError, match="must end in"):
            recover(path, tmp_path / "b.mp3")
    done = run_here("recover", ring, "-o", tmp_path / "b.aac")
    assert_one_line_error(done, 2, "must end in .wav")
    assert snapshot(tmp_path) == before


async def test_an_output_that_cannot_be_written_keeps_the_ring(tmp_path: Path, run_here: Cli):
    ring, _ = await left_ring(tmp_path / "a.wav")
    before = snapshot(tmp_path)
    done = run_here("recover", ring, "-o", tmp_path / "nosuch" / "b.wav")
    assert_one_line_error(done, 1, "no such file or directory")
    assert str(tmp_path / "nosuch") in done.stderr
    assert snapshot(tmp_path) == before


async def test_the_command_says_what_it_recovered_and_what_is_missing(
    tmp_path: Path, run_here: Cli
):
    ring, _ = await left_ring(tmp_path / "a.wav")
    with ring.open("r+b") as file:
        file.seek(RING_HEADER_BYTES + 12 * 6416 + 40)
        file.write(bytes(100))
    done = run_here("recover", ring)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{tmp_path}/a.wav: recovered 0:03.000 (wav, 32000 Hz)",
        "began: 2026-01-01T00:00:00.000+00:00, 0:00.0 into the recording",
        "missing: 0.1 s, silence in the file: 0:01.2 to 0:01.3",
        f"sha256: {sha256_of(tmp_path / 'a.wav')}",
    ]


def test_the_command_cuts_half_a_sample_and_says_so(tmp_path: Path, run_here: Cli):
    path = tmp_path / "a.wav"
    path.write_bytes(wav_header(RATE_HZ, 1 << 20) + bytes(2 * RATE_HZ + 1))
    done = run_here("recover", path)
    assert done.stdout.splitlines() == [
        f"{path}: recovered 0:01.000 (wav, 32000 Hz)",
        "missing: nothing up to the crash's last write",
        "cut: the last 1 bytes, which were not whole",
        f"kept: the file as it was left, at {tmp_path}/a.1.wav",
        f"sha256: {sha256_of(path)}",
    ]
