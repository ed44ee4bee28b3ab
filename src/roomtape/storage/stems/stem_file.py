"""The file of one stem; and where a split recording ends one and begins the next.

One that begins late begins with silence that nobody writes: a hole in a WAV, the same frame again
and again in AAC. One that ends early is filled up in the same way.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from ...types import AudioFormat, part_path
from ..disk import Disk
from ..live import LiveAdts, LiveFile, LiveWav
from ..pieces.chain import Chain
from ..pieces.readers import Reader
from ..pieces.silence import silenced_pieces
from ..pieces.stretches import Stretches
from ..sink import SinkFormat

_MOST_NOTED = 1000


class StemFile:
    """One stem: of a split recording, file after file. All on the thread that writes.

    Args:
        path: Where it goes; of a split recording, with a number behind it.
        participant: Whose.
        silent_units: So many units of silence stand before its first one.
        sink_format, disk: What it is, and where.
        part, base: Of a split recording, the number of the file in which it begins, and the sample
            that this begins with; 0 of one that is not.

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
        part: int = 0,
        base: int = 0,
    ) -> None:
        self._name = path
        self._format = sink_format
        self._disk = disk
        self._part = part
        self._base = base
        self.path = self._numbered()
        self.participant = participant
        self.error = ""
        self.over = False
        self.begins = self._position = silent_units * sink_format.unit_samples
        self.forgotten = Stretches()
        self._sink: LiveFile | None = None
        self._cuts: list[StemCut] = []
        self._held: list[bytes | memoryview] = []  # what may have to be cut yet
        self._chain: Chain | None = None
        self._earlier = deque[Path](maxlen=_MOST_NOTED)
        self._closed = False

    def write(self, units: Sequence[bytes | memoryview], limit: int | None = None) -> None:
        """Append ``units``, creating the file if it is not there; and going on in the next one
        where it is cut.

        Args:
            units: What comes next.
            limit: The sample up to which it may be cut yet: the rest is kept until later.

        Raises:
            OSError: It cannot be written.
        """
        self._held += units
        while self._held and not self._closed:
            until = self._cuts[0].sample if self._cuts else limit
            now, rest = self._up_to(until)
            if now:
                if self.forgotten:
                    now = silenced_pieces(now, self._position, self.forgotten, self._format)
                sink = self._sink or self._opened()
                # A WAV is not cut between units: one piece is as good as many.
                sink.write([b"".join(now)] if self._wav and len(now) > 1 else now)
                self._position = sink.samples
            self._held = rest  # not before: who reads must find either
            if self._cuts and self._position >= self._cuts[0].sample:
                self._pass(self._cuts.pop(0))
            elif not now:
                return

    def cut(self, cut: StemCut) -> None:
        """What comes from that sample on goes to the next file."""
        if self._closed:
            return
        if self._position >= cut.sample and self._sink is None:
            self._go_on_from(cut)  # it has nothing before
            return
        cut.waiting.add(self)
        self._cuts.append(cut)

    def forget(self, stretches: Stretches) -> None:
        """Silence stands in place of these samples, as far as they are still to be written. From
        any thread."""
        self.forgotten |= stretches

    def pass_cuts(self) -> None:
        """Nothing more of it will come: what there is belongs before the first cut."""
        if self._held and not self._closed:
            return
        if self._cuts and not self._closed:
            self._pass(self._cuts[0])
            self._closed = True
        for cut in self._cuts:
            cut.waiting.discard(self)
        self._cuts.clear()

    @property
    def name(self) -> str:
        """The file's, without the number of a part."""
        return self._name.name

    @property
    def written(self) -> int:
        """The sample of the recording that is written next."""
        return self._position

    @property
    def done(self) -> bool:
        """Whether all of it is written."""
        return self._closed or (self.over and not self._held)

    def reader(self, first: int, stop: int) -> Reader | None:
        """Read the samples ``[first, stop)`` of it on another thread, as they are written; see
        :meth:`~roomtape.storage.sink.Sink.reader`. None while nothing is written.

        Raises:
            OSError: It cannot be opened.
        """
        return None if self._chain is None else self._chain.reader(first, stop)

    def flush(self) -> None:
        """Write what waits for more, since there will be none. Raises OSError."""

    @property
    def paths(self) -> list[Path]:
        """Where it is, and its latest thousand files before that."""
        return [*self._earlier, *([self.path] if self.there else [])]

    @property
    def there(self) -> bool:
        """Whether there is a file."""
        return self._sink is not None

    @property
    def _wav(self) -> bool:
        return self._format.audio_format is AudioFormat.WAV

    def _up_to(
        self, sample: int | None
    ) -> tuple[list[bytes | memoryview], list[bytes | memoryview]]:
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

    def _pass(self, cut: StemCut) -> None:
        cut.waiting.discard(self)
        if self._sink is not None:
            self._earlier.append(self.path)
            cut.sinks[self] = self._sink
            self._sink = None
        self._go_on_from(cut)

    def _go_on_from(self, cut: StemCut) -> None:
        self._part += 1
        self._base = cut.sample
        self.path = self._numbered()

    def _numbered(self) -> Path:
        return part_path(self._name, self._part) if self._part else self._name

    def _opened(self) -> LiveFile:
        live = LiveWav if self._wav else LiveAdts
        sink = live(self.path, self._format, self._disk, first_sample=self._base)
        try:
            sink.place()
        except BaseException:
            sink.discard()
            raise
        self._sink = sink
        if self._chain is None:
            self._chain = Chain(sink)
        else:
            self._chain.succeed(sink)
        sink.write_silence(self._position - self._base)
        return sink

    def sync(self) -> None:
        if self._sink is not None and not self._closed:
            self._sink.sync()

    def finish(self, samples: int) -> str:
        """Complete the file, as long as the recording; tell what somebody did to its name.

        Raises:
            OSError: It cannot be completed.
        """
        if self._closed:
            return ""
        sink = self._sink or self._opened()
        sink.write_silence(samples - sink.samples)
        finished = sink.finish()
        self._closed = True
        self.path = finished.path
        return finished.moved

    def abandon(self, why: str = "") -> None:
        """Leave it readable. Raises nothing, and may come twice."""
        self.error = self.error or why
        if self._sink is not None and not self._closed:
            with contextlib.suppress(Exception):
                self.path = self._sink.abandon().path
        self._closed = True
        for cut in self._cuts:
            cut.waiting.discard(self)
        self._cuts.clear()

    def let_go(self) -> None:
        if self._sink is not None:
            self._sink.let_go()


