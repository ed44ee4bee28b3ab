"""Silence in place of what was recorded: frames of any length, stretches, and slots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtape.storage.adts import frame_at, least_frame_bytes, silent_frame
from roomtape.storage.pieces.stretches import Stretches
from support.examples import examples
from support.readers import read_all

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
