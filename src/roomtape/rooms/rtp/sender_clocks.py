"""When what is heard was spoken, by what its senders say of their own clocks.

A sender report (RFC 3550, section 6.4.1) names one moment twice: by the sender's wall clock (NTP),
and by the clock that its RTP timestamps count. So each packet has a time of day, and what lies
between that and its arrival is its way here and the difference of two clocks. Where the senders'
clocks agree, the stream with the least of it has the shortest way, and all others have come so much
later than it. No packet tells whether they agree: whoever uses this trusts them.
"""

from __future__ import annotations

from collections import deque

from ...types import NS_PER_S

MOST_NS = NS_PER_S
"""Clocks that disagree by more than the longest way that audio takes are not believed."""
WINDOW_NS = 2 * NS_PER_S
WINDOWS = 5
"""The least of so long is the way without queues."""
SLOWEST = 5
"""The delay changes by a fifth of the time that passes, so that time never runs back."""
_NTP_UNITS = 1 << 32  # in a second


class _Stream:
    def __init__(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self.report: tuple[int, int] | None = None  # the sender's clock (ns), RTP timestamp
        self.least: deque[int] = deque(maxlen=WINDOWS)
        self.window_ends_ns = 0
        self.delay_ns = 0
        self.at_ns: int | None = None

    def heard(self, timestamp: int, clock_hz: int, now_ns: int) -> None:
        assert self.report is not None
        told_ns, told = self.report
        since = (timestamp - told + (1 << 31)) % (1 << 32) - (1 << 31)
        took_ns = now_ns - told_ns - since * NS_PER_S // clock_hz
        if not self.least or now_ns >= self.window_ends_ns:
            self.window_ends_ns = now_ns + WINDOW_NS
            self.least.append(took_ns)
        else:
            self.least[-1] = min(self.least[-1], took_ns)

    def move_to(self, delay_ns: int, now_ns: int) -> None:
        passed_ns = 0 if self.at_ns is None else max(0, now_ns - self.at_ns)
        step_ns = passed_ns // SLOWEST
        self.delay_ns += max(-step_ns, min(step_ns, delay_ns - self.delay_ns))
        self.at_ns = now_ns


class SenderClocks:
    """All streams of one room. Times are those of ``time.monotonic_ns()``."""

    def __init__(self) -> None:
        self._streams: dict[int, _Stream] = {}

    def report(self, ssrc: int, ntp: int, timestamp: int) -> None:
        """A sender report has come.

        Args:
            ssrc: Of which stream.
            ntp: Its NTP timestamp, 64 bits: seconds and their fraction.
            timestamp: The RTP timestamp of the same moment.
        """
        stream = self._streams.setdefault(ssrc, _Stream(ssrc))
        stream.report = (ntp * NS_PER_S // _NTP_UNITS, timestamp)

    def forget(self, ssrc: int) -> None:
        """The stream is over. Any number of times."""
        self._streams.pop(ssrc, None)

    def delay_ns(self, ssrc: int, timestamp: int, clock_hz: int, now_ns: int) -> int:
        """By how much later than by the shortest way in the room a packet comes, which comes now;
        0 while that is not known, or cannot be.

        Args:
            ssrc: Of a stream.
            timestamp: The packet's.
            clock_hz: What that counts, in a second.
            now_ns: Never less than before.
        """
        stream = self._streams.get(ssrc)
        if stream is None or stream.report is None:
            return 0
        stream.heard(timestamp, clock_hz, now_ns)
        stream.move_to(self._longer_than_the_shortest(stream), now_ns)
        return stream.delay_ns

    def _longer_than_the_shortest(self, stream: _Stream) -> int:
        ways = sorted(min(each.least) for each in self._streams.values() if each.least)
        middle = ways[len(ways) // 2]
        believed = [way for way in ways if abs(way - middle) <= MOST_NS]
        own = min(stream.least)
        return own - believed[0] if abs(own - middle) <= MOST_NS else 0
