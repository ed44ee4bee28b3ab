"""Sums voices of any rates into one signal.

Voices of one rate are summed first, sample by sample, and resampled once. So the cost grows with
the number of rates, not of voices, and a voice at the recording's own rate is never resampled:
alone and below full scale, it comes out as it went in.

Positions are samples from the start of the recording: sample ``n`` at rate ``R`` is at ``n / R``
seconds at every rate. A resampler begins on a whole second, where the grids of all rates meet.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import soxr

from .arrays import Samples

LEAD_S = 0.02
"""A rate that is resampled is read this far ahead of the mix head, for the resampler's filter."""

_TAIL_S = 0.5
"""For so long a rate is mixed after its last voice: far longer than the resampler's filter."""

_QUALITY = "HQ"  # 20 bit: 120 dB, far below the 16 bits of the file


class Voice(Protocol):
    """Something that can be mixed."""

    @property
    def rate_hz(self) -> int: ...

    @property
    def done(self) -> bool:
        """Nothing but silence will follow."""
        ...

    def add_to(self, total: Samples, stop: int) -> None:
        """Add the samples from the last ``stop`` to this one to ``total``, which is so long."""
        ...


class Mixer:
    """Reads every voice once, in order, and gives their sum.

    Args:
        rate_hz: The rate of the sum.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.head = 0
        """The next sample that :meth:`mix` will give."""
        self._groups: dict[int, _Group] = {}

    def head_at(self, rate_hz: int) -> int:
        """Where a new voice of this rate will first be read."""
        group = self._groups.get(rate_hz)
        if group is not None:
            return group.head
        if rate_hz == self.rate_hz:
            return self.head
        return -(-self.head * rate_hz // self.rate_hz)

    def add(self, voice: Voice) -> None:
        """Mix ``voice`` from :meth:`head_at` its rate on, until it is done."""
        group = self._groups.get(voice.rate_hz)
        if group is None:
            head = self.head_at(voice.rate_hz)
            group = (
                _Group(voice.rate_hz, head)
                if voice.rate_hz == self.rate_hz
                else _ResampledGroup(voice.rate_hz, head, self.rate_hz, self.head)
            )
            self._groups[voice.rate_hz] = group
        group.voices.append(voice)

    def close(self) -> None:
        """Let go of every voice and resampler."""
        self._groups.clear()

    def mix(self, count: int) -> Samples:
        """The next ``count`` samples, float32 in units of int16; the sum may exceed full scale."""
        blocks: list[Samples] = []
        for rate_hz, group in tuple(self._groups.items()):
            blocks.append(group.next(count))
            group.voices = [voice for voice in group.voices if not voice.done]
            if group.over:
                del self._groups[rate_hz]
        self.head += count
        total = blocks[0] if blocks else np.zeros(count, np.float32)
        for block in blocks[1:]:
            total += block
        return total


class _Group:
    """The voices that are at the recording's own rate."""

    def __init__(self, rate_hz: int, head: int) -> None:
        self.rate_hz = rate_hz
        self.head = head
        self.voices: list[Voice] = []

        self._voiceless = 0  # samples since the last voice

    @property
    def over(self) -> bool:
        """No voice is left, nor what a resampler makes of the last one."""
        return self._voiceless > _TAIL_S * self.rate_hz

    def next(self, count: int) -> Samples:
        """The next samples of the sum, at the recording's rate; the caller's to change."""
        return self._sum(count)

    def _sum(self, count: int) -> Samples:
        total = np.zeros(count, np.float32)
        self.head += count
        self._voiceless = 0 if self.voices else self._voiceless + count
        for voice in self.voices:
            voice.add_to(total, self.head)
        return total


class _ResampledGroup(_Group):
    """The voices of one other rate."""

    def __init__(self, rate_hz: int, head: int, out_rate_hz: int, out_head: int) -> None:
        super().__init__(rate_hz, head)
        self._out_rate_hz = out_rate_hz
        self._stream = soxr.ResampleStream(
            rate_hz, out_rate_hz, 1, dtype="float32", quality=_QUALITY
        )
        second = min(head // rate_hz, out_head // out_rate_hz)
        # Before the head this group had nothing to say; the filter starts from that silence.
        self._ready = self._stream.resample_chunk(np.zeros(head - second * rate_hz, np.float32))
        self._surplus = out_head - second * out_rate_hz
        self._out_head = out_head
        self._ahead = 0

    def next(self, count: int) -> Samples:
        wanted = count + self._surplus
        pieces, have = [self._ready], len(self._ready)
        self._out_head += count
        # As far ahead as the filter was found to need, so that every voice is read only once.
        target = -(-self._out_head * self.rate_hz // self._out_rate_hz)
        while have < wanted:
            if self.head >= target + self._ahead:
                self._ahead += round(LEAD_S * self.rate_hz)
            block = self._sum(target + self._ahead - self.head)
            pieces.append(self._stream.resample_chunk(block))
            have += len(pieces[-1])
        ready = np.concatenate(pieces)
        use, self._ready = ready[self._surplus : wanted], ready[wanted:]
        self._surplus = 0
        return use
