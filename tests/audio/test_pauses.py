"""Two clocks: that of the room, and that of a file from which pauses were cut out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from roomtape import PauseMode
from roomtape.audio.discretion.pauses import Pauses, without_cuts
from roomtape.audio.discretion.tone import tone
from roomtape.types import NS_PER_S
from support.examples import examples

RATE = 100
LIFT = 10
steps = st.lists(st.tuples(st.integers(0, 30), st.sampled_from([None, *PauseMode])), max_size=12)


@given(changes=steps, pieces=st.lists(st.integers(1, 40), min_size=1, max_size=30))
@examples(200)
def test_what_is_cut_out_and_what_has_a_tone_is_so_to_the_sample(
    changes: list[tuple[int, PauseMode | None]], pieces: list[int]
):
    """Against a list with an entry for each sample."""
    pauses, now, mode, length = Pauses(), 0, None, 500
    lifted = 0
    cut, toned = np.zeros(length, bool), np.zeros(length, bool)
    for wait, following in changes:
        now += wait
        if following is mode:
            continue
        # What was cut out goes on for a moment where voices are heard again, and nowhere else.
        cut[now:] = following is PauseMode.SKIP
        if mode is PauseMode.SKIP and following is None:
            cut[now : now + LIFT] = True
        elif following is not PauseMode.SKIP and lifted > now:
            cut[now:lifted] = True
        if mode is PauseMode.SKIP or following is PauseMode.SKIP:
            lifted = now + LIFT if following is None else 0
        toned[now:] = following is PauseMode.TONE
        ns = now * NS_PER_S // RATE
        pauses.change(following, ns, ns + LIFT * NS_PER_S // RATE)
        mode = following
    mixed = np.arange(length, dtype=np.float32)
    expected = (mixed + np.where(toned, tone(0, length, RATE), 0))[~cut]
    got, at = [], 0
    for count in [*pieces, length]:
        part = mixed[at : at + count]
        kept = pauses.kept(at, len(part), RATE)
        got.append(without_cuts(pauses.with_tone(part, at, RATE), kept))
        at += len(part)
    assert np.array_equal(mixed, np.arange(length))
    assert np.array_equal(np.concatenate(got), expected)
    before = np.concatenate([[0], np.cumsum(~cut)])
    for wall in range(length):
        at_ns = wall * NS_PER_S // RATE
        assert pauses.file_sample(wall, RATE) == before[wall]
        assert pauses.file_ns(at_ns) == before[wall] * NS_PER_S // RATE
        if not cut[wall]:
            assert pauses.wall_ns(pauses.file_ns(at_ns)) == at_ns
