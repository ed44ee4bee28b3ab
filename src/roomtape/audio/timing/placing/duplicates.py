"""What a source said last, to tell a frame that came twice from one of a stream that began anew."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from ....types import Pcm


class DuplicateDetector:
    """The last so many samples, by timestamp; where two frames overlap, what came last. In how
    many pieces they came makes no difference."""

    def __init__(self, most_samples: int) -> None:
        self._most_samples = most_samples
        self._frames: list[tuple[int, Pcm]] = []  # in order of timestamps, disjoint
        self._samples = 0

    def add(self, pts: int, pcm: Pcm) -> None:
        """Remember ``pcm``; forget what is older than the bound, except the newest."""
        if not self._frames or pts >= _end(self._frames[-1]):
            self._frames.append((pts, pcm))
        else:
            self._put_between(pts, pcm)
        self._samples += len(pcm)
        forget = 0
        while self._samples > self._most_samples and forget < len(self._frames) - 1:
            surplus = self._samples - self._most_samples
            first_pts, first = self._frames[forget]
            if surplus < len(first):
                self._frames[forget] = (first_pts + surplus, first[surplus:])
                self._samples -= surplus
                break
            self._samples -= len(first)
            forget += 1
        del self._frames[:forget]

    def _put_between(self, pts: int, pcm: Pcm) -> None:
        end = pts + len(pcm)
        first = last = bisect_right(self._frames, pts, key=_end)
        pieces = [(pts, pcm)]
        while last < len(self._frames) and self._frames[last][0] < end:
            start, earlier = self._frames[last]
            self._samples -= len(earlier)
            if start < pts:
                pieces.insert(0, (start, earlier[: pts - start]))
                self._samples += pts - start
            if start + len(earlier) > end:
                pieces.append((end, earlier[end - start :]))
                self._samples += start + len(earlier) - end
            last += 1
        self._frames[first:last] = pieces

    def extend(self, pts: int, pcm: Pcm) -> None:
        """Remember ``pcm``, piece by piece, so that the pieces are forgotten one by one."""
        size = max(1, self._most_samples // 20)
        for start in range(0, len(pcm), size):
            self.add(pts + start, pcm[start : start + size])

    def clear(self) -> None:
        self._frames.clear()
        self._samples = 0

    def seen(self, pts: int, pcm: Pcm) -> bool | None:
        """True: the same was there. False: something else was. None: there is a hole."""
        same, overlap, end = True, 0, pts + len(pcm)
        for start, earlier in self._frames[max(0, bisect_right(self._frames, pts, key=_pts) - 1) :]:
            if start >= end:
                break
            low, high = max(pts, start), min(end, start + len(earlier))
            if low < high:
                overlap += high - low
                same = same and np.array_equal(
                    pcm[low - pts : high - pts], earlier[low - start : high - start]
                )
        return same if overlap >= len(pcm) else None


def _end(frame: tuple[int, Pcm]) -> int:
    return frame[0] + len(frame[1])


def _pts(frame: tuple[int, Pcm]) -> int:
    return frame[0]
