"""Reading a recording on one thread while another writes it, past the end of a ring too."""

from __future__ import annotations

import dataclasses
import errno
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.storage.adts import silent_frame
from roomtape.storage.disk import Disk
from roomtape.storage.pieces.readers import Reader
from roomtape.storage.ring import Ring
from roomtape.storage.sink import Sink
from roomtape.storage.sinks import create_sink
from support.damage import adts_offsets
from support.examples import examples
from support.faulty_disk import Fault, FaultyDisk
from support.rings import RATE_HZ, ring_format

UNIT = RATE_HZ // 10
SLOTS = 101


def pcm_unit(number: int) -> bytes:
    """A tenth of a second in which each sample tells where it belongs."""
    at = np.arange(number * UNIT, (number + 1) * UNIT)
    return ((at * 7919) % 65536).astype("<u2").tobytes()


def pcm(first: int, stop: int) -> bytes:
    return ((np.arange(first, stop) * 7919) % 65536).astype("<u2").tobytes()


def aac_unit(number: int) -> bytes:
    """A frame, of a length of its own, that tells its number."""
    frame = silent_frame(RATE_HZ)
    payload = frame[7:] + number.to_bytes(4, "big") + bytes(number * 37 % 600)
    length = 7 + len(payload)
    head = int.from_bytes(frame[:7], "big") & ~(0x1FFF << 13) | length << 13
    return head.to_bytes(7, "big") + payload


def all_of(reader: Reader) -> bytes:
    data = b""
    while pieces := reader.read():
        data += b"".join(pieces)
    return data


@pytest.fixture
def ring(tmp_path: Path):
    made = Ring(tmp_path / "call.wav", ring_format("wav"), Disk())
    yield made
    made.discard()


def write(sink: Sink, first: int, count: int) -> None:
    sink.write([pcm_unit(number) for number in range(first, first + count)])


def test_what_a_reader_has_not_read_yet_is_kept_for_it(ring: Ring):
    write(ring, 0, SLOTS)
    whole = ring.reader(0, SLOTS * UNIT)
    part = ring.reader(50 * UNIT + 7, 60 * UNIT - 5)
    for number in range(SLOTS, 3 * SLOTS, 9):
        write(ring, number, 9)
    assert all_of(whole) == pcm(0, SLOTS * UNIT)
    assert all_of(part) == pcm(50 * UNIT + 7, 60 * UNIT - 5)
    whole.close()
    part.close()


def test_what_is_gone_before_a_reader_comes_is_left_out(ring: Ring):
    write(ring, 0, SLOTS + 20)
    reader = ring.reader(5, 200 * UNIT)
    assert reader.position == 20 * UNIT
    assert all_of(reader) == pcm(20 * UNIT, (SLOTS + 20) * UNIT)
    write(ring, SLOTS + 20, 3)
    assert all_of(reader) == pcm((SLOTS + 20) * UNIT, (SLOTS + 23) * UNIT)
    reader.close()


def test_what_is_kept_is_bounded_and_whoever_reads_hears_of_it(ring: Ring):
    write(ring, 0, SLOTS)
    ring._most_kept_bytes = 10 * 2 * UNIT
    slow = ring.reader(0, SLOTS * UNIT)
    quick = ring.reader(SLOTS * UNIT, 150 * UNIT)
    write(ring, SLOTS, 60)
    with pytest.raises(OSError, match="has not kept up"):
        all_of(slow)
    assert slow._kept == {}
    assert all_of(quick) == pcm(SLOTS * UNIT, 150 * UNIT)
    slow.close()
    quick.close()


def test_a_ring_that_cannot_be_read_goes_on_being_written(tmp_path: Path):
    disk = FaultyDisk()
    ring = Ring(tmp_path / "call.wav", ring_format("wav"), disk)
    write(ring, 0, SLOTS)
    reader = ring.reader(0, SLOTS * UNIT)
    disk.fault = Fault(len(disk.calls), errno.EIO)
    write(ring, SLOTS, 10)
    assert disk.hit == "read"
    with pytest.raises(OSError, match="cannot be read"):
        all_of(reader)
    reader.close()
    assert ring.finish().samples == 100 * UNIT
    assert (tmp_path / "call.wav").read_bytes()[80:] == pcm(11 * UNIT, 111 * UNIT)


@pytest.mark.parametrize("cycle_s", [0, 10])
def test_a_reader_outlives_what_it_reads_from(cycle_s: int, tmp_path: Path):
    sink_format = dataclasses.replace(ring_format("wav"), cycle_s=cycle_s)
    sink = create_sink(tmp_path / "call.wav", sink_format, Disk())
    sink.place()
    write(sink, 0, 90)
    reader = sink.reader(3, 10**9)
    sink.write([pcm_unit(90)[: 2 * 77]])
    sink.finish()
    (tmp_path / "call.wav").unlink()
    assert all_of(reader) == pcm(3, 90 * UNIT + 77)
    reader.close()
    reader.close()


@given(
    lead=st.integers(0, 300),
    steps=st.lists(st.tuples(st.sampled_from(["write", "read"]), st.integers(1, 40)), max_size=30),
    first=st.integers(0, 100),
    length=st.integers(1, 200),
)
@examples(60)
def test_however_reading_and_writing_alternate_a_live_aac_reads_back(
    lead: int, steps: list[tuple[str, int]], first: int, length: int, tmp_path_factory
):
    path = tmp_path_factory.mktemp("live") / "call.aac"
    sink_format = dataclasses.replace(ring_format("aac"), cycle_s=0)
    sink = create_sink(path, sink_format, Disk())
    sink.place()
    sink.write([aac_unit(number) for number in range(lead)])
    reader = sink.reader(first * 1024, (first + length) * 1024)
    data, written = b"", lead
    for what, count in steps:
        if what == "read":
            data += all_of(reader)
        else:
            sink.write([aac_unit(number) for number in range(written, written + count)])
            written += count
    sink.finish()
    data += all_of(reader)
    stop = min(first + length, written)
    assert data == b"".join(aac_unit(number) for number in range(first, stop))
    assert len(adts_offsets(path)) == written
    reader.close()


@pytest.mark.slow
def test_readers_on_other_threads_never_see_a_sample_that_is_not_theirs(ring: Ring):
    write(ring, 0, SLOTS)
    wrong: list[str] = []
    over = threading.Event()

    def read(seed: int) -> None:
        chance = np.random.default_rng(seed)
        while not over.is_set():
            first = max(0, ring.samples - int(chance.integers(1, 99 * UNIT)))
            stop = ring.samples + int(chance.integers(0, 5 * UNIT))
            reader = ring.reader(first, stop)
            begun = reader.position
            data = b""
            while reader.position < stop and not over.is_set():
                data += b"".join(reader.read())
            if data != pcm(begun, reader.position):
                wrong.append(f"[{begun}, {reader.position})")
            reader.close()

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(SLOTS, 12000, 7):
            write(ring, number, 7)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not wrong
