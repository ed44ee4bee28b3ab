"""Mixing, limiting and resampling: exact where nothing needs to change, clean where it does."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from roomtape.audio.arrays import Samples
from roomtape.audio.limiter import Limiter
from roomtape.audio.mixing.mixer import Mixer
from roomtape.types import Pcm
from support.examples import examples
from support.scripted import Part, pcm_of, run, spoken
from support.signals import noise, snr_db, tone

RATE = 48000


def mixed(voices: list[Pcm], *, rate: int = RATE, rate_hz: int = RATE) -> Pcm:
    """A second of silence, and then ``voices`` at once."""
    seconds = max(len(voice) for voice in voices) / rate + 2
    parts = {str(n): Part(spoken(voice, rate)) for n, voice in enumerate(voices)}
    return pcm_of(run(parts, seconds, rate_hz=rate_hz)[0])


@pytest.mark.parametrize("dbfs", [0, -3, -60])
def test_one_source_at_the_rate_of_the_recording_is_bit_exact(dbfs: float) -> None:
    voice = noise(1, 5, dbfs=dbfs)
    voice[1000:1002] = -32768, 32767
    recording = mixed([voice])
    assert np.array_equal(recording[RATE : 6 * RATE], voice)
    assert not recording[:RATE].any()
    assert not recording[6 * RATE :].any()


def test_a_sum_below_full_scale_is_exact() -> None:
    voices = [noise(seed, 5, dbfs=-15) for seed in range(5)]
    recording = mixed(voices)
    assert np.array_equal(recording[RATE : 6 * RATE], np.sum(voices, axis=0, dtype=np.int32))


def test_eight_full_scale_sources_neither_clip_nor_wrap_nor_click() -> None:
    voices = [tone(hz, 5, dbfs=0) for hz in (110, 147, 196, 262, 349, 440, 587, 784)]
    recording = mixed(voices)[RATE : 6 * RATE].astype(int)
    total = np.sum(voices, axis=0, dtype=np.int64)
    assert np.abs(total).max() > 4 * 32768
    assert np.abs(recording).max() < 32767
    # Never of the other sign, and no step that the sum does not have.
    assert (recording * total >= -np.abs(total)).all()
    assert np.abs(np.diff(recording)).max() <= np.abs(np.diff(total)).max()


def test_eight_equal_full_scale_squares_neither_clip_nor_wrap() -> None:
    square = np.where(np.arange(3 * RATE) % 480 < 240, 32767, -32768).astype(np.int16)
    recording = mixed([square] * 8)[RATE : 4 * RATE]
    assert np.abs(recording.astype(int)).max() < 32767
    assert (np.sign(recording) == np.sign(square)).all()


def test_a_mix_that_briefly_exceeds_is_exact_before_and_two_seconds_after() -> None:
    loud = np.zeros(8 * RATE, np.int16)
    loud[4 * RATE : 4 * RATE + 480] = tone(500, 0.01, dbfs=0)
    voices = [noise(seed, 8, dbfs=-10) for seed in range(2)]
    recording = mixed([*voices, loud])
    total = np.sum([*voices, loud], axis=0, dtype=np.int64)
    assert np.abs(total).max() > 40000
    heard = recording[RATE : 9 * RATE]
    over = np.flatnonzero((total > 32767) | (total < -32768))
    assert np.array_equal(heard[: over[0] - 288], total[: over[0] - 288])
    assert np.array_equal(heard[over[-1] + 2 * RATE :], total[over[-1] + 2 * RATE :])
    assert np.abs(heard.astype(int)).max() < 32767


def test_the_gain_comes_down_in_a_ramp_and_not_in_a_step() -> None:
    steady = np.full(4 * RATE, 30000, np.int16)
    burst = np.zeros(4 * RATE, np.int16)
    burst[2 * RATE : 2 * RATE + 4800] = 30000
    heard = mixed([steady, burst])[RATE : 5 * RATE].astype(int)
    before = np.abs(np.diff(heard[2 * RATE - 480 : 2 * RATE]))
    # From 30000 to the half of it in 5 ms is 63 a sample; a step of the gain would be thousands.
    assert 0 < before.max() <= 70
    after = np.abs(np.diff(heard[2 * RATE + 4800 :]))
    assert after.max() <= 5


@examples(60)
@given(
    seed=st.integers(0, 2**16),
    gains=st.lists(st.floats(0, 12), min_size=1, max_size=30),
    cuts=st.lists(st.integers(1, 3000), min_size=1, max_size=8),
    rate_hz=st.sampled_from([16000, 32000, 44100, 48000]),
)
def test_no_sample_leaves_the_limiter_above_full_scale(
    seed: int, gains: list[float], cuts: list[int], rate_hz: int
) -> None:
    rng = np.random.default_rng(seed)
    envelope = np.repeat(np.array(gains, np.float32), 700)
    samples = (rng.uniform(-32768, 32767, len(envelope)) * envelope).astype(np.float32)
    whole = Limiter(rate_hz)
    at_once = np.concatenate([whole.process(samples), whole.flush()])
    assert len(at_once) == len(samples)
    assert at_once.max() <= 32767
    assert at_once.min() >= -32768
    # How the signal is cut makes no difference.
    limiter = Limiter(rate_hz)
    pieces, start, turn = [], 0, 0
    while start < len(samples):
        stop = start + cuts[turn % len(cuts)]
        pieces.append(limiter.process(samples[start:stop]))
        start, turn = stop, turn + 1
    assert np.allclose(np.concatenate([*pieces, limiter.flush()]), at_once, rtol=1e-5, atol=1e-2)
    assert limiter.limited_samples == whole.limited_samples


@pytest.mark.parametrize(
    ("rate", "rate_hz"), [(48000, 32000), (48000, 44100), (48000, 16000), (16000, 48000)]
)
def test_resampling_is_within_90_db_of_the_ideal(rate: int, rate_hz: int) -> None:
    # In float32, as it goes to the encoder: what is compared is the resampler, not 16 bits.
    low = min(rate, rate_hz)
    signal = soxr.resample(
        noise(3, 4, low // 2, dbfs=-12).astype(np.float64), low // 2, rate, "VHQ"
    )
    pcm = np.rint(np.clip(signal, -32768, 32767)).astype(np.int16)
    mixer = Mixer()
    bus = mixer.add_bus(rate_hz)
    mixer.add(_Voice(rate, pcm), (bus,))
    out = np.concatenate([mixer.mix([rate_hz // 5])[0] for _ in range(20)])
    ideal = soxr.resample(pcm.astype(np.float64), rate, rate_hz, "VHQ")
    middle = slice(rate_hz // 2, 3 * rate_hz)
    assert snr_db(ideal[middle], out[middle]) >= 90


def test_a_voice_that_comes_while_the_last_one_of_its_rate_rings_out_is_heard() -> None:
    parts = {}
    for turn in range(20):
        start_s = 1 + 0.21 * turn
        frames = spoken(noise(turn, 0.1, 16000), 16000, start_s=start_s)
        parts[str(turn)] = Part(frames, joined_s=start_s - 0.01, left_s=start_s + 0.1)
    data, reports = run(parts, 8, rate_hz=48000)
    recording = pcm_of(data)
    for turn, report in enumerate(reports):
        assert report.received_s == pytest.approx(0.1)
        start = round((1 + 0.21 * turn) * 48000)
        assert np.abs(recording[start : start + 4800].astype(float)).mean() > 1000


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_the_last_voice_of_a_rate_is_heard_to_its_end(rate: int) -> None:
    pcm = tone(440, 1.0, rate)
    mixer = Mixer()
    bus = mixer.add_bus(48000)
    mixer.add(_Voice(rate, pcm), (bus,))
    out = np.concatenate([mixer.mix([4800])[0] for _ in range(20)])
    end = slice(48000 - 2400, 48000 - 480)
    assert snr_db(tone(440, 1.0, 48000)[end], out[end]) >= 40
    assert not np.abs(out[48000 + 2400 :]).max() > 1


def test_cost_of_a_rate_ends_with_its_last_voice() -> None:
    mixer = Mixer()
    bus = mixer.add_bus(48000)
    for rate in (8000, 16000, 44100, 48000):
        mixer.add(_Voice(rate, np.ones(rate, np.int16)), (bus,))
    for _ in range(20):
        mixer.mix([9600])
    assert not mixer._groups


class _Voice:
    steady = None

    def __init__(self, rate_hz: int, pcm: Pcm) -> None:
        self.rate_hz = rate_hz
        self._pcm = pcm
        self._head = 0

    @property
    def done(self) -> bool:
        return self._head >= len(self._pcm)

    def add_to(self, total: Samples, stop: int) -> None:
        start, self._head = self._head, stop
        piece = self._pcm[start:stop]
        total[: len(piece)] += piece
