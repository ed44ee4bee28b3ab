"""Whatever becomes of a ring's head, what its slots hold is not given up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from roomtape.storage.disk import Disk
from roomtape.storage.recover import recover
from roomtape.storage.ring_head import HEAD_BYTES
from roomtape.types.errors import DamagedFileError, FileError
from support.program import Cli, assert_one_line_error
from support.rings import (
    RATE_HZ,
    STARTED_AT,
    edit_heads,
    first_version_ring,
    left_ring,
    ring_units,
)

pytestmark = pytest.mark.slow

UNITS = 30


def whole(suffix: str, units: int = UNITS) -> bytes:
    return b"".join(ring_units(suffix, units))


def body(path: Path) -> bytes:
    return path.read_bytes()[80 if path.suffix == ".wav" else 0 :]


@pytest.fixture
def memory() -> Iterator[Path]:
    with TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.mark.parametrize("suffix", ["wav", "aac"])
def test_no_bit_of_a_head_costs_a_sample(suffix: str, memory: Path):
    path = memory / f"a.{suffix}"
    ring = left_ring(path, 3)
    data = ring.read_bytes()
    used = len(data[:HEAD_BYTES].rstrip(b"\0")) + 2
    for copy in (0, HEAD_BYTES):
        for bit in range(8 * used):
            turned = bytearray(data)
            turned[copy + bit // 8] ^= 1 << bit % 8
            ring.write_bytes(turned)
            recovered = recover(ring)
            assert body(path) == whole(suffix, 3), (copy, bit)
            assert (recovered.path, recovered.missing) == (path, ())
            assert recovered.started_at == STARTED_AT
            assert not ring.exists()
            path.unlink()


@pytest.mark.parametrize("suffix", ["wav", "aac"])
def test_no_bit_of_a_head_of_the_first_version_costs_a_sample(suffix: str, memory: Path):
    path = memory / f"a.{suffix}"
    ring = first_version_ring(path, 3)
    data = ring.read_bytes()
    used = len(data[:HEAD_BYTES].rstrip(b"\0"))
    for bit in range(8 * used):
        turned = bytearray(data)
        turned[bit // 8] ^= 1 << bit % 8
        ring.write_bytes(turned)
        output = memory / f"out.{suffix}"
        recover(ring, output)
        assert body(output) == whole(suffix, 3), bit
        output.unlink()


def sed(said: bytes) -> bytes:
    changed = said.replace(b'"cycle_s": 10', b'"cycle_s": 30')
    assert changed != said
    return changed


@pytest.mark.parametrize("suffix", ["wav", "aac"])
def test_a_cycle_that_somebody_changed_moves_no_slot(suffix: str, tmp_path: Path):
    ring = left_ring(tmp_path / f"a.{suffix}", 130)
    edit_heads(ring, sed)
    recovered = recover(ring)
    assert recovered.missing == ()
    assert recovered.duration_s == pytest.approx(10 if suffix == "wav" else 130 * 1024 / RATE_HZ)
    if suffix == "wav":
        assert body(recovered.path) == whole("wav", 130)[-2 * 10 * RATE_HZ :]


def test_a_cycle_that_somebody_changed_in_the_first_version_moves_no_slot(tmp_path: Path):
    ring = first_version_ring(tmp_path / "a.wav", 60, cycle_s=30)
    recovered = recover(ring)
    assert recovered.missing == ()
    assert body(recovered.path) == whole("wav", 60)


def test_a_ring_without_any_head_is_read_by_its_slots(tmp_path: Path):
    ring = left_ring(tmp_path / "a.aac", UNITS)
    ring.write_bytes(bytes(2 * HEAD_BYTES) + ring.read_bytes()[2 * HEAD_BYTES :])
    recovered = recover(ring)
    assert (recovered.path, recovered.started_at) == (tmp_path / "a.aac", None)
    assert body(recovered.path) == whole("aac")


@pytest.mark.parametrize("suffix", ["wav", "aac"])
def test_a_ring_of_the_first_version_is_recovered(suffix: str, tmp_path: Path):
    recovered = recover(first_version_ring(tmp_path / f"a.{suffix}", UNITS))
    assert recovered.started_at == STARTED_AT
    assert body(tmp_path / f"a.{suffix}") == whole(suffix)


def test_a_ring_that_was_cut_gives_what_is_left(tmp_path: Path):
    ring = left_ring(tmp_path / "a.wav", 101)
    with ring.open("r+b") as file:
        file.truncate(2 * HEAD_BYTES + 50 * (16 + RATE_HZ // 5))
    assert recover(ring).duration_s == 5


@pytest.mark.parametrize(
    "said",
    [
        b"[" * 3000,
        b'{"cycle_s": Infinity}',
        b"null",
        b"\xff\xfe",
    ],
)
def test_what_is_no_head_is_not_taken_for_one(said: bytes, tmp_path: Path):
    ring = left_ring(tmp_path / "a.wav", UNITS)
    edit_heads(ring, lambda _: said, forged=True)
    recover(ring)
    assert body(tmp_path / "a.wav") == whole("wav")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cycle_s", 10**9),
        ("cycle_s", float("inf")),
        ("cycle_s", True),
        ("unit_samples", 0),
        ("unit_samples", 1),
        ("most_unit_bytes", 1 << 40),
        ("rate_hz", -1),
        ("rate_hz", 12345),
        ("format", "mp3"),
        ("path", 3),
        ("path", "/nul\0.wav"),
        ("path", "/etc/passwd"),
        ("started_at", "9999-12-31T23:59:59+00:00"),
    ],
)
def test_a_head_that_cannot_be_true_is_not_believed(field: str, value: Any, tmp_path: Path):
    """With its checksum right, as somebody might have made it."""
    ring = left_ring(tmp_path / "a.wav", UNITS)
    edit_heads(
        ring, lambda said: json.dumps({**json.loads(said), field: value}).encode(), forged=True
    )
    assert recover(ring).path == tmp_path / "a.wav"
    assert body(tmp_path / "a.wav") == whole("wav")


def test_many_slots_of_a_sample_are_refused_at_once(tmp_path: Path):
    ring = first_version_ring(tmp_path / "a.wav", 0, cycle_s=900, unit_samples=1, most_unit_bytes=2)
    with pytest.raises(DamagedFileError, match="nothing in this ring is whole"):
        recover(ring)
    assert ring.exists()


def test_a_slot_with_an_impossible_number_is_not_whole(tmp_path: Path):
    from roomtape.storage.ring import pack_slot

    ring = left_ring(tmp_path / "a.wav", 3)
    number = (2**63 // 101) * 101 + 50
    with ring.open("r+b") as file:
        file.seek(2 * HEAD_BYTES + 50 * (16 + RATE_HZ // 5))
        file.write(pack_slot(number, bytes(RATE_HZ // 5)))
    assert recover(ring).duration_s == pytest.approx(0.3)


class Forgetful(Disk):
    """Once something was written, everything reads as zeros."""

    written = False

    def read_at(self, fd: int, count: int, offset: int) -> bytes:
        data = super().read_at(fd, count, offset)
        return bytes(len(data)) if self.written else data

    def write_at(self, fd: int, data: bytes | memoryview, offset: int) -> None:
        super().write_at(fd, data, offset)
        self.written = True


@pytest.mark.parametrize("suffix", ["wav", "aac"])
def test_a_ring_stays_when_the_finished_file_reads_back_wrong(suffix: str, tmp_path: Path):
    ring = left_ring(tmp_path / f"a.{suffix}", UNITS)
    before = ring.read_bytes()
    with pytest.raises(FileError, match="reads back"):
        recover(ring, disk=Forgetful())
    assert ring.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [ring.name]


def test_a_ring_from_another_machine_says_where_it_wanted_to_go(tmp_path: Path, run_here: Cli):
    (tmp_path / "there").mkdir()
    ring = left_ring(tmp_path / "there" / "a.wav", UNITS)
    (tmp_path / "there").rename(tmp_path / "here")
    here = tmp_path / "here" / ring.name
    done = run_here("recover", here)
    assert_one_line_error(done, 1, f"there is no directory {tmp_path}/there here; say with -o")
    assert ".part" not in done.stderr
    assert recover(here, tmp_path / "b.wav").duration_s == 3
