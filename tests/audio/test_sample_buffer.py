"""The buffer against its model: an array that is written once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from roomtape.audio.timing.sample_buffer import SampleBuffer
from support.examples import examples

SIZE = 400


@examples(300)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("insert"), st.integers(-50, SIZE), st.integers(0, 90)),
            st.tuples(st.just("read"), st.integers(0, 60), st.just(0)),
        ),
        max_size=60,
    )
)
def test_what_is_written_first_stands_and_is_read_once(steps: list[tuple[str, int, int]]) -> None:
    buffer = SampleBuffer(0)
    model = np.zeros(SIZE + 200, np.int16)
    written = np.zeros(SIZE + 200, bool)
    head, serial = 0, 0
    for action, where, length in steps:
        if action == "insert":
            pcm = np.arange(serial, serial + length, dtype=np.int16) + 1
            serial += length
            result = buffer.insert(where, pcm)
            positions = np.arange(where, where + length)
            late = positions < head
            free = ~late & ~written[np.maximum(positions, 0)]
            model[positions[free]] = pcm[free]
            written[positions[free]] = True
            assert (result.placed, result.late) == (free.sum(), late.sum())
            assert result.placed + result.late + result.covered == length
        else:
            stop = min(head + where, SIZE)
            assert buffer.peak(stop) == np.abs(model[head:stop].astype(int)).max(initial=0)
            out, holes = buffer.read(stop)
            if out is None:
                out = np.zeros(stop - head, np.int16)
            assert np.array_equal(out, model[head:stop])
            there = np.ones(stop - head, bool)
            for start, end in holes:
                assert start < end
                there[start - head : end - head] = False
            assert np.array_equal(there, written[head:stop])
            head = stop
        waiting = np.flatnonzero(written[head:]) + head
        assert buffer.head == head
        assert buffer.next_start == (waiting[0] if len(waiting) else None)
        assert buffer.end == (waiting[-1] + 1 if len(waiting) else head)
