"""Puts the RTP packets of one stream in order and unwraps their numbers (RFC 3550).

A jitter buffer for playing delays everything, so that most of what is late still comes in
time. A recorder has time, and only minds the order: so packets pass at once as long as none is
missing. When one is, those after it wait for it, :data:`MAX_WAIT_NS` or :data:`MAX_HELD`
packets long, and then go on. What comes later still is passed on out of order. Nothing that
arrived is ever thrown away, except duplicates.

The module does no I/O and reads no clock. Call :meth:`JitterBuffer.push` with every packet,
and :meth:`JitterBuffer.expire` when :attr:`JitterBuffer.deadline_ns` has come; each returns what
may pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_WAIT_NS = 100_000_000
"""Reordering on the internet stays within tens of milliseconds."""
MAX_HELD = 5
"""The same wait in packets of 20 ms."""
MAX_LATE = 1000
"""How far back a packet may lie, in packets; 20 s of speech."""
MAX_AHEAD = 3000
"""How far a stream may jump ahead by loss, in packets; a minute of speech. Beyond these two,
the sender has begun a new numbering."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ordered(Generic[T]):
    """A packet that may pass.

    Attributes:
        content: As it was pushed.
        pts: Its timestamp, unwrapped to a number that never jumps by 2**32.
        contiguous: The packet sent just before this one has passed just before it.
    """

    content: T
    pts: int
    contiguous: bool


class JitterBuffer(Generic[T]):
    """The order of one stream (one SSRC).

    Attributes:
        late: How many packets were passed on out of order.
        duplicates: How many were dropped because they had come before.
        restarts: How often the sender began a new numbering.
    """

    def __init__(self) -> None:
        self.late = 0
        self.duplicates = 0
        self.restarts = 0
        self._next: int | None = None
        """The unwrapped sequence number that is due."""
        self._highest_pts = 0
        self._held: dict[int, tuple[int, T, int]] = {}
        """Timestamp, content and time of arrival."""
        self._missing: set[int] = set()
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
            self._next = number + 1
            return [Ordered(content, self._unwrap(timestamp), True)]
        if not -MAX_LATE <= ahead <= MAX_AHEAD:
            return self._restart(sequence, timestamp, content)
        if ahead < 0:
            return self._pass_late(number, timestamp, content)
        if number in self._held:
            self.duplicates += 1
            return []
        self._held[number] = (timestamp, content, now_ns)
        passed = self._pass_held(self._next)
        if len(self._held) >= MAX_HELD:
            passed += self._skip()
        self._set_deadline()
        return passed

    def expire(self, now_ns: int) -> list[Ordered[T]]:
        """Give up on what is missing for too long.

        Returns:
            The packets that waited for it.
        """
        passed: list[Ordered[T]] = []
        while self._deadline_ns is not None and now_ns >= self._deadline_ns:
            passed += self._skip()
            self._set_deadline()
        return passed

    def flush(self) -> list[Ordered[T]]:
        """Let everything pass: the stream has ended."""
        passed: list[Ordered[T]] = []
        while self._held:
            passed += self._skip()
        self._deadline_ns = None
        return passed

    def _begin(self, sequence: int) -> None:
        self._next = sequence
        # The first packets may come out of order as well.
        self._missing = set(range(sequence - MAX_HELD, sequence))

    def _set_deadline(self) -> None:
        if self._held:
            _, _, arrived_ns = self._held[min(self._held)]
            self._deadline_ns = arrived_ns + MAX_WAIT_NS
        else:
            self._deadline_ns = None

    def _pass_late(self, number: int, timestamp: int, content: T) -> list[Ordered[T]]:
        if number not in self._missing:
            self.duplicates += 1
            return []
        self._missing.discard(number)
        self.late += 1
        return [Ordered(content, self._unwrap(timestamp), False)]

    def _skip(self) -> list[Ordered[T]]:
        assert self._next is not None
        first = min(self._held)
        self._missing.update(range(self._next, first))
        self._missing = {number for number in self._missing if number >= first - MAX_LATE}
        return self._pass_held(first)

    def _pass_held(self, number: int) -> list[Ordered[T]]:
        """Pass what is held from ``number`` on, as far as nothing is missing."""
        passed: list[Ordered[T]] = []
        while number in self._held:
            timestamp, content, _ = self._held.pop(number)
            contiguous = number == self._next
            passed.append(Ordered(content, self._unwrap(timestamp), contiguous))
            number += 1
            self._next = number
        return passed

    def _restart(self, sequence: int, timestamp: int, content: T) -> list[Ordered[T]]:
        passed = self.flush()
        self.restarts += 1
        self._deadline_ns = None
        self._begin(sequence)
        self._next = sequence + 1
        return [*passed, Ordered(content, self._unwrap(timestamp), False)]

    def _unwrap(self, timestamp: int) -> int:
        pts = self._highest_pts + _signed(timestamp - self._highest_pts, 32)
        self._highest_pts = max(self._highest_pts, pts)
        return pts


def _signed(difference: int, bits: int) -> int:
    """A difference of two numbers that wrap, taken the short way round."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
