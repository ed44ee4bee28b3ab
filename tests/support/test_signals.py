"""The helpers that other tests lean on must themselves be right."""

from __future__ import annotations

import math

import numpy as np
import pytest

from support.signals import impulses, noise, offset_of, silence, snr_db, speech, tone


def test_a_tone_has_the_peak_and_the_frequency_asked_for():
    pcm = tone(1000, 1.0, 48000, dbfs=-6)
    assert abs(20 * math.log10(np.abs(pcm).max() / 32767) + 6) < 0.01
    assert np.abs(np.fft.rfft(pcm)).argmax() == 1000


def test_speech_is_cut_or_repeated_to_the_length_asked_for():
    whole = speech("alice")
    assert len(speech("alice", seconds=3)) == 3 * 48000
    longer = speech("alice", seconds=10)
    assert np.array_equal(longer[len(whole) :], whole[: len(longer) - len(whole)])


def test_impulses_stand_at_every_multiple_of_the_period():
    train = impulses(0.25, 1.0, 44100)
    assert np.flatnonzero(train).tolist() == [0, 11025, 22050, 33075]


def test_noise_is_the_same_for_the_same_seed_and_another_for_another():
    assert np.array_equal(noise(1, 0.1), noise(1, 0.1))
    assert not np.array_equal(noise(1, 0.1), noise(2, 0.1))


@pytest.mark.parametrize("offset_s", [0.0, 1.25, 3.0])
def test_a_voice_is_found_where_it_stands_among_others(offset_s: float):
    voice, other = speech("alice", 4), speech("bob", 8) // 2
    mix = other.copy()
    at = round(offset_s * 48000)
    mix[at : at + len(voice)] += voice // 2
    found_s, correlation = offset_of(voice, mix, 48000)
    assert found_s == offset_s
    assert correlation > 0.5


def test_a_voice_that_began_before_the_recording_has_a_negative_offset():
    voice = speech("carol", 4)
    found_s, correlation = offset_of(voice, voice[24000:], 48000)
    assert found_s == -0.5
    assert correlation > 0.8


def test_loudness_does_not_change_the_correlation():
    voice = speech("dave", 3)
    _, correlation = offset_of(voice, np.concatenate([silence(1), voice // 8]), 48000)
    assert correlation > 0.999


def test_what_was_lost_does_not_count_against_what_came():
    voice = speech("dave", 3)
    came = np.arange(len(voice)) % 2000 < 1200
    torn = voice * came
    assert offset_of(torn, voice, 48000)[1] < 0.9
    found_s, correlation = offset_of(torn, voice, 48000, known=came)
    assert found_s == 0
    assert correlation > 0.999


def test_a_voice_that_is_not_there_does_not_correlate():
    assert offset_of(speech("alice", 4), speech("bob", 8), 48000)[1] < 0.2
    assert offset_of(speech("alice", 4), silence(8), 48000)[1] == 0


def test_snr_is_infinite_for_the_same_samples_and_counts_rounding():
    pcm = tone(1000, 1.0)
    assert snr_db(pcm, pcm) == math.inf
    assert snr_db(np.full(100, 1000.0), np.full(100, 1001.0)) == pytest.approx(60)
