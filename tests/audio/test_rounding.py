"""Rounding to 16 bits, with what is carried over."""

from __future__ import annotations

import numpy as np
import pytest

from roomtape.audio import arrays


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
