"""Sums voices of any rates into one signal, or into several.

A *bus* is a sum: of all voices, or of some. The voices of one rate that go to the same buses are
summed first, sample by sample, and resampled once for each rate that a bus has. So the cost grows
with the number of rates, not of voices; each voice is read once, whoever wants it; and a voice at
the rate of its bus is never resampled: alone and below full scale, it comes out as it went in.

Positions are samples from the start of the recording: sample ``n`` at rate ``R`` is at ``n / R``
seconds at every rate. A resampler begins on a whole second, where the grids of all rates meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import soxr

from .arrays import Samples, silence
from .timing.fast_path import add_all

if TYPE_CHECKING:
    from .timing._native import FastPath

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

    @property
    def steady(self) -> FastPath | None:
        """What can be read in its place, with that of others at once; as long as it is there, the
        voice is not done."""
        ...

    def add_to(self, total: Samples, stop: int) -> None:
        """Add the samples from the last ``stop`` to this one to ``total``, which is so long."""
        ...


OnSum = Callable[[Samples], None]


class Bus:
    """One sum of voices, from a sample on. Made by :meth:`Mixer.add_bus`.

    Attributes:
        rate_hz: Its rate.
        head: The next sample that :meth:`Mixer.mix` will give.
        stop: The one up to which it is being mixed.
        on_sum: Who is given its sums, if they are not returned.
    """

    def __init__(self, rate_hz: int, head: int = 0, on_sum: OnSum | None = None) -> None:
        self.rate_hz = rate_hz
        self.head = self.stop = head
        self.on_sum = on_sum


Buses = tuple[Bus, ...]
VoiceFailed = Callable[[Voice, Exception], None]


class Mixer:
    """Reads every voice once, in order, and gives the sums.

    Args:
        on_voice_failed: Told of a voice that raises, and is mixed no more; the others are as if it
            had been silent. None lets the error through.
    """

    def __init__(self, on_voice_failed: VoiceFailed | None = None) -> None:
        self._on_voice_failed = on_voice_failed
        self._buses: list[Bus] = []
        self._groups: dict[tuple[int, Buses], _Group] = {}
        self._at_once: dict[Bus, OnSum] | None = None  # None where it must be looked at anew

    def add_bus(self, rate_hz: int, head: int = 0, on_sum: OnSum | None = None) -> Bus:
        """One more sum, at ``rate_hz``, whose first sample is ``head``.

        Args:
            rate_hz, head: Its rate, and the next sample that it gives.
            on_sum: Given what there is with each :meth:`mix`, which does not return it then. The
                array must not be changed, or kept.
        """
        bus = Bus(rate_hz, head, on_sum)
        self._buses.append(bus)
        self._at_once = None
        return bus

    def remove_bus(self, bus: Bus) -> bool:
        """Give it up; False, and it stays, as long as anything of a voice is to come."""
        if any(bus in buses for _, buses in self._groups):
            return False
        self._buses.remove(bus)
        self._at_once = None
        return True

    def head_at(self, rate_hz: int, buses: Buses) -> int:
        """Where a new voice of this rate, for these buses, will first be read."""
        group = self._groups.get((rate_hz, buses))
        if group is not None:
            return group.head
        return max(-(-bus.head * rate_hz // bus.rate_hz) for bus in buses)

    def add(self, voice: Voice, buses: Buses) -> None:
        """Mix ``voice`` into ``buses``, from :meth:`head_at` its rate on, until it is done."""
        key = (voice.rate_hz, buses)
        group = self._groups.get(key)
        if group is None:
            head = self.head_at(voice.rate_hz, buses)
            group = self._groups[key] = _Group(voice.rate_hz, head, buses, self._on_voice_failed)
            self._at_once = None
        group.voices.append(voice)

    def close(self) -> None:
        """Let go of every voice and resampler."""
        self._groups.clear()
        self._at_once = None

    def mix(self, counts: Sequence[int]) -> list[Samples]:
        """The next samples of every bus.

        Args:
            counts: How many of each, in the order in which the buses were added. They should be
                stretches of the same time.

        Returns:
            Of each bus that has no ``on_sum``, in their order: float32, shape ``(count,)``, in
            units of int16; the sum may exceed full scale. Two buses may share an array: nobody
            changes it.
        """
        for bus, count in zip(self._buses, counts, strict=True):
            bus.stop = bus.head + count
        if self._at_once is None:
            self._at_once = self._of_one_group()
        at_once = self._at_once
        sums = {bus: _Sum() for bus in self._buses if bus not in at_once}
        for key, group in tuple(self._groups.items()):
            for bus, samples in group.next():
                on_sum = at_once.get(bus)
                if on_sum is not None:
                    on_sum(samples)
                else:
                    sums[bus].add(samples)
            if not group.voices and group.over:
                del self._groups[key]
                self._at_once = None
        for bus in at_once:
            bus.head = bus.stop
        totals: list[Samples] = []
        for bus, summed in sums.items():
            count, bus.head = bus.stop - bus.head, bus.stop
            total = summed.total
            if total is None:
                total = silence(count)
            if bus.on_sum is None:
                totals.append(total)
            elif count:
                bus.on_sum(total)
        return totals

    def _of_one_group(self) -> dict[Bus, OnSum]:
        """Whose sum is all that one group gives: it is told before the next group is read, so that
        dozens of sums need no more memory, and no more of a core's cache, than one."""
        found: dict[Bus, OnSum | None] = {}
        for _, buses in self._groups:
            for bus in buses:
                if bus.on_sum is not None:
                    found[bus] = None if bus in found else bus.on_sum
        return {bus: on_sum for bus, on_sum in found.items() if on_sum is not None}


