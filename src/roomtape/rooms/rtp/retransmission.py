"""Asking again for packets that were lost on the way (RTCP NACK, RFC 4585): when, and how often.

A lost packet is asked for when a later one has come and a little reordering is excluded, again
when an answer is overdue by the round trip that answers have taken so far, and no more when no
answer could come in time. There is no RTX (RFC 4588): it comes once more as it was, in the same
stream.

The module does no I/O and reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...types import NS_PER_S

MS_NS = NS_PER_S // 1000
REORDERING_NS = 10 * MS_NS
"""Less than a packet: what is out of order by one is not asked for."""
FIRST_GUESS_NS = 100 * MS_NS
"""Of the round trip, until an answer has come; between two continents."""
_SHORTEST_NS = 20 * MS_NS
_LONGEST_NS = 300 * MS_NS
MAX_ASKS = 5
MAX_MISSING = 64
"""Packets that may be missing at once; more are lost in outages, which no asking can mend."""


@dataclass(slots=True)
class Missing:
    """A packet that has not come.

    Attributes:
        give_up_ns: When it is of no use any more.
        ask_ns: When to ask for it; None: not again.
        asks: How often that was done ...
        asked_ns: ... and when last.
    """

    give_up_ns: int
    ask_ns: int | None
    asks: int = 0
    asked_ns: int = 0


class RoundTrip:
    """How long answers take: the estimator of RFC 6298, with answers that cannot be mistaken."""

    def __init__(self) -> None:
        self._mean_ns: int | None = None
        self._deviation_ns = 0

    @property
    def mean_ns(self) -> int:
        return FIRST_GUESS_NS if self._mean_ns is None else self._mean_ns

    @property
    def overdue_ns(self) -> int:
        """After this time an answer is not to be expected any more."""
        late_ns = max(20 * MS_NS, 4 * self._deviation_ns)
        return min(_LONGEST_NS, max(_SHORTEST_NS, self.mean_ns + late_ns))

    def took(self, duration_ns: int) -> None:
        if self._mean_ns is None:
            self._mean_ns, self._deviation_ns = duration_ns, duration_ns // 4
            return
        error_ns = duration_ns - self._mean_ns
        self._mean_ns += error_ns // 8
        self._deviation_ns += (abs(error_ns) - self._deviation_ns) // 4


class Requests:
    """What is missing in one stream, and when to ask for it.

    Args:
        asks: Whether the other side answers; if it does not, what is missing may still come by
            itself.
    """

    def __init__(self, *, asks: bool) -> None:
        self._asks = asks
        self._missing: dict[int, Missing] = {}
        self.round_trip = RoundTrip()

    def add(self, number: int, *, now_ns: int, give_up_ns: int) -> None:
        """Packet ``number`` was sent and is not there. Numbers only grow."""
        if len(self._missing) >= MAX_MISSING:
            del self._missing[next(iter(self._missing))]
        ask_ns = now_ns + REORDERING_NS if self._asks else None
        self._missing[number] = Missing(give_up_ns, ask_ns)

    def arrived(self, number: int, now_ns: int) -> bool:
        """It has come.

        Returns:
            Whether it had been asked for.
        """
        missing = self._missing.pop(number, None)
        if missing is None or not missing.asks:
            return False
        if missing.asks == 1:  # else nobody knows which one was answered (Karn's rule)
            self.round_trip.took(now_ns - missing.asked_ns)
        return True

    def forget(self, number: int) -> None:
        self._missing.pop(number, None)

    def clear(self) -> None:
        self._missing.clear()

    def give_up_ns(self, number: int) -> int | None:
        """When there is no use in waiting for it any more; None: there is none already."""
        missing = self._missing.get(number)
        return None if missing is None else missing.give_up_ns

    @property
    def next_ns(self) -> int | None:
        """When to ask next."""
        return min(
            (each.ask_ns for each in self._missing.values() if each.ask_ns is not None),
            default=None,
        )

    def due(self, now_ns: int) -> list[int]:
        """What to ask for now, in order."""
        numbers = []
        for number, missing in self._missing.items():
            if missing.ask_ns is None or missing.ask_ns > now_ns:
                continue
            if missing.give_up_ns - now_ns < self.round_trip.mean_ns // 2:
                missing.ask_ns = None
                continue
            numbers.append(number)
            missing.asks += 1
            missing.asked_ns = now_ns
            overdue_ns = self.round_trip.overdue_ns * (3 + missing.asks) // 4
            missing.ask_ns = now_ns + overdue_ns if missing.asks < MAX_ASKS else None
        return numbers
