"""Speech compared with a recording of it word by word, each for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from roomtape.types import Pcm

from .signals import offset_of

_BLOCK_S = 0.01
_AUDIBLE = 0.1  # of the loudest block's root mean square
_PAUSE_BLOCKS = 5
_LONGEST_BLOCKS = 50
_SHORTEST_S = 0.15


class Word(NamedTuple):
    """One stretch of speech, and where it was found.

    Attributes:
        at_s: Where it begins in what was said.
        off_s: How much later than expected it stands in the recording.
        likeness: How sure that is, 0 to 1.
    """

    at_s: float
    off_s: float
    likeness: float


def words_in(said: Pcm, rate: int) -> list[tuple[int, int]]:
    """Where somebody speaks: samples from and to, half a second long at most. The pauses between
    them, and what is too short to be recognised, are left out."""
    block = round(_BLOCK_S * rate)
    blocks = said[: len(said) // block * block].astype(np.float64).reshape(-1, block)
    loud = np.sqrt(np.mean(blocks**2, axis=1))
    heard = np.flatnonzero(loud > _AUDIBLE * loud.max(initial=1.0))
    found: list[list[int]] = []
    for each in heard.tolist():
        if found and each - found[-1][1] <= _PAUSE_BLOCKS and each - found[-1][0] < _LONGEST_BLOCKS:
            found[-1][1] = each
        else:
            found.append([each, each])
    spans = [(low * block, (high + 1) * block) for low, high in found]
    return [(low, high) for low, high in spans if high - low >= _SHORTEST_S * rate]


def find_words(
    said: Pcm,
    recorded: Pcm,
    rate: int,
    *,
    begins_s: float,
    search_s: float = 0.3,
    known: npt.NDArray[np.bool_] | None = None,
) -> list[Word]:
    """Look for each word of ``said`` around the place where it must be.

    Args:
        said, recorded: Mono, both at ``rate``.
        begins_s: Where the first sample of ``said`` belongs in the recording; it may be before it.
        search_s: How far around.
        known: Which samples of ``said`` arrived, as many as it has; all without it. A word of which
            less than half arrived is not looked for.
    """
    found = []
    for low, high in words_in(said, rate):
        word, arrived = said[low:high], None if known is None else known[low:high]
        if arrived is not None and arrived.mean() < 0.5:
            continue
        place = round(begins_s * rate) + low
        first = max(0, place - round(search_s * rate))
        around = recorded[first : max(0, place + len(word) + round(search_s * rate))]
        if not np.any(around):
            found.append(Word(low / rate, 0.0, 0.0))
            continue
        at_s, likeness = offset_of(word, around, rate, known=arrived)
        found.append(Word(low / rate, (first - place) / rate + at_s, likeness))
    return found


def assert_each_in_place(
    found: Sequence[Word],
    *,
    at_least: int,
    within_s: float = 0.02,
    alike: float = 0.7,
    lag_s: float = 0.0,
) -> None:
    """Every word is there, and where it belongs.

    Args:
        found: The words.
        at_least: So many were looked for.
        within_s, alike: How near each must be to its place, and to what was said.
        lag_s: For so long the machine kept waiting whoever played or heard them: so much later they
            may be, and where that is long, for each tenth of a second one may be torn apart, though
            never more than a third.
    """
    assert len(found) >= at_least, f"only {len(found)} words were looked for"
    latest_s = within_s + lag_s
    wrong = [word for word in found if word.likeness < alike or abs(word.off_s) > latest_s]
    torn = min(int(lag_s * 10), len(found) // 3)
    words = f"{len(wrong)} of {len(found)} words are missing or out of place: {wrong}"
    assert len(wrong) <= torn, words


def place_of(said: Pcm, recorded: Pcm, rate: int) -> float:
    """Where all of ``said`` begins in the recording, for words that must only be right among
    themselves."""
    at_s, likeness = offset_of(said, recorded, rate)
    assert likeness > 0.3, f"it is not there ({likeness:.2f})"
    return at_s