class StemCut:
    """The stems of one file of a split recording, which are over when all have passed its end.

    Args:
        sample: Where it ends.
        recording: The file that they are beside.
        write_projects: Writes what opens these, for a recording, so long.
        on_failure: Told of each that is only there in part, and where.
        on_complete: Called once, on the thread that writes, when :meth:`finish` may be.
    """

    def __init__(
        self,
        sample: int,
        recording: Path,
        *,
        write_projects: Callable[[Path, Sequence[Path], int], tuple[Path, ...]],
        on_failure: Callable[[StemFile, Path, Exception], None],
        on_complete: Callable[[StemCut], None],
    ) -> None:
        self.sample = sample
        self.sinks: dict[StemFile, LiveFile] = {}
        """Those that are over, to be finished."""
        self.waiting: set[StemFile] = set()
        """Those that are not."""
        self.paths: dict[StemFile, Path] = {}
        """Where they are, once they are finished."""
        self.projects: tuple[Path, ...] = ()
        """What opens them all, then."""
        self._recording = recording
        self._write_projects = write_projects
        self._on_failure = on_failure
        self.on_complete = on_complete

    def finish(self) -> None:
        """Complete them all, on whatever thread. Raises nothing."""
        for stem, sink in self.sinks.items():
            try:
                sink.write_silence(self.sample - sink.samples)
                self.paths[stem] = sink.finish().path
            except Exception as error:
                self.paths[stem] = sink.abandon().path
                self._on_failure(stem, self.paths[stem], error)
        count = self.sample - min((sink.first_sample for sink in self.sinks.values()), default=0)
        self.projects = self._write_projects(self._recording, [*self.paths.values()], count)
