"""Puts the RTP packets of one stream in order and unwraps their numbers (RFC 3550).

A jitter buffer for playing delays everything, so that most of what is late still comes in
time. A recorder has time, and only minds the order: so packets pass at once as long as none is
missing. When one is, those after it wait for it: :data:`MAX_WAIT_NS`, or :data:`MAX_ASKED_WAIT_NS`
where it can be asked for again (:mod:`.retransmission`), and then go on. What comes later still is
passed on out of order. Nothing that arrived is ever thrown away, except duplicates.

The module does no I/O and reads no clock. Call :meth:`JitterBuffer.push` with every packet,
and :meth:`JitterBuffer.expire` when :attr:`JitterBuffer.deadline_ns` has come; each returns what
may pass. Then ask for what :meth:`JitterBuffer.requests` names.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from .retransmission import Requests

MAX_WAIT_NS = 100_000_000
"""Reordering on the internet stays within tens of milliseconds."""
MAX_ASKED_WAIT_NS = 320_000_000
"""The mix runs half a second behind the clock; this leaves 0.18 s of jitter. It is three round
trips on most paths."""
PACKET_NS = 20_000_000
"""What most packets hold: of several missing in a row, the first is so much older than the next."""
MAX_HELD = 128
"""Packets that wait, whatever the clock says."""
MAX_LATE = 1000
"""How far back a packet may lie, in packets; 20 s of speech."""
MAX_AHEAD = 3000
"""How far a stream may jump ahead by loss, in packets; a minute of speech. Beyond these two,
the sender has begun a new numbering."""
_FIRST_SWAPPED = 5
"""The first packets may come out of order as well."""

T = TypeVar("T")


class Ordered(NamedTuple, Generic[T]):
    """A packet that may pass.

    Attributes:
        content: As it was pushed.
        pts: Its timestamp, unwrapped to a number that never jumps by 2**32.
        contiguous: The packet sent just before this one has passed just before it.
        after_loss: The packet sent just before this one is given up.
        resent: It had been missing, was asked for, and came.
    """

    content: T
    pts: int
    contiguous: bool
    after_loss: bool = False
    resent: bool = False


class _Held(NamedTuple, Generic[T]):
    timestamp: int
    content: T
    arrived_ns: int
    resent: bool


class JitterBuffer(Generic[T]):
    """The order of one stream (one SSRC).

    Args:
        asks: The sender answers NACKs.

    Attributes:
        late: How many packets were passed on out of order.
        duplicates: How many were dropped because they had come before.
        restarts: How often the sender began a new numbering.
    """

    def __init__(self, *, asks: bool = False) -> None:
        self.late = 0
        self.duplicates = 0
        self.restarts = 0
        self._wait_ns = MAX_ASKED_WAIT_NS if asks else MAX_WAIT_NS
        self._next: int | None = None
        """The unwrapped sequence number that is due ..."""
        self._top = 0
        """... and the one behind the highest that has come."""
        self._highest_pts = 0
        self._held: dict[int, _Held[T]] = {}
        self._waited_for = Requests(asks=asks)
        self._given_up: set[int] = set()
        self._deadline_ns: int | None = None

    @property
    def deadline_ns(self) -> int | None:
        """When to call :meth:`expire`; None while nothing is held."""
        return self._deadline_ns

    def push(self, sequence: int, timestamp: int, content: T, now_ns: int) -> list[Ordered[T]]:
        """Take in a packet.

        Args:
            sequence: The 16-bit sequence number.
            timestamp: The 32-bit RTP timestamp.
            content: Whatever shall come out again.
            now_ns: The time, on any monotonic clock.

        Returns:
            The packets that may pass now, in order.
        """
        if self._next is None:
            self._begin(sequence)
            self._highest_pts = timestamp
            assert self._next is not None
        ahead = _signed(sequence - self._next, 16)
        number = self._next + ahead
        if ahead == 0 and not self._held:
            # The usual case, and the only one that has to be fast.
            self._next = self._top = number + 1
            return [Ordered(content, self._unwrap(timestamp), True)]
        if not -MAX_LATE <= ahead <= MAX_AHEAD:
            return self._restart(sequence, timestamp, content)
        if ahead < 0:
            return self._pass_late(number, timestamp, content)
        if number in self._held:
            self.duplicates += 1
            return []
        resent = False
        if number >= self._top:
            self._miss(number, now_ns)
        else:
            resent = self._waited_for.arrived(number, now_ns)
        self._held[number] = _Held(timestamp, content, now_ns, resent)
        return self._pass_what_may(now_ns)

    def expire(self, now_ns: int) -> list[Ordered[T]]:
        """Give up on what is missing for too long.

        Returns:
            The packets that waited for it.
        """
        return self._pass_what_may(now_ns)

    def requests(self, now_ns: int) -> list[int]:
        """The 16-bit sequence numbers to ask for now."""
        numbers = self._waited_for.due(now_ns)
        self._set_deadline()
        return [number % 65536 for number in numbers]

    def flush(self) -> list[Ordered[T]]:
        """Let everything pass: the stream has ended."""
        self._waited_for.clear()
        return self._pass_what_may(0)

    def _begin(self, sequence: int) -> None:
        self._next = self._top = sequence
        self._waited_for.clear()
        self._given_up = set(range(sequence - _FIRST_SWAPPED, sequence))

    def _miss(self, number: int, now_ns: int) -> None:
        """``number`` has come, and those between it and the one before have not."""
        for missing in range(self._top, number):
            give_up_ns = now_ns + self._wait_ns - (number - 1 - missing) * PACKET_NS
            if give_up_ns > now_ns:
                self._waited_for.add(missing, now_ns=now_ns, give_up_ns=give_up_ns)
        self._top = number + 1

    def _pass_what_may(self, now_ns: int) -> list[Ordered[T]]:
        passed: list[Ordered[T]] = []
        after_loss = False
        while self._held and self._next is not None:
            held = self._held.pop(self._next, None)
            if held is None:
                # Nothing passes before all that is missing here has come or is given up.
                first = min(self._held)
                give_up_ns = self._waited_for.give_up_ns(first - 1)
                if give_up_ns is not None and give_up_ns > now_ns and len(self._held) < MAX_HELD:
                    break
                self._give_up(range(self._next, first))
                self._next = first
                after_loss = True
                continue
            pts = self._unwrap(held.timestamp)
            passed.append(Ordered(held.content, pts, not after_loss, after_loss, held.resent))
            after_loss = False
            self._next += 1
        self._set_deadline()
        return passed

    def _give_up(self, numbers: range) -> None:
        for number in numbers:
            self._waited_for.forget(number)
        self._given_up.update(numbers)
        if len(self._given_up) > 2 * MAX_LATE:
            oldest = numbers.stop - MAX_LATE
            self._given_up = {number for number in self._given_up if number >= oldest}

    def _set_deadline(self) -> None:
        self._deadline_ns = None
        if self._held:
            give_up_ns = self._waited_for.give_up_ns(min(self._held) - 1)
            times_ns = [each for each in (give_up_ns, self._waited_for.next_ns) if each is not None]
            self._deadline_ns = min(times_ns, default=None)

    def _pass_late(self, number: int, timestamp: int, content: T) -> list[Ordered[T]]:
        if number not in self._given_up:
            self.duplicates += 1
            return []
        self._given_up.discard(number)
        self.late += 1
        return [Ordered(content, self._unwrap(timestamp), False)]

    def _restart(self, sequence: int, timestamp: int, content: T) -> list[Ordered[T]]:
        passed = self.flush()
        self.restarts += 1
        self._begin(sequence)
        self._next = self._top = sequence + 1
        return [*passed, Ordered(content, self._unwrap(timestamp), False)]

    def _unwrap(self, timestamp: int) -> int:
        pts = self._highest_pts + _signed(timestamp - self._highest_pts, 32)
        self._highest_pts = max(self._highest_pts, pts)
        return pts


def _signed(difference: int, bits: int) -> int:
    """A difference of two numbers that wrap, taken the short way round."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
