"""Loops over samples in C and in NumPy: rounding (and what is carried over), adding, full scale."""

from __future__ import annotations

import numpy as np
import pytest

from roomtape.audio import arrays
from support.signals import noise


def test_rounding_in_python_is_what_it_is_in_c(monkeypatch: pytest.MonkeyPatch):
    chance = np.random.default_rng(3)
    samples = chance.uniform(-32768, 32767, 5000).astype(np.float32)
    samples[:4] = (32767, -32768, 0.5, -1.5)
    carried = chance.uniform(-0.5, 0.5, 5000).astype(np.float32)
    carried[:4] = (0.5, -0.5, 0, 0)
    results = []
    for native in (arrays.NATIVE, None):
        monkeypatch.setattr(arrays, "NATIVE", native)
        pcm, rest = np.empty(5000, np.int16), carried.copy()
        arrays.round_off(pcm, samples, rest)
        results.append((pcm.tolist(), rest.tolist()))
    assert results[0] == results[1]


def test_the_array_loops_agree_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    pcm = noise(3, 1, 48000)
    total = noise(4, 1, 48000).astype(np.float32) * np.float32(0.7)
    edges = [np.array([-32768, 32767], np.float32), np.zeros(0, np.float32)]
    beyond = [np.array([0, 32767.01], np.float32), np.array([-32769], np.float32)]
    native = total.copy()
    arrays.add(native, pcm)
    found = [arrays.within_full_scale(each) for each in (*edges, *beyond)]
    monkeypatch.setattr(arrays, "NATIVE", None)
    arrays.add(total, pcm)
    assert np.array_equal(native, total)
    assert found == [arrays.within_full_scale(each) for each in (*edges, *beyond)]
    assert found == [True, True, False, False]


@pytest.mark.skipif(arrays.NATIVE is None, reason="the accelerator is not built")
def test_arrays_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="of one length"):
        arrays.add(np.zeros(2, np.float32), np.zeros(3, np.int16))
