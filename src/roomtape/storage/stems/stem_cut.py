"""Where one file of a recording ends, and so do the stems beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..live import LiveFile
from ..ring import Ring

if TYPE_CHECKING:  # it knows what it is cut by
    from .stem_file import StemFile


class StemCut:
    """The stems of one live file, which are over when all have passed its end.

    Args:
        sample: Where it ends.
        recording: The file that they are beside.
        following: The file that the recording goes on in.
        part: The number of the stems' files from then on.
        cycle_s: So many seconds of them are kept then; 0 keeps all.
        rings: What those go on in that are cyclic then; the cut's own until they have passed. Whose
            is missing makes one.
        write_projects: Writes what opens these, for a recording, so long.
        on_failure: Told of each that is only there in part, and where.
        on_complete: Called once, on the thread that writes, when :meth:`finish` may be.
    """

    def __init__(
        self,
        sample: int,
        recording: Path,
        *,
        following: Path,
        part: int,
        cycle_s: int = 0,
        rings: Mapping[StemFile, Ring] = MappingProxyType({}),
        write_projects: Callable[[Path, Sequence[Path], int], tuple[Path, ...]],
        on_failure: Callable[[StemFile, Path, Exception], None],
        on_complete: Callable[[StemCut], None],
    ) -> None:
        self.sample = sample
        self.following = following
        self.part = part
        self.cycle_s = cycle_s
        self.sinks: dict[StemFile, LiveFile] = {}
        """Those that are over, to be finished."""
        self.waiting: set[StemFile] = set()
        """Those that are not."""
        self.paths: dict[StemFile, Path] = {}
        """Where they are, once they are finished."""
        self.projects: tuple[Path, ...] = ()
        """What opens them all, then."""
        self._recording = recording
        self._rings = dict(rings)
        self._write_projects = write_projects
        self._on_failure = on_failure
        self.on_complete = on_complete

    def take_ring(self, stem: StemFile) -> Ring | None:
        """What a stem goes on in that has passed; it is the stem's from then on."""
        self.waiting.discard(stem)
        return self._rings.pop(stem, None)

    def leave(self, stem: StemFile) -> None:
        """The stem does not go on. Raises nothing, and may come twice."""
        ring = self.take_ring(stem)
        if ring is not None:
            ring.discard()

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

    def let_go(self) -> None:
        """In a forked child: close the descriptors and do nothing else."""
        for file in self.sinks.values():
            file.let_go()
        for ring in self._rings.values():
            ring.let_go()
