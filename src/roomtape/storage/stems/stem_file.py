"""The file of one stem: live, or a ring of the last seconds; and where it goes on in another.

One that begins late begins with silence that nobody writes: a hole in a WAV, the same frame again
and again in AAC. One that ends early is filled up in the same way. What a ring ends as is cut to
the very samples that the recording's file has, so that all of them line up: silence where nothing
of it was there. Where the ring of the recording has moved past somebody who left, nothing of that
stay will be in any file, and the ring goes.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from ...types import AudioFormat, part_path
from ..disk import Disk
from ..live import LiveAdts, LiveFile, LiveWav
from ..pieces.chain import Chain
from ..pieces.readers import Reader
from ..pieces.silence import silenced_pieces
from ..pieces.stretches import Stretches
from ..ring import Ring
from ..sink import Finished, SinkFormat
from .finished_reader import reader_of
from .stem_cut import StemCut

_MOST_NOTED = 1000
_MOST_KEPT_BYTES = 1 << 20
"""By a ring for one who reads and is behind: 10 s of WAV at 48 kHz. There may be dozens of
stems."""

_Units = list[bytes | memoryview]


class StemFile:
    """One stem, file after file where it is cut or promoted. All on the thread that writes.

    Args:
        path: Where it goes; with a number behind it, if there is one.
        participant: Whose.
        silent_units: So many units of silence stand before its first one.
        sink_format, disk: What it is, live or cyclic, and where.
        recording: What it is beside: by this, a recovery knows which rings belong together.
        part: The number of its first file; 0 for none.
        base: The sample that a live file of it begins with.

    Attributes:
        path: Where it is; where somebody renamed it, only the end of the recording tells.
        begins: The sample of the recording before which it is silence that nobody writes.
        forgotten: What is silence from now on, since somebody was forgotten.
        error: Why it was broken off; empty if it was not.
        over: Nothing more of it will come than what has.
    """

    def __init__(
        self,
        path: Path,
        participant: str,
        silent_units: int,
        sink_format: SinkFormat,
        disk: Disk,
        *,
        recording: Path,
        part: int = 0,
        base: int = 0,
    ) -> None:
        self._name = path
        self._format = sink_format
        self._disk = disk
        self._recording = recording
        self._part = part
        self._base = base
        self.path = self._numbered(part)
        self.participant = participant
        self.error = ""
        self.over = False
        self.begins = self._position = silent_units * sink_format.unit_samples
        self.forgotten = Stretches()
        self._sink: LiveFile | Ring | None = None
        self._finished: Finished | None = None  # of a ring
        self._cuts: list[StemCut] = []
        self._held: _Units = []  # what may have to be cut yet, or is less than a unit of a ring
        self._chain: Chain | None = None
        self._earlier = deque[Path](maxlen=_MOST_NOTED)
        self._closed = False

    def write(self, units: Sequence[bytes | memoryview], limit: int | None = None) -> None:
        """Append ``units``, creating the file if it is not there; and going on in the next one
        where it is cut.

        Args:
            units: What comes next.
            limit: The sample up to which a live one may be cut yet: the rest is kept until later.

        Raises:
            OSError: It cannot be written.
        """
        self._held += units
        while self._held and not self._closed:
            until = self._cuts[0].sample if self._cuts else limit
            now, rest = self._whole_units() if self.cyclic else self._up_to(until)
            if now:
                if self.forgotten:
                    now = silenced_pieces(now, self._position, self.forgotten, self._format)
                sink = self._sink or self._opened()
                if isinstance(sink, Ring):
                    sink.write([bytes(each) for each in now])
                else:  # a WAV is not cut between units: one piece is as good as many
                    sink.write([b"".join(now)] if self._wav and len(now) > 1 else now)
                self._position = sink.samples
            self._held = rest  # not before: who reads must find either
            if self._cuts and self._position >= self._cuts[0].sample:
                self._pass(self._cuts.pop(0))
            elif not now or self.cyclic:
                return

    def cut(self, cut: StemCut) -> None:
        """What comes from that sample on goes to the next file."""
        if self._closed:
            cut.leave(self)
        elif self._position >= cut.sample and self._sink is None:
            self._go_on_from(cut)  # it has nothing before
        else:
            cut.waiting.add(self)
            self._cuts.append(cut)

    def pass_cuts(self) -> None:
        """Nothing more of it will come: what there is belongs before the first cut."""
        if self._held and not self._closed:
            return
        if self._cuts and not self._closed:
            self._hand_over(self._cuts[0])
            self._closed = True
        self._leave_cuts()

    def forget(self, stretches: Stretches) -> None:
        """Silence stands in place of these samples, as far as they are still to be written. From
        any thread."""
        self.forgotten |= stretches

    def silence(self, stretches: Stretches) -> None:
        """Put silence into what a ring holds of these samples, and have that on the disk.

        Raises:
            OSError: It cannot be written.
        """
        if isinstance(self._sink, Ring) and not self._closed:
            self._sink.silence(stretches)

    @property
    def cyclic(self) -> bool:
        """Whether only its last seconds are kept, for now."""
        return self._format.cycle_s > 0

    @property
    def name(self) -> str:
        """The file's, without the number of a part."""
        return self._name.name

    @property
    def written(self) -> int:
        """The sample of the recording that is written next."""
        return self._position

    @property
    def closed(self) -> bool:
        """Whether nothing is written to it any more."""
        return self._closed

    @property
    def done(self) -> bool:
        """Whether all of it is written."""
        return self._closed or (self.over and not self._held)

    @property
    def paths(self) -> list[Path]:
        """Where it is, and its latest thousand files before that. Whoever is forgotten is silence
        in a ring, unless that was broken off."""
        here = self.there and (self.error or not self.cyclic)
        return [*self._earlier, *([self.path] if here else [])]

    @property
    def there(self) -> bool:
        """Whether there is a file, or a ring."""
        return self._sink is not None

    def reader(self, first: int, stop: int) -> Reader | None:
        """Read the samples ``[first, stop)`` of it on another thread, as they are written; see
        :meth:`~roomtape.storage.sink.Sink.reader`. None while nothing is written.

        Raises:
            OSError: It cannot be opened.
        """
        if self._finished is not None:  # one that came in the last moment is not read before
            return reader_of(self._finished, first, stop, self._format, self._disk)
        return None if self._chain is None else self._chain.reader(first, stop)

    def ring_reader(self, first: int, stop: int) -> Reader | None:
        """The same of the ring alone; None where there is none. From any thread."""
        sink = self._sink
        return sink.reader(first, stop) if isinstance(sink, Ring) else None

    def sync(self) -> None:
        if self._sink is not None and not self._closed:
            self._sink.sync()

    def gone(self, oldest: int) -> bool:
        """Whether nothing of it is in what a cyclic recording keeps, from this sample on, and never
        will be: then its ring is removed. Raises nothing."""
        if not self.over or self._cuts or self._position > oldest:
            return False
        if self._held and not self._closed:
            return False
        sink, self._sink = self._sink, None
        self._closed = True
        if isinstance(sink, Ring):
            sink.retire()
        return True

    def finish(self, first: int, stop: int) -> str:
        """Complete the file: of a ring, with these samples of the recording, and else up to the
        last of them. Tell what somebody did to its name.

        Raises:
            OSError: It cannot be completed.
        """
        self.over = True
        self.write([])
        if self._closed or (self.cyclic and self.gone(first)):
            return ""
        sink = self._sink or self._opened()
        if isinstance(sink, Ring):
            finished = self._finished = sink.finish_within(first, stop)
        else:
            sink.write_silence(stop - sink.samples)
            finished = sink.finish()
            self.path = finished.path
        self._closed = True
        return finished.moved

    def abandon(self, why: str = "") -> None:
        """Leave it readable, or recoverable. Raises nothing, and may come twice."""
        self.error = self.error or why
        if self._sink is not None and not self._closed:
            with contextlib.suppress(Exception):
                self.path = self._sink.abandon().path
        self._closed = True
        self._leave_cuts()

    def let_go(self) -> None:
        if self._sink is not None:
            self._sink.let_go()

    # -- from live to cyclic, and back -----------------------------------------------------------

    def new_live_file(self, base: int) -> LiveFile:
        """One that begins with a sample of the recording, not placed, and the caller's.

        Raises:
            OSError: It cannot be created. Nothing is left behind.
        """
        live = LiveWav if self._wav else LiveAdts
        sink_format = dataclasses.replace(self._format, cycle_s=0)
        return live(self.path, sink_format, self._disk, first_sample=base)

    def new_ring(self, cycle_s: int, recording: Path, part: int) -> Ring:
        """One of so many seconds beside a recording, in which nothing is yet; the caller's.

        Raises:
            OSError, FileError: It cannot be created. Nothing is left behind.
        """
        return Ring(
            self._numbered(part),
            dataclasses.replace(self._format, cycle_s=cycle_s),
            self._disk,
            recording=recording,
            most_kept_bytes=_MOST_KEPT_BYTES,
        )

    def go_live(self, file: LiveFile | None, base: int, recording: Path) -> None:
        """Go on in a live file, which begins with this sample and has all that the ring does; its
        ring is removed. Raises nothing.

        Args:
            file: Placed, and the stem's from now on; None where nothing is in the ring.
            base: The sample that it begins with.
            recording: What it is beside.
        """
        ring, self._sink = self._sink, None
        self._format = dataclasses.replace(self._format, cycle_s=0)
        self._base, self._recording = base, recording
        if file is not None:
            self._adopt(file)
        if isinstance(ring, Ring):
            ring.retire()

    # -- within ----------------------------------------------------------------------------------

    @property
    def _wav(self) -> bool:
        return self._format.audio_format is AudioFormat.WAV

    def _up_to(self, sample: int | None) -> tuple[_Units, _Units]:
        """What of that which is held belongs before a sample, and the rest."""
        units = self._held
        if sample is None:
            return units, []
        left = max(0, sample - self._position)
        if not self._wav:
            count = left // self._format.unit_samples
            return units[:count], units[count:]
        data = memoryview(units[0] if len(units) == 1 else b"".join(units))
        at = min(len(data), left * self._format.frame_bytes)
        return [data[:at]] if at else [], [data[at:]] if at < len(data) else []

    def _whole_units(self) -> tuple[_Units, _Units]:
        """What a ring takes, and the rest: the last unit alone may be less than a whole one."""
        if not self._wav:
            return self._held, []
        data = b"".join(self._held)
        size = self._format.unit_samples * self._format.frame_bytes
        end = len(data) if self.over else len(data) // size * size
        units: _Units = [data[at : min(at + size, end)] for at in range(0, end, size)]
        return units, [data[end:]] if end < len(data) else []

    def _pass(self, cut: StemCut) -> None:
        self._hand_over(cut)
        self._go_on_from(cut)

    def _hand_over(self, cut: StemCut) -> None:
        if isinstance(self._sink, LiveFile):
            self._earlier.append(self.path)
            cut.sinks[self] = self._sink
            self._sink = None

    def _go_on_from(self, cut: StemCut) -> None:
        self._part, self._base, self._recording = cut.part, cut.sample, cut.following
        self._format = dataclasses.replace(self._format, cycle_s=cut.cycle_s)
        self.path = self._numbered(cut.part)
        ring = cut.take_ring(self)
        if ring is not None:
            self._adopt(ring)

    def _leave_cuts(self) -> None:
        for cut in self._cuts:
            cut.leave(self)
        self._cuts.clear()

    def _numbered(self, part: int) -> Path:
        return part_path(self._name, part) if part else self._name

    def _opened(self) -> LiveFile | Ring:
        sink: LiveFile | Ring
        if self.cyclic:
            sink = self.new_ring(self._format.cycle_s, self._recording, self._part)
        else:
            sink = self.new_live_file(self._base)
        try:
            if not isinstance(sink, Ring):
                sink.place()
            elif self._position:
                sink.begin_at(self._position // self._format.unit_samples)
        except BaseException:
            sink.discard()
            raise
        self._adopt(sink)
        if not isinstance(sink, Ring):
            sink.write_silence(self._position - self._base)
        return sink

    def _adopt(self, sink: LiveFile | Ring) -> None:
        self._sink = sink
        if self._chain is None:
            self._chain = Chain(sink)
        else:
            self._chain.succeed(sink)
