"""The holes in what is read of a source, and which of them are loss.

A hole is loss, unless the sender says of what comes behind it that nothing was sent before. So a
hole at the end of what was read stays open until what comes next is there, be it too late.
"""

from __future__ import annotations

Stretch = tuple[int, int]
"""From a position to another, on the sender's clock."""


class Holes:
    """Those of one timeline. Call :meth:`read` for each stretch that is read, in order, before
    it is told what came too late for it. Positions are those of the buffer.
    """

    def __init__(self) -> None:
        self._silent_before: list[int] = []  # what begins there, and follows on silence
        self._open: Stretch | None = None

    @property
    def is_open(self) -> bool:
        """The last one that was read may go on."""
        return self._open is not None

    def goes_on_from(self, first: int, stop: int) -> None:
        """The last one that was read, ``[first, stop)``, may go on."""
        self._open = (first, stop)

    def take_open(self) -> int | None:
        """Where the last one that was read began, if it may go on: it is somebody else's now."""
        taken, self._open = self._open, None
        return None if taken is None else taken[0]

    def silent_before(self, position: int) -> bool:
        """Whether a hole that ends at ``position`` would be no loss."""
        return position in self._silent_before

    def never_sent_before(self, position: int) -> None:
        """A hole that ends at ``position`` is no loss."""
        self._silent_before.append(position)

    def read(
        self, start: int, stop: int, holes: list[Stretch], next_start: int | None
    ) -> list[Stretch]:
        """``[start, stop)`` was read.

        Args:
            start: Where the one before stopped.
            stop: Behind the last position.
            holes: What is missing in it, in order.
            next_start: Where the next samples that wait begin.

        Returns:
            What is known now to be lost. Parts of it may have been read before.
        """
        if self._silent_before:
            self._silent_before = [end for end in self._silent_before if end >= start]
        if self._open is not None:
            # What was read last goes on: one hole, or none.
            end = start
            if holes and holes[0][0] == start:
                end, holes = holes[0][1], holes[1:]
            holes = [(self._open[0], end), *holes]
            self._open = None
        lost = []
        for first, end in holes:
            if end == stop and next_start != end:
                self._open = (first, end)
            elif end in self._silent_before:
                self._silent_before.remove(end)
            elif end > first:
                lost.append((first, end))
        return lost

    def came_late(self, start: int, end: int, *, gap_is_silence: bool) -> list[Stretch]:
        """What belongs to ``[start, end)`` came too late, or half of it.

        Returns:
            What is known now to be lost: the hole that was read in its place, and what is missing
            before it, unless that was never sent.
        """
        if self._open is None or end <= self._open[0]:
            return []
        first, stop = self._open
        self._open = (end, stop) if end < stop else None
        lost = max(first, start) if gap_is_silence else first, min(end, stop)
        return [lost] if lost[1] > lost[0] else []

    def end_at(self, position: int) -> None:
        """It is read from ``position`` on next, and silence is left out or added before it."""
        if self._open is not None:
            self._open = (min(self._open[0], position), position)
