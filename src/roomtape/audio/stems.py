"""A stem for each source beside the mix: what it said, alone, on the same clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .arrays import Samples
from .encoder import Encoder
from .mixer import Bus, Mixer
from .outputs import Output, everybody
from .source_track import SourceTrack


class Stem:
    """One source's output. Sample 0 is that of the recording.

    Attributes:
        source: Whose.
        output: What it gives; it is over when the source has left and all of it was mixed.
        silent_units: So many units of silence stand before its first one.
    """

    def __init__(self, source: SourceTrack, output: Output, bus: Bus, silent_units: int) -> None:
        self.source = source
        self.output = output
        self.bus = bus
        self.silent_units = silent_units


class Stems:
    """Makes them, and rounds them together. All on the mixing thread.

    Args:
        mixer: Of the recording.
        like: The recording's own bus: a stem has its rate and its head.
        make_encoder: An encoder of one channel.
        most: Later sources have none.
    """

    def __init__(
        self, mixer: Mixer, like: Bus, make_encoder: Callable[[], Encoder], *, most: int
    ) -> None:
        self._mixer = mixer
        self._like = like
        self._make_encoder = make_encoder
        self._most = most
        self._made = 0
        self.going: list[Stem] = []
        self.begun: list[Stem] = []
        """Those that are new, until somebody takes them out."""
        self.full = False
        """Whether somebody has none, since there are so many."""

    def begin(self, source: SourceTrack) -> Stem | None:
        """The stem of a source that has come in; None once there are too many."""
        if self._made == self._most:
            self.full = True
            return None
        self._made += 1
        encoder = self._make_encoder()
        head, unit = self._like.head, encoder.unit_samples
        # It begins with a whole unit: in AAC, one before the first sound, for a decoder needs it.
        silent_units = max(0, head // unit - 1)
        bus = self._mixer.add_bus(self._like.rate_hz, head)
        output = Output(encoder, [(bus, everybody)])
        output.feed({bus: np.zeros(head - silent_units * unit, np.float32)})
        stem = Stem(source, output, bus, silent_units)
        self.going.append(stem)
        self.begun.append(stem)
        return stem

    def end_those_over(self, in_room: Callable[[SourceTrack], bool]) -> list[Stem]:
        """End and give those whose source has left, when all of it was mixed."""
        over = [
            stem
            for stem in self.going
            if not in_room(stem.source) and self._mixer.remove_bus(stem.bus)
        ]
        for stem in over:
            self.going.remove(stem)
            stem.output.flush()
        return over

    def feed(self, mixed: dict[Bus, Samples]) -> None:
        """Take what their buses gave in a mix."""
        round_together([mixed[stem.bus] for stem in self.going])
        for stem in self.going:
            stem.output.feed(mixed)

    def flush(self) -> None:
        """Nothing more will be mixed."""
        for stem in self.going:
            stem.output.flush()
        self.going.clear()


def round_together(parts: Sequence[Samples]) -> None:
    """Round to whole numbers, in place, so that the sum is rounded only once.

    What rounding takes from one, the next one gets. So each is off by less than one, and the sum
    by no more than a half, however many there are. Whole numbers stay as they are, and so does
    silence.
    """
    carried: Samples | float = 0.0
    for part in parts:
        exact = part + carried
        part[:] = np.rint(exact)
        carried = exact - part
