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

from ...types import Pcm
from ..arrays import Samples, silence
from ..timing.fast_path import add_all

if TYPE_CHECKING:
    from ..timing._native import FastPath
    from .ways import Resampled, Straight, WayOut

_TAIL_S = 0.5
"""For so long a rate is mixed after its last voice: far longer than the resampler's filter."""


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


class Whole(Protocol):
    """Takes the samples of a bus that has one voice, at its own rate, as they are: int16."""

    def room(self, count: int) -> Pcm | None:
        """Where the next ones are to be written to, which may not be done; None if they cannot be
        taken so."""
        ...

    def took(self, count: int) -> None:
        """They were written there."""
        ...


class Bus:
    """One sum of voices, from a sample on. Made by :meth:`Mixer.add_bus`.

    Attributes:
        rate_hz: Its rate.
        head: The next sample that :meth:`Mixer.mix` will give.
        stop: The one up to which it is being mixed.
        on_sum: Who is given its sums, if they are not returned.
        whole: Who is given them in place of that, where there is nothing to be summed.
    """

    def __init__(
        self,
        rate_hz: int,
        head: int = 0,
        on_sum: OnSum | None = None,
        whole: Whole | None = None,
    ) -> None:
        self.rate_hz = rate_hz
        self.head = self.stop = head
        self.on_sum = on_sum
        self.whole = whole


Buses = tuple[Bus, ...]
VoiceFailed = Callable[[Voice, Exception], None]


class Mixer:
    """Reads every voice once, in order, and gives the sums.

    Args:
        on_voice_failed: Told of a voice that raises, and is mixed no more; the others are as if it
            had been silent. None lets the error through.
    """

    def __init__(self, on_voice_failed: VoiceFailed | None = None) -> None:
        # Loaded (soxr) by who makes a mixer, for it must not happen in the middle of a recording.
        from .ways import way_out  # noqa: PLC0415

        self._way_out = way_out
        self._on_voice_failed = on_voice_failed
        self._buses: list[Bus] = []
        self._groups: dict[tuple[int, Buses], _Group] = {}
        self._at_once: dict[Bus, OnSum] | None = None  # None where it must be looked at anew

    def add_bus(
        self,
        rate_hz: int,
        head: int = 0,
        on_sum: OnSum | None = None,
        whole: Whole | None = None,
    ) -> Bus:
        """One more sum, at ``rate_hz``, whose first sample is ``head``.

        Args:
            rate_hz, head: Its rate, and the next sample that it gives.
            on_sum: Given what there is with each :meth:`mix`, which does not return it then. The
                array must not be changed, or kept.
            whole: Given it in place of that, where it can be.
        """
        bus = Bus(rate_hz, head, on_sum, whole)
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
            group = self._groups[key] = _Group(
                voice.rate_hz, head, buses, self._way_out, self._on_voice_failed
            )
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
        read = self._read_whole(sums)
        # What may be whole comes first, accelerated or not: sums of whole numbers are exact.
        for key, group in sorted(self._groups.items(), key=lambda each: not each[1].copies):
            for bus, samples in () if group in read else group.next():
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

    def _read_whole(self, sums: dict[Bus, _Sum]) -> set[_Group]:
        """Read those groups of which one bus is a sum and the other takes what is whole, and
        nothing has to be done but to copy and to add."""
        groups: dict[Bus, list[tuple[_Group, FastPath, Whole, Pcm]]] = {}
        for group in self._groups.values():
            found = group.copied()
            if found is not None:
                bus, path, whole = found
                room = whole.room(bus.stop - bus.head) if bus in sums else None
                if room is not None:
                    groups.setdefault(bus, []).append((group, path, whole, room))
        read: set[_Group] = set()
        for bus, each in groups.items():
            paths: list[FastPath | None] = [path for _, path, _, _ in each]
            total, rooms = sums[bus].own(bus.stop - bus.head), [room for _, _, _, room in each]
            left = {*add_all(paths, total, bus.stop, rooms)}
            for index, (group, _, whole, room) in enumerate(each):
                if index not in left:
                    whole.took(len(room))
                    group.head = bus.stop
                    read.add(group)
        return read

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

    def own(self, count: int) -> Samples:
        """The sum so far, to be added to."""
        if not self._ours or self.total is None:
            before, self.total, self._ours = self.total, np.zeros(count, np.float32), True
            if before is not None:
                self.total += before
        return self.total

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
        self,
        rate_hz: int,
        head: int,
        buses: Buses,
        way_out: WayOut,
        on_voice_failed: VoiceFailed | None,
    ) -> None:
        self.rate_hz = rate_hz
        self.head = head
        self.voices: list[Voice] = []
        self._on_voice_failed = on_voice_failed
        self._voiceless = 0  # samples since the last voice
        # One way out for each rate, shared by the buses that have it.
        self._ways: list[tuple[Straight | Resampled, list[Bus]]] = []
        for out_rate_hz in dict.fromkeys(bus.rate_hz for bus in buses):
            sharing = [bus for bus in buses if bus.rate_hz == out_rate_hz]
            self._ways.append((way_out(rate_hz, head, out_rate_hz, sharing[0].head), sharing))
        self._buses = buses
        # What is read is what is given, each time: nearly all voices that have a stem are so.
        self._direct = all(bus.rate_hz == rate_hz and bus.head == head for bus in buses)
        self.copies = self._direct and len(buses) == 2 and buses[1].whole is not None
        """One bus is a sum, and the other takes what is whole."""

    def copied(self) -> tuple[Bus, FastPath, Whole] | None:
        """The bus that is a sum, the only voice, and who takes what is whole, if that is all there
        is, and the voice is steady."""
        if not self.copies or len(self.voices) != 1 or self._buses[0].stop == self.head:
            return None
        path, whole = self.voices[0].steady, self._buses[1].whole
        return None if path is None or whole is None else (self._buses[0], path, whole)

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