class _Sum:
    """Adds up what may be somebody else's array, too."""

    def __init__(self) -> None:
        self.total: Samples | None = None
        self._ours = False

    def add(self, samples: Samples) -> None:
        if self.total is None:
            self.total = samples
        elif self._ours:
            self.total += samples
        else:
            self.total, self._ours = self.total + samples, True


class _Group:
    """The voices of one rate that go to the same buses."""

    def __init__(
        self, rate_hz: int, head: int, buses: Buses, on_voice_failed: VoiceFailed | None
    ) -> None:
        self.rate_hz = rate_hz
        self.head = head
        self.voices: list[Voice] = []
        self._on_voice_failed = on_voice_failed
        self._voiceless = 0  # samples since the last voice
        # One way out for each rate, shared by the buses that have it.
        self._ways: list[tuple[_Straight | _Resampled, list[Bus]]] = []
        for out_rate_hz in dict.fromkeys(bus.rate_hz for bus in buses):
            sharing = [bus for bus in buses if bus.rate_hz == out_rate_hz]
            self._ways.append((_way(rate_hz, head, sharing[0]), sharing))
        self._buses = buses
        # What is read is what is given, each time: nearly all voices that have a stem are so.
        self._direct = all(bus.rate_hz == rate_hz and bus.head == head for bus in buses)

    @property
    def over(self) -> bool:
        """No voice is left, nor what a resampler makes of the last one."""
        return self._voiceless > _TAIL_S * self.rate_hz

    def next(self) -> list[tuple[Bus, Samples]]:
        """The next samples for the buses of this group, up to where each is being mixed."""
        if self._direct:
            stop = self._buses[0].stop
            if stop == self.head:
                return []
            samples = self._read(stop)
            return [(bus, samples) for bus in self._buses]
        given: list[tuple[Bus, Samples]] = []
        for way, buses in self._ways:
            stop = buses[0].stop
            if stop == buses[0].head:
                continue
            while (wanted := way.wanted(stop)) is not None:
                self._feed(self._read(wanted))
            samples = way.take(stop)
            given += [(bus, samples) for bus in buses]
        return given

    def _read(self, stop: int) -> Samples:
        """The sum of every voice up to ``stop``."""
        count = stop - self.head
        total = np.zeros(count, np.float32)
        self.head = stop
        self._voiceless = 0 if self.voices else self._voiceless + count
        done = False
        for voice in self.voices if len(self.voices) == 1 else self._unsteady(total, stop):
            try:
                voice.add_to(total, stop)
                done |= voice.done
            except Exception as error:
                if self._on_voice_failed is None:
                    raise
                self.voices = [each for each in self.voices if each is not voice]
                self._on_voice_failed(voice, error)
        if done:
            self.voices = [voice for voice in self.voices if not voice.done]
        return total

    def _unsteady(self, total: Samples, stop: int) -> list[Voice]:
        """Read all that can be read at once, and give the others."""
        voices = self.voices
        left = add_all([voice.steady for voice in voices], total, stop)
        return [voices[index] for index in left]

    def _feed(self, total: Samples) -> None:
        """Give it to everybody."""
        for way, _ in self._ways[1:]:
            way.feed(total.copy())
        self._ways[0][0].feed(total)


class _Straight:
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


class _Resampled:
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
        """As :meth:`_Straight.wanted`: as far ahead as the filter was found to need, so that every
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


def _way(rate_hz: int, head: int, bus: Bus) -> _Straight | _Resampled:
    if bus.rate_hz == rate_hz:
        return _Straight(head, bus.head)
    return _Resampled(rate_hz, head, bus.rate_hz, bus.head)
