"""From the rate of some voices to that of a bus."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr

from ..arrays import Samples

LEAD_S = 0.02
"""A rate that is resampled is read this far ahead of the mix head, for the resampler's filter."""

_QUALITY = "HQ"  # 20 bit: 120 dB, far below the 16 bits of the file


class Straight:
    """To buses at the group's own rate: as it is."""

    def __init__(self, head: int, out_head: int) -> None:
        # Another bus can be further: what this one gives until then is silence.
        self._ready = [np.zeros(head - out_head, np.float32)] if head > out_head else []
        self._head, self._end = out_head, head

    def wanted(self, stop: int) -> int | None:
        """Up to where the voices must be read for ``stop``; None if that was done."""
        return stop if stop > self._end else None

    def feed(self, block: Samples) -> None:
        self._ready.append(block)
        self._end += len(block)

    def take(self, stop: int) -> Samples:
        """What was fed, up to ``stop``."""
        count, self._head = stop - self._head, stop
        ready = self._ready[0] if len(self._ready) == 1 else np.concatenate(self._ready)
        self._ready = [ready[count:]] if len(ready) > count else []
        return ready[:count]


class Resampled:
    """To buses at another rate."""

    def __init__(self, rate_hz: int, head: int, out_rate_hz: int, out_head: int) -> None:
        self._rate_hz = rate_hz
        self._out_rate_hz = out_rate_hz
        self._stream = soxr.ResampleStream(
            rate_hz, out_rate_hz, 1, dtype="float32", quality=_QUALITY
        )
        second = min(head // rate_hz, out_head // out_rate_hz)
        # Before the head this group had nothing to say; the filter starts from that silence.
        ready = self._stream.resample_chunk(np.zeros(head - second * rate_hz, np.float32))
        self._ready = [ready]
        self._have = len(ready)
        self._surplus = out_head - second * out_rate_hz
        self._in_head = head
        self._out_head = out_head
        self._ahead = 0

    def wanted(self, stop: int) -> int | None:
        """As :meth:`Straight.wanted`: as far ahead as the filter was found to need, so that every
        voice is read only once a mix."""
        if self._have >= stop - self._out_head + self._surplus:
            return None
        target = -(-stop * self._rate_hz // self._out_rate_hz)
        while self._in_head >= target + self._ahead:
            self._ahead += round(LEAD_S * self._rate_hz)
        return target + self._ahead

    def feed(self, block: Samples) -> None:
        self._in_head += len(block)
        self._ready.append(self._stream.resample_chunk(block))
        self._have += len(self._ready[-1])

    def take(self, stop: int) -> Samples:
        ready = np.concatenate(self._ready)
        start, end = self._surplus, self._surplus + stop - self._out_head
        self._ready = [ready[end:]]
        self._have = len(ready) - end
        self._surplus, self._out_head = 0, stop
        return ready[start:end]


WayOut = Callable[[int, int, int, int], Straight | Resampled]
"""See :func:`way_out`."""


def way_out(rate_hz: int, head: int, bus_rate_hz: int, bus_head: int) -> Straight | Resampled:
    if bus_rate_hz == rate_hz:
        return Straight(head, bus_head)
    return Resampled(rate_hz, head, bus_rate_hz, bus_head)
