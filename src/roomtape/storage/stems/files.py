"""The files of a recording's stems, all on the thread that writes the recording.

Each is a live file as any other, so that a crash leaves it as recoverable as the mix; they are as
long as the mix, with the same sample 0.

A stem that cannot be written ends alone: the mix and the other stems go on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ...types import AudioFormat
from ..adts import ADTS_HEADER_BYTES
from ..disk import Disk
from ..naming import RING_SUFFIX
from ..sink import SinkFormat
from .names import stem_name
from .projects import ProjectTrack, write_projects
from .stem_file import StemCut, StemFile
from .stem_ring import StemRing

logger = logging.getLogger(__name__)

_IN_TURN = 16
"""With each sync of the recording, a sixteenth of its stems is synced: all of them within about
13 s. A disk that turns takes a hundredth of a second for each, and there may be dozens."""


_Units = tuple[StemFile, Sequence[bytes | memoryview], bool]
"""Whose, what, and whether nothing more of it will come."""


class StemFiles:
    """:meth:`begin` and :meth:`write` from the thread that mixes; then, on the one that writes,
    :meth:`work` and :meth:`sync` while the recording lasts, and :meth:`finish` or :meth:`abandon`
    when it ends.

    None of them raises anything.

    Args:
        directory: Where to; it is there.
        recording: The file of the recording: the projects are called after it.
        sink_format: Of the recording. A stem has one channel.
        disk: Where the files go.
        split: Whether the recording is: then :meth:`cut` may come.
    """

    def __init__(
        self,
        directory: Path,
        recording: Path,
        sink_format: SinkFormat,
        disk: Disk,
        *,
        split: bool = False,
    ) -> None:
        self._split = split
        self._part = int(split)
        self._base = 0
        self._end = 0  # so long is the recording by now
        self._cuts: list[StemCut] = []  # those that wait for a stem
        self._directory = directory
        self._recording = recording
        self._format = dataclasses.replace(
            sink_format,
            channels=1,
            most_unit_bytes=_of_one_channel(sink_format),
        )
        self._disk = disk
        self._failures: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._files: list[StemFile] = []  # to which only begin() adds, at its end
        self._begun = 0
        self._gone: queue.SimpleQueue[StemFile] = queue.SimpleQueue()
        self._queue: queue.SimpleQueue[Sequence[_Units]] = queue.SimpleQueue()
        self._turn = 0
        self._adding = threading.Lock()  # of what a new one begins with
        self.moved: list[str] = []
        """What somebody did to the names of stems, in words."""
        self.projects: tuple[Path, ...] = ()
        """What opens them all, once it is written."""

    def begin(self, participant: str, silent_units: int) -> StemFile:
        """One more, which begins with so much silence."""
        self._begun += 1
        path = self._directory / stem_name(self._begun, participant, self._format.audio_format)
        begins = participant, silent_units, self._format, self._disk
        with self._adding:
            stem = (
                StemRing(path, *begins, recording=self._recording)
                if self._format.cycle_s
                else StemFile(path, *begins, part=self._part, base=self._base)
            )
            self._files = [*self._files, stem]
        return stem

    def write(self, units: Sequence[_Units]) -> None:
        """Append these to those, some time; the last says whether nothing more will come. Never
        blocks."""
        self._queue.put(units)

    def cut(self, sample: int, following: Path, on_complete: Callable[[StemCut], None]) -> None:
        """The recording goes on in another file from that sample on, and so do its stems: each when
        it is there. On the thread that writes.

        Args:
            sample: At the border of a unit.
            following: The file that the recording goes on in.
            on_complete: Called once, on this thread, when all stems have passed it.
        """
        cut = StemCut(
            sample,
            self._recording,
            write_projects=self._written_projects,
            on_failure=self._tell_failure,
            on_complete=on_complete,
        )
        with self._adding:
            self._recording = following
            self._part += 1
            self._base = sample
            files = tuple(self._files)
        for stem in files:
            stem.cut(cut)
            if stem.over:
                stem.pass_cuts()
        self._cuts.append(cut)
        self._look_at_cuts()

    def work(self, samples: int | None = None) -> None:
        """Write what came.

        Args:
            samples: So long is the recording by now. A stem that could be cut is written no
                further; None is the end.
        """
        self._end = self._end if samples is None else samples
        limit = samples if self._split else None
        with contextlib.suppress(queue.Empty):
            while True:
                for stem, units, over in self._queue.get_nowait():
                    self._guarded(stem, partial(stem.write, units, limit))
                    stem.over = stem.over or over
                    if over:
                        self._guarded(stem, stem.flush)
        if self._split:
            for stem in tuple(self._files):
                self._guarded(stem, partial(stem.write, [], limit))
                if stem.over:
                    stem.pass_cuts()
            self._look_at_cuts()
        if self._format.cycle_s:
            self._let_go_of_those_past()

    def sync(self) -> None:
        """Have a part of what was written survive a power cut; the other parts come in turn."""
        for stem in tuple(self._files)[self._turn :: _IN_TURN]:
            self._guarded(stem, stem.sync)
        self._turn = (self._turn + 1) % _IN_TURN

    def finish(self, samples: int) -> None:
        """Complete them all, to the end of the recording, whose last file has so many samples, and
        write the projects."""
        self.work()
        self._end_cuts()
        for stem in self._files:
            work = (
                partial(stem.finish_within, self._end - samples, self._end)
                if isinstance(stem, StemRing)
                else partial(self._finish, stem, self._end)
            )
            self._guarded(stem, work)
        self._write_last_projects(samples)

    def abandon(self, samples: int) -> None:
        """The recording was broken off at this sample: leave them readable."""
        self.work()
        for stem in self._files:
            stem.abandon()
        self._end_cuts()
        self._write_last_projects(samples - self._base)

    def take_failures(self) -> list[str]:
        """The stems that were broken off since this was asked last, in words; from any thread."""
        taken: list[str] = []
        with contextlib.suppress(queue.Empty):
            while True:
                taken.append(self._failures.get_nowait())
        return taken

    def take_gone(self) -> list[StemFile]:
        """The stems of a cyclic recording, of which nothing is left to be in its file, since this
        was asked last; from any thread."""
        taken: list[StemFile] = []
        with contextlib.suppress(queue.Empty):
            while True:
                taken.append(self._gone.get_nowait())
        return taken

    def let_go(self) -> None:
        """In a forked child: close the descriptors and do nothing else."""
        for stem in self._files:
            stem.let_go()

    def _tell_failure(self, stem: StemFile, path: Path, error: Exception) -> None:
        """A stem is only there in part."""
        words = (getattr(error, "strerror", None) or str(error)).lower()
        self._failures.put(
            f"{stem.participant} has no stem any more, and is in the mix alone: {path}: {words}"
        )

    def _written_projects(
        self, recording: Path, paths: Sequence[Path], samples: int
    ) -> tuple[Path, ...]:
        """Write what opens these stems of a file that is so long; none where that cannot be. Raises
        nothing."""
        tracks = [
            ProjectTrack(path.name, path.stem)
            for path in paths
            if path.parent == self._directory and path.suffix != RING_SUFFIX
        ]
        if not tracks:
            return ()
        try:
            return write_projects(
                self._directory,
                recording.stem,
                tracks,
                rate_hz=self._format.rate_hz,
                duration_s=samples / self._format.rate_hz,
                disk=self._disk,
            )
        except OSError as error:
            logger.warning("no project can be written to %s: %s", self._directory, error)
            return ()

    def _let_go_of_those_past(self) -> None:
        unit = self._format.unit_samples
        oldest = (self._end - self._format.cycle_s * self._format.rate_hz) // unit * unit
        rings = [stem for stem in self._files if isinstance(stem, StemRing) and stem.over]
        gone = {stem for stem in rings if stem.gone(oldest)}
        if gone:
            with self._adding:
                self._files = [stem for stem in self._files if stem not in gone]
            for stem in gone:
                self._gone.put(stem)

    def _finish(self, stem: StemFile, samples: int) -> None:
        moved = stem.finish(samples)
        if moved:
            self.moved.append(moved)

    def _look_at_cuts(self) -> None:
        complete = [cut for cut in self._cuts if not cut.waiting]
        self._cuts = [cut for cut in self._cuts if cut.waiting]
        for cut in complete:
            cut.on_complete(cut)

    def _end_cuts(self) -> None:
        """Nothing more will be written."""
        for cut in self._cuts:
            for stem in tuple(cut.waiting):
                stem.pass_cuts()
        self._look_at_cuts()

    def _guarded(self, stem: StemFile, work: Callable[[], None]) -> None:
        if stem.error:
            return
        try:
            work()
        except Exception as error:
            if not isinstance(error, OSError):
                logger.exception("the stem %s failed", stem.path)
            path = stem.path
            stem.abandon((getattr(error, "strerror", None) or str(error)).lower())
            self._tell_failure(stem, path, error)

    def _write_last_projects(self, samples: int) -> None:
        paths = [stem.path for stem in self._files if stem.there]
        self.projects = self._written_projects(self._recording, paths, samples)


def _of_one_channel(sink_format: SinkFormat) -> int:
    """No unit of one of its channels is larger."""
    head = 0 if sink_format.audio_format is AudioFormat.WAV else ADTS_HEADER_BYTES
    return head + (sink_format.most_unit_bytes - head) // sink_format.channels
