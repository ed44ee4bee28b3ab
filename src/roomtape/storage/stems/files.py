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
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from ...types import AudioFormat
from ..adts import ADTS_HEADER_BYTES
from ..disk import Disk
from ..live import LiveFile
from ..naming import RING_SUFFIX
from ..ring import Ring
from ..sink import SinkFormat
from .names import stem_name
from .projects import ProjectTrack, write_projects
from .stem_cut import StemCut
from .stem_file import StemFile

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
        directory: Where to; it is there, and stays what it is.
        recording: The file of the recording: the projects are called after it.
        sink_format: Of the recording. A stem has one channel.
        disk: Where the files go.
        split: Whether the recording is: then its files are numbered from the first on.
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
        self.directory = directory
        self._part = int(split)
        self._base = 0
        self._end = 0  # so long is the recording by now
        self._cuts: list[StemCut] = []  # those that wait for a stem
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
        path = self.directory / stem_name(self._begun, participant, self._format.audio_format)
        with self._adding:
            stem = StemFile(
                path,
                participant,
                silent_units,
                self._format,
                self._disk,
                recording=self._recording,
                part=self._part,
                base=self._base,
            )
            self._files = [*self._files, stem]
        return stem

    def write(self, units: Sequence[_Units]) -> None:
        """Append these to those, some time; the last says whether nothing more will come. Never
        blocks."""
        self._queue.put(units)

    @property
    def files(self) -> Sequence[StemFile]:
        """All that there are, in the order of their coming; from any thread."""
        return self._files

    @property
    def cutting(self) -> bool:
        """Whether some are still to pass a cut."""
        return bool(self._cuts)

    def cut(
        self,
        sample: int,
        following: Path,
        on_complete: Callable[[StemCut], None],
        *,
        cycle_s: int = 0,
        rings: Mapping[StemFile, Ring] = MappingProxyType({}),
    ) -> None:
        """The recording goes on in another file from that sample on, and so do its stems: each when
        it is there. On the thread that writes.

        Args:
            sample: At the border of a unit, and no stem has been written further.
            following: The file that the recording goes on in.
            on_complete: Called once, on this thread, when all stems have passed it.
            cycle_s, rings: Where only so many seconds are kept then: see :class:`StemCut`.
        """
        with self._adding:
            before, self._recording = self._recording, following
            self._part = self.next_part
            self._base = sample
            self._format = dataclasses.replace(self._format, cycle_s=cycle_s)
            files = tuple(self._files)
        cut = StemCut(
            sample,
            before,
            following=following,
            part=self._part,
            cycle_s=cycle_s,
            rings=rings,
            write_projects=self._written_projects,
            on_failure=self._tell_failure,
            on_complete=on_complete,
        )
        for stem in files:
            stem.cut(cut)
            if stem.over:
                stem.pass_cuts()
        self._cuts.append(cut)
        self._look_at_cuts()

    @property
    def next_part(self) -> int:
        """The number of the files that follow on a cut."""
        return max(1, self._part) + 1

    def go_live(self, files: Mapping[StemFile, LiveFile], base: int, recording: Path) -> None:
        """All go on in live files, which begin with this sample of the recording, beside this file
        of it. On the thread that writes. Raises nothing.

        Args:
            files: What is in the rings by now: placed, and the stems' from now on.
            base, recording: See above.
        """
        with self._adding:
            self._recording, self._base = recording, base
            self._format = dataclasses.replace(self._format, cycle_s=0)
            stems = tuple(self._files)
        self._let_go_of_those_past(base)
        for stem in stems:
            if not stem.closed:
                stem.go_live(files.get(stem), base, recording)

    def work(self, samples: int | None = None) -> None:
        """Write what came.

        Args:
            samples: So long is the recording by now. A live stem, which may be cut there, is
                written no further; None is the end.
        """
        self._end = self._end if samples is None else samples
        with contextlib.suppress(queue.Empty):
            while True:
                for stem, units, over in self._queue.get_nowait():
                    stem.over = stem.over or over
                    self._guarded(stem, partial(stem.write, units, samples))
        for stem in tuple(self._files):
            # What was kept back is written with what comes next: no second write for that.
            if self._cuts or samples is None or (stem.over and not stem.done):
                self._guarded(stem, partial(stem.write, [], samples))
            if stem.over:
                stem.pass_cuts()
        self._look_at_cuts()
        if self._format.cycle_s:
            unit = self._format.unit_samples
            kept = self._format.cycle_s * self._format.rate_hz
            self._let_go_of_those_past((self._end - kept) // unit * unit)

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
            self._guarded(stem, partial(self._finish, stem, self._end - samples))
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
        for cut in self._cuts:
            cut.let_go()

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
            if path.parent == self.directory and path.suffix != RING_SUFFIX
        ]
        if not tracks:
            return ()
        try:
            return write_projects(
                self.directory,
                recording.stem,
                tracks,
                rate_hz=self._format.rate_hz,
                duration_s=samples / self._format.rate_hz,
                disk=self._disk,
            )
        except OSError as error:
            logger.warning("no project can be written to %s: %s", self.directory, error)
            return ()

    def _let_go_of_those_past(self, oldest: int) -> None:
        """Nothing before this sample is kept any more."""
        gone = {stem for stem in self._files if stem.over and stem.gone(oldest)}
        if gone:
            with self._adding:
                self._files = [stem for stem in self._files if stem not in gone]
            for stem in gone:
                self._gone.put(stem)

    def _finish(self, stem: StemFile, first: int) -> None:
        moved = stem.finish(first, self._end)
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
