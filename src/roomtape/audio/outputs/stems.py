"""A stem for each source beside the mix: what it said, alone, on the same clock.

Stems are rounded together: what rounding takes from one, the next one gets. So each is off by less
than one, and their sum by a half, however many there are. What is whole already (a voice at the
rate of the recording) stays as it is, and so does silence.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...types import Pcm
from ..arrays import Samples, round_off, within_full_scale
from ..discretion.pauses import Pauses, without_cuts
from ..encoder import StemEncoder
from ..limiter import Limiter
from ..mixing.mixer import Bus, Mixer
from ..source_track import SourceTrack


class Stem:
    """One source's file in the making. Made by :class:`Stems`; its bus feeds it, and :meth:`encode`
    may come at any time between two mixes.

    Attributes:
        source: Whose.
        encoder: Of one channel.
        silent_units: So many units of silence stand before its first one.
        over: The source has left, and all of it was mixed.
    """

    def __init__(self, source: SourceTrack, head: int, encoder: StemEncoder, rate_hz: int) -> None:
        self.source = source
        self.encoder = encoder
        self._rate_hz = rate_hz
        unit = encoder.unit_samples
        # It begins with a whole unit: in AAC, one before the first sound, for a decoder needs it.
        self.silent_units = max(0, head // unit - 1)
        self.over = False
        self._finished = False
        self._limiter: Limiter | None = None  # as long as nothing was too loud
        self._ready: list[Pcm] = []
        self._filling = np.zeros(rate_hz, np.int16)
        self._filled = head - self.silent_units * unit

    def feed(self, samples: Samples, carried: Samples) -> None:
        """Take what its bus gave in a mix, and what the stem before left of its own."""
        if not len(samples):
            return  # all of it was cut out
        if self._limiter is None and within_full_scale(samples):
            round_off(self._room_for(len(samples)), samples, carried)
            return
        self._limiter = self._limiter or Limiter(self._rate_hz)
        self._keep_limited(self._limiter.process(samples))

    def end(self) -> None:
        """Nothing more will be mixed."""
        if self._limiter is not None:
            self._keep_limited(self._limiter.flush())
        self.over = True

    def encode(self) -> list[bytes | memoryview]:
        """Give what is complete; once it is over, all that is left.

        It comes about a second at once: five times as many writes, to dozens of files, would cost
        twice as much.
        """
        ready, self._ready = self._ready, []
        if self.over and self._filled:
            ready.append(self._filling[: self._filled])
            self._filled = 0  # it is over: nobody writes into it any more
        units = [unit for pcm in ready for unit in self.encoder.encode(pcm)]
        if self.over and not self._finished:
            self._finished = True
            units += self.encoder.finish()
        return units

    @property
    def limited(self) -> bool:
        """Whether the limiter is at work."""
        return self._limiter is not None

    def room(self, count: int) -> Pcm:
        """The place for so many more samples, at most a second of them; until :meth:`took`."""
        if self._filled + count > len(self._filling):
            self._ready.append(self._filling[: self._filled])
            self._filling, self._filled = np.empty(self._rate_hz, np.int16), 0
        return self._filling[self._filled : self._filled + count]

    def took(self, count: int) -> None:
        """They are there."""
        self._filled += count

    def _room_for(self, count: int) -> Pcm:
        room = self.room(count)
        self.took(count)
        return room

    def _keep_limited(self, limited: Samples) -> None:
        for start in range(0, len(limited), self._rate_hz):
            part = limited[start : start + self._rate_hz]
            self._room_for(len(part))[:] = np.rint(part)


class _Whole:
    """A stem's samples, as they came: nothing is rounded, or too loud."""

    def __init__(self, stem: Stem, uncut: Callable[[], bool]) -> None:
        self._stem = stem
        self._uncut = uncut
        self.took = stem.took

    def room(self, count: int) -> Pcm | None:
        return self._stem.room(count) if not self._stem.limited and self._uncut() else None


class Stems:
    """Makes them, feeds them, and ends them. All on the mixing thread.

    Args:
        mixer: Of the recording.
        like: The recording's own bus: a stem has its rate and its head.
        make_encoder: Makes an encoder of one channel.
        most: So many there are at a time: later sources have none until some are let go of.
        pauses: What of the time is cut out.
    """

    def __init__(
        self,
        mixer: Mixer,
        like: Bus,
        make_encoder: Callable[[], StemEncoder],
        *,
        most: int,
        pauses: Pauses,
    ) -> None:
        self._pauses = pauses
        self._kept: list[slice] | None = None  # of what is mixed next
        self._mixer = mixer
        self._like = like
        self._make_encoder = make_encoder
        self._most = most
        self._made = 0
        self._going: dict[Stem, Bus] = {}
        self._carried = np.zeros(0, np.float32)  # what rounding has taken from stems so far
        self.begun: list[Stem] = []
        """Those that are new, until somebody takes them out."""
        self.full = False
        """Whether somebody has none, since there are so many."""

    def begin(self, source: SourceTrack) -> Bus | None:
        """Make the stem of a source that has come in; None once there are too many.

        Returns:
            Where its audio must go.
        """
        if self._made == self._most:
            self.full = True
            return None
        self._made += 1
        rate_hz, head = self._like.rate_hz, self._like.head
        begins = self._pauses.file_sample(head, rate_hz)
        stem = Stem(source, begins, self._make_encoder(), rate_hz)

        def feed(sums: Samples) -> None:
            stem.feed(without_cuts(sums, self._kept), self._carried)

        whole = _Whole(stem, lambda: self._kept is None)
        bus = self._mixer.add_bus(rate_hz, head, on_sum=feed, whole=whole)
        self._going[stem] = bus
        self.begun.append(stem)
        return bus

    def let_go(self, count: int) -> None:
        """So many of those that are over are no more: there can be as many others."""
        self._made -= count

    def mix_next(self, count: int) -> None:
        """So many samples are mixed next."""
        self._kept = self._pauses.kept(self._like.head, count, self._like.rate_hz)
        self._carried = without_cuts(np.zeros(count, np.float32), self._kept)

    def end_those_over(self, in_room: Callable[[SourceTrack], bool]) -> list[Bus]:
        """End those whose source has left, when all of it was mixed.

        Returns:
            Their buses, which are no more.
        """
        over = {
            stem: bus
            for stem, bus in self._going.items()
            if not in_room(stem.source) and self._mixer.remove_bus(bus)
        }
        for stem in over:
            del self._going[stem]
            stem.end()
        return list(over.values())

    def end(self) -> None:
        """Nothing more will be mixed."""
        for stem in self._going:
            stem.end()
        self._going.clear()
