"""Removing a voice from what a recording holds, and from what is still to be written and saved.

A mix is a sum, and nobody can take one voice out of it. So the stretches in which it was heard
become silence, whoever else spoke then: in each slot of a ring, in all that waits for the disk, and
in every part that is being saved. Of stems, only those of who is forgotten. What is in a live file,
or in a part that is complete, stays, and the answer names it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from ..audio.session import RecordingSession
from ..storage.pieces.stretches import Stretches
from ..storage.sink import SinkFormat
from ..types import NS_PER_S, AudioFormat, Forgotten
from ..types.errors import FileError
from .parts.parts import Parts
from .pump import Pump
from .reservation import in_words
from .saving.saves import Saves
from .writing.disk_writer import DiskWriter

_MARGIN_NS = NS_PER_S // 4
"""A resampler rings so long before and after what it is given, at most (from 8 kHz)."""
_AAC_FRAMES = 2
"""A frame of AAC is heard in the next one, too; and one more, for whatever a decoder smooths."""
_MOST_HANG_S = 60.0


class Forgetting:
    """One voice that is being forgotten: begun where it is made, on the event loop's thread, after
    nothing of it comes in any more; :meth:`done` waits for the disk.

    Args:
        concerns: Whether somebody of a name is to be forgotten.
        session, pump, writer, saves, parts: The recording.
        sink_format: Of it.
    """

    def __init__(
        self,
        concerns: Callable[[str], bool],
        *,
        session: RecordingSession,
        pump: Pump,
        writer: DiskWriter,
        saves: Saves,
        parts: Parts,
        sink_format: SinkFormat,
    ) -> None:
        self._format = sink_format
        self._writer = writer
        self._saves = saves
        self._path = writer.sink.path
        self._concerns = concerns
        # A live file in the making has what the ring had; one that is there already keeps it.
        self._given_up = parts.give_up_promotion("somebody was forgotten meanwhile; try it again")
        sounded = pump.while_still(lambda: session.forget(concerns))
        file_ns = session.pauses.file_ns
        placed = [(file_ns(start_ns), file_ns(end_ns)) for start_ns, end_ns in sounded]
        self._stretches = stretches = stretches_of(placed, sink_format)
        # By name: of very many, the session no longer knows all who left.
        stems = tuple(pump.stem_files.values())
        self._stems = [stem for stem in stems if concerns(stem.participant)]
        for stem in self._stems:
            stem.forget(stretches)
        self._saving = saves.forget(stretches)
        self._not_silenced: list[OSError] = []
        writer.do(self._silence_stems)  # before the recording's own turn, which is waited for
        self._written = writer.silence(stretches)

    async def done(self) -> Forgotten:
        """Wait until all of it is on the disk.

        Raises:
            FileError: It cannot be written, or the disk does not answer: some of it may be there.
            StateError: The recording ended before.
        """
        try:
            async with asyncio.timeout(_MOST_HANG_S):
                forgotten = await asyncio.wrap_future(self._written)
                for tidied in self._given_up:
                    await asyncio.wrap_future(tidied)
            with suppress(TimeoutError):  # a save that hangs is named
                async with asyncio.timeout(_MOST_HANG_S):
                    for saved in self._saving.values():
                        await asyncio.wrap_future(saved)
        except TimeoutError:
            words = f"the disk has not answered for {_MOST_HANG_S:g} s"
            raise FileError(f"{self._path}: not all is forgotten: {words}") from None
        except OSError as error:
            words = in_words(error)
            raise FileError(f"{self._path}: not all is forgotten: {words}") from None
        if self._not_silenced:
            words = in_words(self._not_silenced[0])
            raise FileError(f"{self._path}: not all is forgotten: {words}")
        return Forgotten(forgotten / self._format.rate_hz, self._still_in())

    def _silence_stems(self) -> None:
        """What rings hold of them, on the thread that writes."""
        for stem in self._stems:
            try:
                stem.silence(self._stretches)
            except OSError as error:
                self._not_silenced.append(error)

    def _still_in(self) -> tuple[str, ...]:
        in_time = {path for path, done in self._saving.items() if done.done() and done.result()}
        late = [path for path in self._saving if path not in in_time]
        found = [
            *self._writer.holding(self._stretches),
            *(path for stem in self._stems for path in stem.paths),
            *self._saves.holding(self._stretches, concerns=self._concerns, but=in_time),
            *late,
        ]
        return tuple(dict.fromkeys(map(str, found)))


def stretches_of(sounded: Iterable[tuple[int, int]], sink_format: SinkFormat) -> Stretches:
    """The units in which something of that is which was heard then, in nanoseconds of the file."""
    rate_hz, unit = sink_format.rate_hz, sink_format.unit_samples
    more = _AAC_FRAMES * unit if sink_format.audio_format is AudioFormat.AAC else 0
    return Stretches(
        (
            max(0, ((start_ns - _MARGIN_NS) * rate_hz // NS_PER_S - more) // unit * unit),
            -(-((end_ns + _MARGIN_NS) * rate_hz // NS_PER_S + more) // unit) * unit,
        )
        for start_ns, end_ns in sounded
    )
