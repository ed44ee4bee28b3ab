"""A word that is out of its place, or missing, is told; one that is where it belongs is not."""

from __future__ import annotations

import numpy as np
import pytest

from support.signals import silence, speech
from support.words import assert_each_in_place, find_words, words_in

RATE = 16000


def test_every_voice_has_words_of_at_most_half_a_second():
    for name in ("alice", "bob", "carol", "dave"):
        words = words_in(speech(name, 5.0, RATE), RATE)
        assert len(words) > 5
        assert all(0.15 * RATE <= high - low <= 0.51 * RATE for low, high in words)


def test_what_is_in_its_place_is_found_there():
    said = speech("alice", 5.0, RATE)
    recorded = np.concatenate([silence(0.7, RATE), said, silence(0.3, RATE)])
    for begins_s, recording in ((0.7, recorded), (-0.1, said[RATE // 10 :])):
        found = find_words(said, recording, RATE, begins_s=begins_s)
        assert_each_in_place(found[begins_s < 0 :], at_least=5, within_s=0.001, alike=0.99)


@pytest.mark.parametrize("harm", ["moved", "missing", "another"])
def test_one_word_that_is_not_is_told(harm: str):
    said = speech("alice", 5.0, RATE)
    low, high = words_in(said, RATE)[3]
    recorded, moved = said.copy(), round(0.025 * RATE)
    if harm == "moved":
        recorded[low + moved : high + moved] = said[low:high]
        recorded[low : low + moved] = 0
    elif harm == "missing":
        recorded[low:high] = 0
    else:
        recorded[low:high] = speech("bob", 5.0, RATE)[low:high]
    found = find_words(said, recorded, RATE, begins_s=0.0)
    with pytest.raises(AssertionError, match=r"of \d+ words are missing or out of place"):
        assert_each_in_place(found, at_least=5)


def test_what_was_lost_is_not_compared():
    said = speech("alice", 5.0, RATE)
    known = np.ones(len(said), np.bool_)
    for low in range(0, len(said), 10 * 320):
        known[low : low + 320] = False
    found = find_words(said, said * known, RATE, begins_s=0.0, known=known)
    assert_each_in_place(found, at_least=5, within_s=0.001, alike=0.99)
