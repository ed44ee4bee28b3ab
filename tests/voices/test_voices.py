from __future__ import annotations

import math

import numpy as np
import pytest

from roomtape.media.voices import VOICES, load_voice, voice_path
from roomtape.types.errors import ConfigurationError
from support.readers import read_libsndfile
from support.signals import offset_of


@pytest.mark.parametrize("name", VOICES)
def test_each_voice_is_six_to_ten_seconds_of_48_khz_mono_with_its_peak_at_6_dbfs(name: str):
    pcm, rate = read_libsndfile(voice_path(name))
    assert rate == 48000
    assert pcm.ndim == 1
    assert 6 <= len(pcm) / rate <= 10
    assert 20 * math.log10(np.abs(pcm).max() / 32768) == pytest.approx(-6, abs=0.1)
    assert np.array_equal(load_voice(name), pcm)


def test_a_voice_at_another_rate_says_the_same():
    pcm = load_voice("bob", 16000)
    assert len(pcm) == pytest.approx(len(load_voice("bob")) / 3, abs=2)


def test_no_two_voices_are_alike():
    voices = [load_voice(name, 16000) for name in VOICES]
    for index, voice in enumerate(voices):
        for other in voices[index + 1 :]:
            assert offset_of(voice, other, 16000)[1] < 0.3


def test_the_voices_together_stay_below_a_megabyte():
    assert sum(voice_path(name).stat().st_size for name in VOICES) < 1_000_000


def test_an_unknown_voice_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigurationError, match="no voice 'eve': choose one of alice, bob"):
        load_voice("eve")
