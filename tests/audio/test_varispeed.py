"""audio/timing/varispeed.py: the same in C and in NumPy, and untouched samples at both ends."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

from roomtape.audio import arrays
from roomtape.audio.timing import varispeed
from roomtape.audio.timing.varispeed import AFTER, BEFORE, TAPS, Slew, warped
from roomtape.types import Pcm

PCM: Pcm = np.random.default_rng(1).integers(-32768, 32768, 40_000).astype(np.int16)
needs_accelerator = pytest.mark.skipif(arrays.NATIVE is None, reason="the accelerator is not built")


def some_slew(dice: random.Random) -> Slew:
    before = dice.choice([0, 7, -480, 100_000])
    change = dice.choice([-1, 1]) * dice.choice([1, 13, 480, 5000])
    start = dice.choice([0, 1, 48_000, 10**9, 2**40])
    return Slew(start, abs(change) * dice.choice([1, 3, 1250, 2000]), before, before + change)


def of(slew: Slew, start: int, stop: int) -> Pcm:
    """What a slew makes of :data:`PCM`, which begins where it is read first."""
    first = slew.input_of(start) - BEFORE
    samples = PCM[: slew.input_of(stop - 1) + AFTER + 1 - first]
    return warped(samples, first, slew, start, stop)


@needs_accelerator
def test_c_and_numpy_give_the_same(monkeypatch: pytest.MonkeyPatch):
    dice = random.Random(1)
    for _ in range(300):
        slew = some_slew(dice)
        start = slew.start + dice.randrange(slew.length)
        stop = min(slew.end, start + dice.randrange(1, 9600))
        quick = of(slew, start, stop)
        with monkeypatch.context() as patched:
            patched.setattr(arrays, "NATIVE", None)
            assert np.array_equal(of(slew, start, stop), quick), slew


@pytest.mark.parametrize("change", [480, -480])
def test_pieces_are_the_whole(change: int):
    slew = Slew(1000, 480 * 20, 50, 50 + change)
    whole = of(slew, slew.start, slew.end)
    dice, pieces, at = random.Random(2), [], slew.start
    first = slew.input_of(at) - BEFORE
    while at < slew.end:
        stop = min(slew.end, at + dice.randrange(1, 999))
        begin = slew.input_of(at) - BEFORE
        end = slew.input_of(stop - 1) + AFTER + 1
        pieces.append(warped(PCM[begin - first : end - first], begin, slew, at, stop))
        at = stop
    assert np.array_equal(np.concatenate(pieces), whole)


def test_at_both_ends_the_samples_stay_as_they_are():
    slew = Slew(0, 2000 * 480, 0, 480)
    assert np.array_equal(of(slew, 0, 1), PCM[BEFORE : BEFORE + 1])
    # Behind the end, everything is read 480 samples earlier.
    assert slew.input_of(slew.end) == slew.end - 480
    assert slew.positions(slew.end, slew.end + 1) % 4096 == 0


def test_a_tone_keeps_its_level_and_its_purity():
    rate_hz, slew = 48_000, Slew(0, 2000 * 10, 0, 10)
    positions = np.arange(-BEFORE, 20_100)
    tone = np.rint(20_000 * np.sin(2 * np.pi * 1000 * positions / rate_hz)).astype(np.int16)
    got = warped(tone, -BEFORE, slew, 0, slew.end)
    where = slew.positions(0, slew.end) / 4096
    ideal = 20_000 * np.sin(2 * np.pi * 1000 * where / rate_hz)
    error_db = 10 * np.log10(np.mean((got - ideal) ** 2) / np.mean(ideal**2))
    assert error_db < -85  # rounding alone makes -95 of it


@needs_accelerator
def test_no_numbers_lead_out_of_the_samples():
    """Whatever is asked for: it is read from what is there, or refused."""
    dice, weights, refused = random.Random(3), varispeed._weights(), 0
    numbers = [0, 1, -1, BEFORE, TAPS, 5000, 2**31, -(2**31), 2**62, -(2**63), 2**63 - 1]
    for _ in range(20_000):
        first, done, length, change = (dice.choice(numbers) for _ in range(4))
        pcm = np.zeros(dice.choice([0, 1, 300]), np.int16)
        samples = PCM[: dice.choice([0, 1, 31, 32, 400])]
        try:
            arrays.NATIVE.warp(pcm, samples, weights, first, done, length, change)
        except ValueError:
            refused += 1
    assert 1000 < refused < 20_000
    for wrong in (weights[:-1], weights.astype(np.int64), struct.pack("4i", 1, 2, 3, 4)):
        with pytest.raises(ValueError, match="warp"):
            arrays.NATIVE.warp(np.zeros(1, np.int16), PCM, wrong, 50, 0, 10, 1)
