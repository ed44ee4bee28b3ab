"""The ring: any prefix of writes and any torn slot, and what is whole is found in its place."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.storage.adts import frame_at, silent_frame
from roomtape.storage.disk import Disk
from roomtape.storage.recover import Missing, recover
from roomtape.storage.ring import (
    RING_HEADER_BYTES,
    Ring,
    RingLayout,
    pack_slot,
    unpack_slot,
)
from roomtape.storage.sink import SinkFormat
from roomtape.types import AudioFormat
from roomtape.types.errors import DamagedFileError, FileError
from support.examples import examples
from support.readers import read_ffmpeg

RATE_HZ = 16000
UNIT = 16000  # a second, so that the ring of ten seconds has eleven slots


def wav_format(*, unit_samples: int = UNIT, cycle_s: int = 10) -> SinkFormat:
    return SinkFormat(
        audio_format=AudioFormat.WAV,
        rate_hz=RATE_HZ,
        unit_samples=unit_samples,
        most_unit_bytes=2 * unit_samples,
        cycle_s=cycle_s,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def unit(number: int, samples: int = UNIT) -> bytes:
    """A unit that says its number."""
    return (number + 1).to_bytes(2, "little") * samples


def crashed_ring(directory: Path, batches: list[int], last_samples: int = UNIT) -> Path:
    """The ring of a recorder that wrote so many units at a time, and then was killed."""
    ring, number = Ring(directory / "a.wav", wav_format(), Disk()), 0
    for at, count in enumerate(batches):
        units = [unit(number + index) for index in range(count)]
        if at == len(batches) - 1:
            units[-1] = units[-1][: 2 * last_samples]
        ring.write(units)
        number += count
    os.close(ring._fd)
    return ring.ring_path


def layout() -> RingLayout:
    return RingLayout(Path("a.wav"), wav_format())


def tear(ring: Path, slot: int, at: int) -> None:
    """Change one byte of a slot: its number, its length, its checksum or its samples."""
    with ring.open("r+b") as file:
        place = RING_HEADER_BYTES + slot * layout().slot_bytes + at
        file.seek(place)
        old = file.read(1)
        file.seek(place)
        file.write(bytes([old[0] ^ 0x55]))


@examples(60)
@given(
    batches=st.lists(st.integers(1, 25), min_size=1, max_size=5),
    last_samples=st.integers(1, UNIT),
    torn=st.dictionaries(st.integers(0, 10), st.integers(0, 15 + 2 * UNIT), max_size=5),
)
def test_every_whole_slot_is_recovered_in_its_place_and_nothing_else(
    batches: list[int], last_samples: int, torn: dict[int, int]
):
    with TemporaryDirectory(dir="/dev/shm") as name:
        ring = crashed_ring(Path(name), batches, last_samples)
        total = sum(batches)
        length = dict.fromkeys(range(total), UNIT) | {total - 1: last_samples}
        # A byte behind a short unit is padding, and tears nothing.
        hurt = {
            slot
            for slot, at in torn.items()
            if at < 16 + 2 * length.get(newest_in(slot, total), UNIT)
        }
        for slot, at in torn.items():
            tear(ring, slot, at)
        whole = [n for n in range(max(0, total - 11), total) if n % 11 not in hurt]
        if not whole:
            with pytest.raises(DamagedFileError):
                recover(ring)
            assert ring.exists()
            return
        last = whole[-1]
        end = last * UNIT + length[last]
        first = max(0, end - 10 * RATE_HZ)
        expected = b"".join(
            unit(n, length[n]) if n in whole else bytes(2 * UNIT)
            for n in range(first // UNIT, last + 1)
        )[2 * (first % UNIT) :]
        recovered = recover(ring)
        assert (Path(name) / "a.wav").read_bytes()[80:] == expected
        assert recovered.duration_s == (end - first) / RATE_HZ
        assert recovered.start_s == first / RATE_HZ
        silent = {
            n for n in range(first // UNIT, last) if n not in whole and (n + 1) * UNIT > first
        }
        assert recovered.missing_s == pytest.approx(
            sum(min(UNIT, (n + 1) * UNIT - first) for n in silent) / RATE_HZ
        )
        assert not ring.exists()


def newest_in(slot: int, total: int) -> int:
    """Which unit a slot holds in the end."""
    return max((n for n in range(slot, total, 11)), default=-1)


@given(st.integers(0, 2**64 - 1), st.binary(min_size=1, max_size=200), st.data())
def test_a_slot_is_read_back_whole_or_not_at_all(number: int, payload: bytes, data: st.DataObject):
    slot = pack_slot(number, payload)
    assert unpack_slot(slot + b"\0\1\2") == (number, payload)
    bit = data.draw(st.integers(0, 8 * len(slot) - 1))
    hurt = bytearray(slot)
    hurt[bit // 8] ^= 1 << bit % 8
    assert unpack_slot(bytes(hurt)) is None
    cut = data.draw(st.integers(16, len(slot) - 1))
    assert unpack_slot(slot[:cut]) is None
    assert unpack_slot(slot[:cut].ljust(len(slot), b"\0")) in (None, (number, payload))


def test_missing_stretches_are_told_where_they_are(tmp_path: Path):
    ring = crashed_ring(tmp_path, [7])
    for slot in (1, 2, 4):
        tear(ring, slot, 100)
    recovered = recover(ring)
    assert recovered.missing == (Missing(1.0, 3.0), Missing(4.0, 5.0))
    assert recovered.missing_s == 3.0
    assert recovered.duration_s == 7.0


def test_a_slot_from_an_earlier_round_is_not_taken_for_a_later_one(tmp_path: Path):
    """What a power cut leaves when the disk wrote the newest slots first."""
    ring = crashed_ring(tmp_path, [8])
    data = ring.read_bytes()
    with ring.open("r+b") as file:  # unit 13 is there, 11 and 12 are not
        file.seek(layout().offset(13))
        file.write(pack_slot(13, unit(13)))
    assert data != ring.read_bytes()
    recovered = recover(ring)
    # Units 4 to 13; 8 to 12 never came, and slots 0 and 1 still hold units of the first round.
    assert recovered.start_s == 4
    assert recovered.missing == (Missing(4.0, 9.0),)


@pytest.mark.parametrize("rate_hz", [16000, 32000, 44100, 48000])
def test_the_silent_frame_takes_the_time_of_the_frame_it_stands_for(rate_hz: int, tmp_path: Path):
    frame = silent_frame(rate_hz)
    assert frame_at(frame, 0) == frame_at(frame + frame, 0)
    assert frame_at(frame, 0).stop == len(frame)
    (tmp_path / "a.aac").write_bytes(frame * 50)
    pcm, rate = read_ffmpeg(tmp_path / "a.aac")
    assert (len(pcm), rate) == (50 * 1024, rate_hz)
    assert not pcm.any()


def test_a_path_that_a_ring_cannot_note_is_refused():
    with pytest.raises(FileError, match="too long"):
        RingLayout(Path("/" + "x/" * 3000), wav_format()).packed()
