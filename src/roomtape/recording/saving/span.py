"""Which samples of a recording a save is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ...storage.sink import SinkFormat
from ...types import NS_PER_S, AudioFormat
from ...types.errors import StateError


class Span(NamedTuple):
    """Samples of a recording, counted from its START.

    Attributes:
        asked: How many were asked for.
        first, stop: What is to be saved, ``[first, stop)``; of AAC, at the borders of frames.
    """

    asked: int
    first: int
    stop: int


def span_of(
    sink_format: SinkFormat,
    *,
    now_ns: int,
    last_s: float,
    then_s: float,
    since: int | None,
    oldest: Callable[[int], int],
) -> Span:
    """What a save that is asked for now holds.

    Args:
        sink_format: Of the recording.
        now_ns: When, from its START.
        last_s, then_s: How much before that, and after.
        since: The sample to begin with instead of ``last_s`` ago.
        oldest: The first sample that is to be had at a moment (a sample as well).

    Raises:
        StateError: There is no such sample.
    """
    rate_hz, unit = sink_format.rate_hz, sink_format.unit_samples
    now = (now_ns * rate_hz + NS_PER_S // 2) // NS_PER_S
    start = now - round(last_s * rate_hz) if since is None else since
    stop = now + round(then_s * rate_hz)
    first = max(start, oldest(now), 0)
    if first >= stop:
        raise StateError(
            "there is nothing to save yet"
            if since is None
            else "nothing was recorded since the last save"
        )
    if sink_format.audio_format is AudioFormat.AAC:
        first, stop = first // unit * unit, -(-stop // unit) * unit
    return Span(asked=stop - start, first=first, stop=stop)
