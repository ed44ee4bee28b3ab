"""When a source was heard at all: nothing that was is ever left out."""

from __future__ import annotations

from array import array

from ...types import NS_PER_S

_JOIN_NS = NS_PER_S
_MOST = 4000


class Sound:
    """Stretches of nanoseconds, added about in order, by one thread. Where there are very many, the
    older half of them becomes coarser, and says more than was so; never less."""

    def __init__(self) -> None:
        self._starts, self._ends = array("q"), array("q")

    def add(self, start_ns: int, end_ns: int) -> None:
        """It was heard in ``[start_ns, end_ns)``."""
        ends = self._ends
        if ends and start_ns <= ends[-1] + _JOIN_NS:
            self._starts[-1] = min(self._starts[-1], start_ns)
            ends[-1] = max(ends[-1], end_ns)
            return
        self._starts.append(start_ns)
        self._ends.append(end_ns)
        if len(ends) > _MOST:
            self._make_room()

    def spans(self) -> list[tuple[int, int]]:
        """All of them."""
        return [*zip(self._starts, self._ends, strict=True)]

    def _make_room(self) -> None:
        """Each two neighbours of the older half become one."""
        half = _MOST // 2
        self._starts = self._starts[:half:2] + self._starts[half:]
        self._ends = self._ends[1:half:2] + self._ends[half:]
