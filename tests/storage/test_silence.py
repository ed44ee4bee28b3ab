"""Silence in place of what was recorded: frames of any length, stretches, and slots."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.storage.adts import frame_at, least_frame_bytes, silent_frame
from roomtape.storage.disk import Disk
from roomtape.storage.pieces.slots import read_slots
from roomtape.storage.pieces.stretches import Stretches
from roomtape.storage.ring import Ring
from roomtape.storage.ring_head import RingLayout
from support.examples import examples
from support.readers import read_all
from support.rings import RATE_HZ, ring_format, ring_units

spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_silent_frame_of_any_length_is_a_frame_of_silence(channels: int, tmp_path: Path):
    path, least = tmp_path / "a.aac", least_frame_bytes(channels)
    frames = [silent_frame(16000, channels, length) for length in range(least, least + 1100)]
    for length, frame in enumerate(frames, least):
        found = frame_at(frame, 0)
        assert found is not None
        assert found.stop == len(frame) == length
    path.write_bytes(b"".join(frames))
    pcm, rate_hz = read_all(path)
    assert rate_hz == 16000
    assert len(pcm) == 1024 * len(frames)
    assert not np.any(pcm)
    assert silent_frame(16000, channels) == frames[0]


def samples_of(stretches: Stretches) -> set[int]:
    return {each for start, stop in stretches.spans for each in range(start, stop)}


@given(ours=spans, theirs=spans, start=st.integers(0, 60), stop=st.integers(0, 60))
@examples(200)
def test_stretches_are_sets_of_samples(
    ours: list[tuple[int, int]], theirs: list[tuple[int, int]], start: int, stop: int
):
    a, b = Stretches(ours), Stretches(theirs)
    mine = {each for low, high in ours for each in range(low, high)}
    other = {each for low, high in theirs for each in range(low, high)}
    assert samples_of(a) == mine
    assert a.samples == len(mine)
    assert bool(a) == bool(mine)
    assert samples_of(a | b) == mine | other
    assert samples_of(a - b) == mine - other
    assert samples_of(a.within(start, stop)) == mine & {*range(start, stop)}
    assert samples_of(a.later(-5)) == {each - 5 for each in mine}
    assert all(one[1] < two[0] for one, two in zip(a.spans, a.spans[1:], strict=False))


@given(
    count=st.integers(1, 400),
    short=st.booleans(),
    given_spans=st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 30_000)), max_size=6),
)
@pytest.mark.parametrize("suffix", ["wav", "aac"])
@examples(100)
def test_every_slot_that_has_any_of_it_is_silent_and_no_other(
    suffix: str, count: int, short: bool, given_spans: list[tuple[int, int]]
):
    """Wherever the ring begins anew, and however short its last unit is."""
    sink_format = ring_format(suffix)
    unit, wav = sink_format.unit_samples, suffix == "wav"
    stretches = Stretches((start, start + length) for start, length in given_spans)
    with TemporaryDirectory() as place:
        ring = Ring(Path(place) / f"a.{suffix}", sink_format, Disk())
        units = ring_units(suffix, count)
        if wav and short:
            units[-1] = units[-1][:100]
        for each in units:
            ring.write([each])
        fd, layout = os.open(ring.ring_path, os.O_RDONLY), RingLayout(ring.path, sink_format)
        first = max(0, count - layout.slots)
        silenced = ring.silence(stretches)
        after = dict(read_slots(fd, layout, first, count, Disk()))
        os.close(fd)
        ring.discard()
    hit = {n for n in range(first, count) if stretches.within(n * unit, (n + 1) * unit)}
    assert silenced == len(hit) * unit
    for number in range(first, count):
        expected = units[number]
        if number in hit:
            expected = bytes(len(expected)) if wav else silent_frame(RATE_HZ)
        assert after[number] == expected, number


def test_slots_that_lie_beside_each_other_are_written_at_once(tmp_path: Path):
    class Counting(Disk):
        writes = syncs = 0

        def call(self, name: str, function: Any, *args: Any) -> Any:
            self.writes += name == "write"
            self.syncs += name == "fsync"
            return super().call(name, function, *args)

    disk = Counting()
    ring = Ring(tmp_path / "a.aac", ring_format("aac"), disk)
    for unit in ring_units("aac", 1000):  # it has begun anew in the middle
        ring.write([unit])
    disk.writes = disk.syncs = 0
    ring.silence(Stretches([(0, 1000 * 1024)]))
    assert (disk.writes, disk.syncs) == (2, 1)
    ring.discard()
