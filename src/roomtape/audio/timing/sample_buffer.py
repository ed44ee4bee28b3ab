"""Placed samples, waiting for the mix head to come by."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...types import Pcm


class Inserted(NamedTuple):
    """What became of an inserted run, in samples; the three add up to its length."""

    placed: int
    late: int
    """Came after its place had been read."""
    covered: int
    """Something stands there already."""


@dataclass(slots=True)
class _Run:
    start: int
    pcm: Pcm

    @property
    def end(self) -> int:
        return self.start + len(self.pcm)


class SampleBuffer:
    """Runs of mono int16 samples on an integer grid, written in any order, read once in order.

    What is written first stands: a later run only fills the holes that are left. Reading moves
    :attr:`head`; what is inserted before it is late.
    """

    def __init__(self, head: int) -> None:
        self.head = head
        """The first position that has not been read."""
        self._runs: list[_Run] = []  # in order, disjoint, all ending after head

    @property
    def next_start(self) -> int | None:
        """The first position that holds a sample; None if nothing waits."""
        return self._runs[0].start if self._runs else None

    @property
    def end(self) -> int:
        """Behind the last sample that waits; ``head`` if nothing waits."""
        return self._runs[-1].end if self._runs else self.head

    def waiting(self, stop: int | None = None) -> int:
        """How many samples wait, before ``stop`` if that is given."""
        ends = (run.end if stop is None else min(run.end, stop) for run in self._runs)
        return sum(max(0, end - run.start) for run, end in zip(self._runs, ends, strict=True))

    def peak(self, stop: int) -> int:
        """The largest absolute sample in ``[head, stop)``, 0 where nothing waits."""
        waiting = [run.pcm[: stop - run.start] for run in self._runs if run.start < stop]
        return max((max(int(pcm.max()), -int(pcm.min())) for pcm in waiting), default=0)

    def pieces(self) -> list[tuple[int, Pcm]]:
        """All that waits, in order, and where each piece of it begins."""
        return [(run.start, run.pcm) for run in self._runs]

    def insert(self, start: int, pcm: Pcm) -> Inserted:
        """Write ``pcm``, shape ``(frames,)``, at ``start``. The array is kept, not copied."""
        late = min(max(self.head - start, 0), len(pcm))
        if late:
            start, pcm = start + late, pcm[late:]
        if not len(pcm):
            return Inserted(0, late, 0)
        if start >= self.end:
            self._runs.append(_Run(start, pcm))
            return Inserted(len(pcm), late, 0)
        return self._fill_holes(start, pcm, late)

    def _fill_holes(self, start: int, pcm: Pcm, late: int) -> Inserted:
        placed, end, position = 0, start + len(pcm), start
        index = bisect_right(self._runs, position, key=lambda run: run.end)
        while position < end:
            # self._runs[index] is the first run that ends behind position.
            hole_end = end
            if index < len(self._runs):
                hole_end = min(end, self._runs[index].start)
            if hole_end > position:
                self._runs.insert(index, _Run(position, pcm[position - start : hole_end - start]))
                placed += hole_end - position
                index += 1
            if index == len(self._runs):
                break
            position = self._runs[index].end
            index += 1
        return Inserted(placed, late, len(pcm) - placed)

    def read(self, stop: int) -> tuple[Pcm | None, list[tuple[int, int]]]:
        """Take ``[head, stop)`` and move the head to ``stop``.

        Returns:
            The samples, shape ``(stop - head,)``, zero where nothing was placed, or None if
            nothing was placed at all; and the holes as ``(start, stop)`` in order. The array
            may be a view of what was inserted: do not write to it.
        """
        start, self.head = self.head, stop
        if not self._runs or self._runs[0].start >= stop:
            return None, [(start, stop)] if stop > start else []
        pieces: list[Pcm] = []
        holes: list[tuple[int, int]] = []
        position = start
        used = 0
        for run in self._runs:
            if run.start >= stop:
                break
            if run.start > position:
                holes.append((position, run.start))
                pieces.append(np.zeros(run.start - position, np.int16))
            pieces.append(run.pcm[: stop - run.start])
            position = min(run.end, stop)
            if run.end > stop:
                run.pcm = run.pcm[stop - run.start :]
                run.start = stop
                break
            used += 1
        del self._runs[:used]
        if position < stop:
            holes.append((position, stop))
            pieces.append(np.zeros(stop - position, np.int16))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces), holes
