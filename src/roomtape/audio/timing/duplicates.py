"""What a source said last, to tell a frame that came twice from one of a stream that began anew."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np

from ...types import Pcm


class DuplicateDetector:
    """The frames of the last so many samples, by timestamp."""

    def __init__(self, most_samples: int) -> None:
        self._most_samples = most_samples
        self._frames: list[tuple[int, Pcm]] = []  # in order of timestamps
        self._samples = 0

    def add(self, pts: int, pcm: Pcm) -> None:
        """Remember ``pcm``; forget what is older than the bound, except the newest."""
        if not self._frames or pts >= self._frames[-1][0]:
            self._frames.append((pts, pcm))
        else:
            self._frames.insert(bisect_right(self._frames, pts, key=_pts), (pts, pcm))
        self._samples += len(pcm)
        forget = 0
        while self._samples > self._most_samples and forget < len(self._frames) - 1:
            self._samples -= len(self._frames[forget][1])
            forget += 1
        del self._frames[:forget]

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


def _pts(frame: tuple[int, Pcm]) -> int:
    return frame[0]
