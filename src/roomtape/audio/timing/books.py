"""What a timeline writes into its source's ledger."""

from __future__ import annotations

from ...types import NS_PER_S, IntervalKind, LeftOut
from ..ledger import Ledger
from .holes import Stretch
from .placing.placement import Counts


class Books:
    """A ledger in positions of one rate: those at which it is heard.

    Args:
        rate_hz: Of the positions.
        ledger: The source's.
    """

    def __init__(self, rate_hz: int, ledger: Ledger) -> None:
        self._rate_hz = rate_hz
        self._ledger = ledger
        self._account = ledger.account(rate_hz)

    @property
    def level(self) -> int:
        """The peak of the last tenth of a second that was mixed."""
        return self._ledger.level

    def heard(self, start: int, blocks: list[tuple[int, int]]) -> None:
        """How loud it was from ``start`` on: where each block ends, and its peak."""
        self._ledger.heard(self._rate_hz, start, blocks)

    def silent(self) -> None:
        """Nothing was heard in the last tick."""
        self._ledger.level = 0

    def received(self, start: int, stop: int) -> None:
        """``[start, stop)`` was there when it was mixed."""
        self._account.heard.add(start, stop)

    def lost(self, stretches: list[Stretch], offset: int) -> None:
        """``stretches``, heard ``offset`` later, are missing."""
        for start, stop in stretches:
            self._ledger.lost(self._ns(start + offset), self._ns(stop + offset))

    def late(self, start: int, samples: int, at: int) -> None:
        """So many samples, which belong to ``start``, came at ``at``: too late."""
        self._account.late += samples
        self._ledger.note(IntervalKind.LATE, self._ns(start), self._ns(start + samples))
        self._ledger.sounded(self._ns(at))

    def covered(self, samples: int) -> None:
        """So many samples came, and something stands in their place already."""
        self._account.duplicate += samples

    def left_out(self, reason: LeftOut, samples: int) -> None:
        """So many samples came, and are not heard, for this reason."""
        self._account.left_out[reason] += samples

    def count(self, counts: Counts) -> None:
        """What was not placed."""
        self._account.duplicate += counts.duplicates
        self._account.late += counts.strays
        self._ledger.reanchored += counts.reanchored

    def _ns(self, samples: int) -> int:
        return samples * NS_PER_S // self._rate_hz
