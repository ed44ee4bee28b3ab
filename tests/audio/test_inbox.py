"""Where pushing threads and the mixing thread meet: nothing lost, nothing twice, in order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomtape.audio import arrays
from roomtape.audio.inbox import MOST_PTS, Inbox
from roomtape.audio.timing.fast_path import arrivals_of, fast_path

RATE = 8000


def frame(number: int) -> np.ndarray:
    return np.full(8, number, np.int16)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["offer", "offer", "put", "other rate", "take", "open", "shut", "attach"]),
        max_size=40,
    )
)
def test_what_comes_by_either_way_is_taken_once_and_in_order(steps: list[str]) -> None:
    inbox, pushed, taken = Inbox(0), 0, []
    path = fast_path(RATE)
    inbox.attach(path, RATE)

    def take() -> list[int]:
        runs = inbox.take()
        if not runs and path is not None:  # as a timeline does it
            runs = [(RATE, arrivals_of(path))]
        return [int(each.pcm[0]) for _, arrivals in runs for each in arrivals]

    for step in steps:
        match step:
            case "offer" | "put" | "other rate":
                rate = 2 * RATE if step == "other rate" else RATE
                given_ = (frame(pushed), rate, None, pushed, False)
                if step != "offer" or not inbox.offer(*given_):
                    inbox.put(*given_)
                    assert not inbox.fast
                assert inbox.last_frame_ns == pushed
                pushed += 1
                assert inbox.waiting_ns > 0
            case "open":
                inbox.open_fast_path()
            case "shut":
                inbox.shut_fast_path()
            case "take":
                taken += take()
                assert inbox.waiting_ns == 0
            case "attach":
                taken += take()
                before, path = path, fast_path(RATE)
                inbox.attach(path, RATE)
                assert before is None or not before.open
    taken += take()
    assert taken == list(range(pushed))


@pytest.mark.parametrize("discard", [False, True])
def test_nothing_is_taken_after_the_end_by_any_way(discard: bool) -> None:
    inbox = Inbox(5)
    assert (inbox.last_frame_ns, inbox.last_timed) == (5, None)
    inbox.attach(fast_path(RATE), RATE)
    inbox.open_fast_path()
    inbox.put(frame(1), RATE, 7, 10, False)
    if discard:
        inbox.discard()
    else:
        assert inbox.close()
        assert not inbox.close()
    for _ in range(2):
        assert not inbox.offer(frame(2), RATE, None, 20, False)
        inbox.put(frame(2), RATE, None, 20, False)
        inbox.open_fast_path()
        assert not inbox.fast
    assert len(inbox.take()) == (0 if discard else 1)
    assert inbox.take() == []
    assert (inbox.last_frame_ns, inbox.last_timed) == (10, True)


@pytest.mark.skipif(arrays.NATIVE is None, reason="the accelerator is not built")
def test_when_the_last_frame_came_is_known_after_its_fast_path_is_gone() -> None:
    inbox = Inbox(0)
    inbox.attach(fast_path(RATE), RATE)
    inbox.open_fast_path()
    assert inbox.offer(frame(1), RATE, None, 40, False)
    assert (inbox.last_frame_ns, inbox.last_timed) == (40, False)
    inbox.detach()
    assert (inbox.last_frame_ns, inbox.last_timed) == (40, False)


@pytest.mark.parametrize("pts", [MOST_PTS - 1, MOST_PTS, 3 * MOST_PTS + 5, -MOST_PTS - 1, 10**400])
def test_timestamps_keep_their_distance_within_bounds(pts: int) -> None:
    inbox = Inbox(0)
    inbox.put(frame(1), RATE, pts, 0, False)
    inbox.put(frame(1), RATE, pts + 8, 0, False)
    ((_, (first, second)),) = inbox.take()
    assert first.pts is not None is not second.pts
    assert -MOST_PTS <= first.pts < MOST_PTS
    assert -MOST_PTS <= second.pts < MOST_PTS
    assert (second.pts - first.pts) % (2 * MOST_PTS) == 8
