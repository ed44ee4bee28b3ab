"""When a source was heard: rather too much than too little, within a bound."""

from __future__ import annotations

import random

from roomtape.audio.discretion.curtain import Curtain
from roomtape.audio.discretion.sound import Sound
from roomtape.types import NS_PER_S


def test_whatever_was_heard_is_in_it_and_it_stays_small():
    sound, chance = Sound(), random.Random(1)
    heard, now = [], 0
    for _ in range(20_000):
        now += chance.randrange(1, 20 * NS_PER_S)
        heard.append((now, now + NS_PER_S // 50))
        sound.add(*heard[-1])
    spans = sound.spans()
    assert len(spans) <= 4000
    assert all(
        any(low <= start and end <= high for low, high in spans) for start, end in heard[::97]
    )
    last = [span for span in spans if span[0] >= heard[-500][0]]
    assert sum(high - low for low, high in last) < 500 * 2 * NS_PER_S  # those are fine still


def test_a_curtain_hides_all_and_then_what_was_before():
    curtain = Curtain()
    curtain.lift(5)
    assert curtain.hidden(1000, 0, 50) == 0
    curtain.drop()
    assert curtain.hidden(1000, 0, 50) == 50
    curtain.lift(NS_PER_S)
    curtain.lift(2 * NS_PER_S)
    assert [curtain.hidden(1000, *span) for span in [(0, 50), (990, 1040), (1000, 9000)]] == [
        50,
        10,
        0,
    ]
