"""What one peer may ask of this process, and what happens beyond it.

Whatever a peer sends is paid for with time of the event loop that everybody's audio goes through.
So everything it can send has a bound: what is over it is left out, counted in an :class:`Excess`,
and told once. docs/signalling.md lists the bounds for those who write clients.

The module does no I/O and reads no clock.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

from ...types import NS_PER_S

logger = logging.getLogger(__name__)

MAX_SDP_BYTES = 65536
"""A description of all browsers' codecs, audio and video, takes 8 kB."""
MAX_SECTIONS = 32
"""Sections of a description that are read at all; each that is not answered is refused in it."""
MAX_SECTION_LINES = 256
"""Lines of a section without its candidates; Chromium's longest (video) have 150."""
MAX_LINE_BYTES = 1024
MAX_CANDIDATES = 64
"""Of one call, in the description and after it. A machine with ten addresses has thirty."""
MAX_CANDIDATE_BYTES = 512
MAX_OFFERS = 5
"""Offers that may come at once ..."""
OFFERS_A_SECOND = 0.5
"""... and in the long run. A call that fails again and again is offered every four seconds."""
MAX_DATAGRAM_BYTES = 2048
"""Nothing in WebRTC is longer than an Ethernet frame."""


@dataclass(frozen=True)
class MediaBounds:
    """What may come over one call, which is one transport.

    The defaults fit one participant who speaks. A call with a server that forwards everybody's
    audio needs more.

    Attributes:
        tracks: Audio sections that are answered.
        ssrcs: Streams of one track, over the call's whole life.
        datagrams: That may come at once ...
        datagrams_a_second: ... and in the long run: four tracks of 10 ms packets.
        rtcp_bytes_a_second: Of RTCP. A stream sends one or two reports of 100 bytes, and a NACK of
            16 with each loss; what it costs to read goes with the bytes.
        resends_a_second: Packets that are sent again because the peer asks for it.
    """

    tracks: int = 4
    ssrcs: int = 16
    datagrams: int = 1500
    datagrams_a_second: float = 400.0
    rtcp_bytes_a_second: float = 4000.0
    resends_a_second: float = 60.0


class TokenBucket:
    """Lets through so much at once, and so much a second.

    Args:
        most: Tokens that a bucket holds which nobody took from for long; it begins full.
        a_second: How many come back.
    """

    def __init__(self, most: float, a_second: float) -> None:
        self._most = most
        self._a_second = a_second
        self._tokens = most
        self._at_ns: int | None = None

    def take(self, now_ns: int, tokens: float = 1.0) -> bool:
        """Whether so much may pass now. Times are nanoseconds on any monotonic clock."""
        self._fill(now_ns)
        left = self._tokens - tokens
        if left < 0:
            return False
        self._tokens = left
        return True

    def wait_ns(self, now_ns: int) -> int:
        """How long it takes until one may pass."""
        self._fill(now_ns)
        return max(0, round((1.0 - self._tokens) / self._a_second * NS_PER_S))

    def _fill(self, now_ns: int) -> None:
        if self._at_ns is not None:
            gained = (now_ns - self._at_ns) / NS_PER_S * self._a_second
            self._tokens = min(self._most, self._tokens + gained)
        self._at_ns = now_ns


class Excess:
    """What one peer sent beyond its bounds: counted, and of each kind told once.

    Args:
        name: Who, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.counts: Counter[str] = Counter()

    def add(self, what: str, number: int = 1) -> None:
        """Count what was left out; ``what`` is in the plural, with its bound."""
        if what not in self.counts:
            logger.warning("left out of what %r sends, and only counted: %s", self._name, what)
        self.counts[what] += number
