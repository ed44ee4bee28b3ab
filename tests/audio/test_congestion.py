"""A narrow link: what was held up comes faster than it was spoken, but not all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from roomtape.types import SourceReport
from support.scripted import Frame, play, shifts_of, spoken, uniform
from support.signals import noise

RATE = 8000
FRAME_S = 0.02
START_S = 1.0
SPOKEN_S = 45.0
RECORDED_S = 62.0
SPEECH = noise(3, SPOKEN_S, RATE)
CALM_S = 1.0
"""At first the network does no harm: that is where the stream is anchored."""
MIX_DELAY_S = 0.5


@dataclass(frozen=True)
class Link:
    """A queue in front of a link that carries no more than so much.

    Attributes:
        held: When nothing comes through, and for how long.
        pace: How many times as fast as it is spoken the queue empties; infinite: all at once.
        jitter_s: On top, behind the queue.
        overtaking: The jitter changes the order.
    """

    held: tuple[tuple[float, float], ...]
    pace: float
    jitter_s: float = 0.0
    loss: float = 0.0
    overtaking: bool = False
    seed: int = 0

    def carried(self, frames: list[Frame]) -> list[Frame]:
        """What comes out of it, and when; in the order of speech."""
        rng = np.random.default_rng(self.seed)
        last_s = latest_s = 0.0
        survivors = []
        for frame in frames:
            sent_s = frame.at_ns / 1e9
            harmed = sent_s > START_S + CALM_S
            if harmed and rng.random() < self.loss:
                continue
            due_s = max(sent_s, last_s + FRAME_S / self.pace)
            for start_s, length_s in self.held:
                if start_s <= due_s < start_s + length_s:
                    due_s = start_s + length_s
            last_s = due_s
            at_s = due_s + (rng.uniform(0, self.jitter_s) if harmed else 0)
            if not self.overtaking:
                at_s = max(at_s, latest_s)
            latest_s = at_s
            survivors.append(frame._replace(at_ns=round(at_s * 1e9)))
        return survivors


@dataclass(frozen=True)
class Heard:
    """What became of the frames that survived, one entry each.

    Attributes:
        late_s: How long after it was said each one came.
        off_s: How much later than its place each one is heard; inf: not there.
    """

    late_s: npt.NDArray[np.float64]
    off_s: npt.NDArray[np.float64]
    report: SourceReport

    @property
    def in_place(self) -> npt.NDArray[np.bool_]:
        return np.abs(self.off_s) <= 0.02

    def back_s(self, delay_s: float) -> float:
        """How long after the last frame that came later than ``delay_s`` all are in place."""
        calm = int(np.flatnonzero(self.late_s > delay_s).max(initial=-1)) + 1
        away = np.flatnonzero(~self.in_place[calm:])
        return float(away.max(initial=-1) + 1) * FRAME_S


def heard(frames: list[Frame]) -> Heard:
    recording, report = play(frames, RECORDED_S, rate_hz=RATE)
    said_s = np.array([START_S + ((frame.pts or 0) - 5000) / RATE for frame in frames])
    late_s = np.array([frame.at_ns / 1e9 for frame in frames]) - said_s
    pieces = zip(said_s.tolist(), (frame.pcm for frame in frames), strict=True)
    return Heard(late_s, shifts_of(pieces, recording, RATE), report)


def assert_in_place_or_late(frames: list[Frame], hold_ups: int) -> None:
    """Nothing is misplaced, what came in time is there, and the report tells the rest."""
    what = heard(frames)
    report = what.report
    assert report.reanchored == 0
    assert report.drift_ppm == pytest.approx(0, abs=200)
    assert what.in_place[what.late_s < MIX_DELAY_S - 0.3].all()
    # What is heard is in its place; the edge of a hold-up may cut a frame in two.
    edge_s = 2 * FRAME_S * (hold_ups + 1)
    assert report.received_s == pytest.approx(what.in_place.sum() * FRAME_S, abs=edge_s)
    first, last = frames[0].pts or 0, frames[-1].pts or 0
    between_s = (last - first) / RATE + FRAME_S
    assert report.received_s + report.lost_s == pytest.approx(between_s, abs=edge_s)
    dropped_s = between_s - len(frames) * FRAME_S
    assert report.lost_s == pytest.approx(dropped_s + report.late_s, abs=edge_s)
    too_late_s = np.count_nonzero(what.late_s > MIX_DELAY_S) * FRAME_S
    # A doubt takes 0.3 s, and the end of what is too late may be in the last one.
    assert too_late_s - 0.25 * hold_ups <= report.late_s <= too_late_s + 0.3 * hold_ups + edge_s


MOST_HELD_S = 5.0


def at_most(held: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """These hold-ups, made shorter where they are more than :data:`MOST_HELD_S` together."""
    share = min(1.0, MOST_HELD_S / sum(length_s for _, length_s in held))
    return tuple(sorted((start_s, length_s * share) for start_s, length_s in held))


hold_ups = st.lists(
    st.tuples(st.floats(3, 25), st.floats(0.2, MOST_HELD_S)), min_size=1, max_size=3
).map(at_most)
links = st.builds(
    Link,
    held=hold_ups,
    pace=st.one_of(st.floats(1.3, 4), st.just(np.inf)),
    jitter_s=st.sampled_from([0.0, 0.02, 0.06]),
    loss=st.sampled_from([0.0, 0.02, 0.1]),
    seed=st.integers(0, 2**16),
)


@settings(max_examples=400, deadline=None)
@given(link=links)
def test_words_stay_in_place_while_a_narrow_link_catches_up(link: Link) -> None:
    assert_in_place_or_late(link.carried(spoken(SPEECH, RATE)), len(link.held))
