"""When a recording was paused, and what that does to its time.

A recording has two clocks that begin together: *wall* time, which everything that is heard is
placed on, and *file* time, which lacks what was cut out. They differ only behind a cut.
"""

from __future__ import annotations

import numpy as np

from ...types import NS_PER_S, PauseMode
from ..arrays import Samples
from .tone import tone

MOST_CUTS = 1000
_OPEN = 1 << 62

Spans = tuple[tuple[int, int], ...]
"""``[start, stop)`` in nanoseconds of wall time, in order, disjoint."""


class Pauses:
    """:meth:`change` from one thread at a time, with a time that does not go back and that is not
    mixed yet; everything else from any."""

    def __init__(self) -> None:
        self.cuts: Spans = ()
        """What is cut out; the last one may be open yet."""
        self._toned: Spans = ()

    @property
    def full(self) -> bool:
        """There are so many cuts that it takes no more."""
        return len(self.cuts) >= MOST_CUTS

    def change(self, mode: PauseMode | None, now_ns: int, until_ns: int) -> None:
        """It is paused like this from now on; None: it goes on.

        Args:
            mode: How.
            now_ns: The time.
            until_ns: What was cut out goes on there: when voices are heard again, if it goes on.
        """
        ends_ns = until_ns if mode is None else now_ns
        self.cuts = _changed(self.cuts, now_ns, ends_ns, mode is PauseMode.SKIP)
        self._toned = _changed(self._toned, now_ns, now_ns, mode is PauseMode.TONE)

    def file_ns(self, wall_ns: int) -> int:
        """Where in the file that moment is; of one that was cut out, where the cut is."""
        return wall_ns - sum(
            min(wall_ns, stop) - start for start, stop in self.cuts if start < wall_ns
        )

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Where in the file each cut is that is over, and how long it was; in nanoseconds."""
        return tuple(
            (self.file_ns(start), stop - start) for start, stop in self.cuts if stop != _OPEN
        )

    def wall_ns(self, file_ns: int) -> int:
        """When that place of the file was; at a cut, when it went on."""
        for start, stop in self.cuts:
            if start > file_ns or stop == _OPEN:
                break
            file_ns += stop - start
        return file_ns

    def file_sample(self, wall: int, rate_hz: int) -> int:
        """:meth:`file_ns`, in samples."""
        cut = 0
        for start, stop in _samples(self.cuts, rate_hz):
            cut += max(0, min(wall, stop) - start)
        return wall - cut

    def kept(self, first: int, count: int, rate_hz: int) -> list[slice] | None:
        """What of the samples ``[first, first + count)`` of wall time is in the file; None for all
        of them."""
        if not self.cuts:
            return None  # nearly always
        kept, at = [], first
        for start, stop in _samples(self.cuts, rate_hz):
            if stop > at and start < first + count:
                kept.append(slice(at - first, max(at, start) - first))
                at = min(stop, first + count)
        if at == first and not kept:
            return None
        kept.append(slice(at - first, count))
        return [each for each in kept if each.start < each.stop]

    def with_tone(self, samples: Samples, first: int, rate_hz: int) -> Samples:
        """The mix from ``first`` on with the tone of its pauses; a copy, where there is any."""
        for start, stop in _samples(self._toned, rate_hz):
            low, high = max(start, first), min(stop, first + len(samples))
            if low < high:
                samples = samples.copy()
                samples[low - first : high - first] += tone(low, high - low, rate_hz)
        return samples


def without_cuts(samples: Samples, kept: list[slice] | None) -> Samples:
    """What of them is kept."""
    return (
        samples
        if kept is None
        else np.concatenate([samples[:0], *(samples[each] for each in kept)])
    )


def _changed(spans: Spans, now_ns: int, ends_ns: int, wanted: bool) -> Spans:
    last = spans[-1] if spans else (-1, -1)
    if wanted and last[1] >= now_ns:  # it is so yet, or is to be so for a moment more
        return (*spans[:-1], (last[0], _OPEN))
    if wanted:
        return (*spans, (now_ns, _OPEN))
    if last[1] == _OPEN:
        return (*spans[:-1], (last[0], ends_ns)) if ends_ns > last[0] else spans[:-1]
    return spans


def _samples(spans: Spans, rate_hz: int) -> list[tuple[int, int]]:
    return [(start * rate_hz // NS_PER_S, stop * rate_hz // NS_PER_S) for start, stop in spans]
