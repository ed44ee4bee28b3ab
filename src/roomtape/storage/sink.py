"""What a recording is written to, whichever kind of file it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..types import AudioFormat, Mark

if TYPE_CHECKING:  # they know rings, which know formats
    from .notes.cuts_note import Places
    from .pieces.readers import Reader


@dataclass(frozen=True, slots=True)
class SinkFormat:
    """What will be written.

    Attributes:
        audio_format: WAV or AAC.
        rate_hz: Sample rate.
        unit_samples: Samples a unit (the last one may hold fewer).
        most_unit_bytes: No unit is larger.
        cycle_s: Keep only the last so many seconds; 0 keeps all.
        started_at: The UTC time of the first sample.
        channels: 1 or 2. Samples are counted for each channel: one of both is a frame.
    """

    audio_format: AudioFormat
    rate_hz: int
    unit_samples: int
    most_unit_bytes: int
    cycle_s: int
    started_at: datetime
    channels: int = 1

    @property
    def frame_bytes(self) -> int:
        """Of one sample of all channels, as PCM."""
        return 2 * self.channels

    def samples_in(self, units: int, last_unit_bytes: int) -> int:
        """How many samples ``units`` units hold."""
        if self.audio_format is AudioFormat.AAC or units == 0:
            return units * self.unit_samples
        return (units - 1) * self.unit_samples + last_unit_bytes // self.frame_bytes


class Finished(NamedTuple):
    """A finished file.

    Attributes:
        path: Where it is.
        samples: How many it holds.
        first_sample: Which sample of the recording its first one is (cyclic: not 0).
        file_bytes: Its size.
        moved: What somebody did to its name meanwhile, in words; empty if it is where it should be.
        sha256: Of the whole file, in hex, where it was computed while it was written; else empty.
        aside: Where that is now which stood at its name; None if nothing did.
    """

    path: Path
    samples: int
    first_sample: int
    file_bytes: int
    moved: str = ""
    sha256: str = ""
    aside: Path | None = None


class Sink(Protocol):
    """A file in the making. One thread at a time; every method may block as the disk does.

    A sink is created with everything reserved that it needs, but nothing at the target yet. What
    it writes to is locked (``flock``) as long as its process lives, so that nobody recovers it.
    Then, in this order: :meth:`place` once; :meth:`write` and :meth:`sync` while it lasts; then
    :meth:`finish`, or after an error from any of them :meth:`abandon`.

    What belongs to others is never touched: each name is compared with the file that is open before
    it is removed or told of. :meth:`abandon`, :meth:`discard` and :meth:`let_go` may come at any
    time, and twice; what was closed once stays so.
    """

    path: Path
    """The target."""
    first_sample: int
    """The sample of the recording that comes first in it; not 0 where another sink came before."""
    samples: int
    """The sample of the recording that is written next."""
    aside: Path | None
    """Where that is now which stood at the target, once it was moved aside."""

    def place(self) -> None:
        """Take the target's name, moving an older file aside (a ring does so only at the end)."""
        ...

    def write(self, units: list[bytes]) -> None:
        """Append. After an OSError, :attr:`samples` says how much was written whole."""
        ...

    def note_cuts(self, places: Places) -> None:
        """Have it on the disk, beside it, what was cut out of the recording so far: see
        :mod:`.notes.cuts_note`. It stays when this is finished, until the report is there."""
        ...

    def sync(self) -> None:
        """Have what was written survive a power cut."""
        ...

    def reader(self, first: int, stop: int) -> Reader:
        """Read the samples ``[first, stop)`` of the recording on another thread, as they are
        written and afterwards; from any thread. What a ring has let go of is left out: the reader
        begins later then.

        Raises:
            OSError: There is no descriptor to be had.
        """
        ...

    def finish(self, marks: Sequence[Mark] = ()) -> Finished:
        """Make the file complete, and put it in its place. The marks, on the recording's clock, go
        into a WAV file. A live file that was renamed meanwhile
        is told of at its new name; one that was removed is written again."""
        ...

    def abandon(self) -> Finished:
        """After an error: leave what is there readable, or recoverable. Raises nothing."""
        ...

    def discard(self) -> None:
        """Never mind: remove what was created, and give the target's name back. Only as long as
        nothing was written. Raises nothing."""
        ...

    def let_go(self) -> None:
        """Close the descriptor and do nothing else: for a forked child, whose parent records on."""
        ...
