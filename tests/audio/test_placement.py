"""Placement against its model: every frame of a stream that makes sense stands at its timestamp."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from roomtape.audio.timing.placing.anchor import Arrival
from roomtape.audio.timing.placing.placement import Placement
from support.examples import examples
from support.signals import noise

RATE = 8000
SIZE = 160


@examples(150)
@given(
    seed=st.integers(0, 2**16),
    first_pts=st.integers(-(1 << 33), 1 << 33),
    jitter_ms=st.integers(0, 300),
    batch=st.integers(1, 40),
)
def test_any_order_of_arrival_gives_the_same_places(
    seed: int, first_pts: int, jitter_ms: int, batch: int
) -> None:
    rng = np.random.default_rng(seed)
    pcm = noise(seed, 6, RATE)
    starts = np.arange(0, len(pcm), SIZE)
    # The stream is anchored in peace; then frames come late and in any order.
    delays = np.where(starts < RATE // 2, 0, rng.integers(0, jitter_ms * 8 + 1, len(starts)))
    arrivals = sorted(
        (
            Arrival(pcm[s : s + SIZE], RATE + int(s + d), (first_pts + int(s)) % (1 << 32))
            for s, d in zip(starts, delays, strict=True)
        ),
        key=lambda arrival: arrival.at,
    )
    placement = Placement(RATE)
    heard = np.zeros(10 * RATE, np.int16)
    for low in range(0, len(arrivals), batch):
        for run in placement.feed(arrivals[low : low + batch]):
            heard[run.start : run.start + len(run.pcm)] = run.pcm
    for run in placement.settle(20 * RATE, force=True):
        heard[run.start : run.start + len(run.pcm)] = run.pcm
    assert np.array_equal(heard[RATE : 7 * RATE], pcm)
    assert placement.reanchored == 0
    assert placement.stray_samples == 0
    assert placement.duplicate_samples == 0


@examples(150)
@given(
    stamps=st.lists(st.one_of(st.none(), st.integers(-(1 << 40), 1 << 40)), max_size=80),
    sizes=st.lists(st.sampled_from([0, 1, 20, 160, 960, 5000]), min_size=1, max_size=5),
    steps=st.lists(st.integers(0, 4000), min_size=1, max_size=5),
)
def test_whatever_comes_every_sample_is_accounted_for(
    stamps: list[int | None], sizes: list[int], steps: list[int]
) -> None:
    placement = Placement(RATE)
    at, sent, placed = 0, 0, 0
    for index, pts in enumerate(stamps):
        at += steps[index % len(steps)]
        pcm = noise(index, sizes[index % len(sizes)] / RATE, RATE)
        sent += len(pcm)
        for run in placement.feed([Arrival(pcm, at, pts)]):
            placed += len(run.pcm)
            # Never further ahead than what was pushed, never before the beginning of time.
            assert run.start <= at + sent + RATE
    placed += sum(len(run.pcm) for run in placement.settle(at, force=True))
    assert placed + placement.duplicate_samples + placement.stray_samples == sent
