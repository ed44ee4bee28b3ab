"""When a source was muted, exactly: what is missing then is not lost."""

from __future__ import annotations

from bisect import bisect_right
from threading import Lock

_MOST = 4096


class Mutes:
    """The stretches in which one source was muted, in nanoseconds. Thread-safe.

    They are exact, whatever a report makes of them. The last 4096 stretches are kept; what is
    missing before those counts as lost.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._spans: list[tuple[int, int]] = []  # in order, disjoint
        self._since_ns: int | None = None

    @property
    def muted(self) -> bool:
        """Whether it is now."""
        return self._since_ns is not None

    def set(self, muted: bool, now_ns: int) -> tuple[int, int] | None:
        """It is muted from now on, or no longer. Gives the stretch that is over, if one is."""
        with self._lock:
            since_ns = self._since_ns
            if muted:
                self._since_ns = now_ns if since_ns is None else since_ns
                return None
            self._since_ns = None
            if since_ns is None or since_ns >= now_ns:
                return None
            start_ns = max(since_ns, self._spans[-1][1]) if self._spans else since_ns
            if start_ns < now_ns:
                self._spans.append((start_ns, now_ns))
            if len(self._spans) > _MOST:
                del self._spans[: _MOST // 8]
            return since_ns, now_ns

    def last_ns(self, now_ns: int) -> tuple[int, int] | None:
        """The stretch that goes on, up to now; None if it is not muted."""
        with self._lock:
            return None if self._since_ns is None else (self._since_ns, now_ns)

    def outside(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """The parts of ``[start_ns, end_ns)`` in which it was not muted, in order."""
        with self._lock:
            since_ns = self._since_ns
            first = bisect_right(self._spans, start_ns, key=_end)
            last = bisect_right(self._spans, end_ns, key=_start)
            spans = self._spans[first:last]
        if since_ns is not None:
            end_ns = min(end_ns, since_ns)
        parts = []
        for start, stop in spans:
            if start > start_ns:
                parts.append((start_ns, min(start, end_ns)))
            start_ns = max(start_ns, stop)
        parts.append((start_ns, end_ns))
        return [(start, stop) for start, stop in parts if start < stop]


def _start(span: tuple[int, int]) -> int:
    return span[0]


def _end(span: tuple[int, int]) -> int:
    return span[1]
