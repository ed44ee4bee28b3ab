"""The files of a recording's stems, all on the thread that writes the recording.

Each is a live file as any other, so that a crash leaves it as recoverable as the mix. One that
begins late begins with silence that nobody writes: a hole in a WAV, the same frame again and again
in AAC. One that ends early is filled up in the same way when the recording ends, to its length.

A stem that cannot be written ends alone: the mix and the other stems go on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import queue
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ...types import AudioFormat
from ..disk import Disk
from ..live import LiveAdts, LiveWav
from ..sink import SinkFormat
from .names import stem_name
from .projects import ProjectTrack, write_projects

logger = logging.getLogger(__name__)

_IN_TURN = 16
"""With each sync of the recording, a sixteenth of its stems is synced: all of them within about
13 s. A disk that turns takes a hundredth of a second for each, and there may be dozens."""


class StemFile:
    """One stem. All on the thread that writes.

    Attributes:
        path: Where it is; where somebody renamed it, only the end of the recording tells.
        error: Why it was broken off; empty if it was not.
    """

    def __init__(self, path: Path, participant: str, silent_units: int) -> None:
        self.path = path
        self.participant = participant
        self.error = ""
        self._silent_units = silent_units  # before its first unit
        self._sink: LiveWav | LiveAdts | None = None
        self._closed = False

    def write(self, units: list[bytes], sink_format: SinkFormat, disk: Disk) -> None:
        """Append ``units``, creating the file if it is not there.

        Raises:
            OSError: It cannot be written.
        """
        if self._closed:
            return
        sink = self._sink or self._opened(sink_format, disk)
        wav = sink_format.audio_format is AudioFormat.WAV
        # A WAV is not cut between units: one piece is as good as many.
        sink.write([b"".join(units)] if wav else units)

    @property
    def there(self) -> bool:
        """Whether there is a file."""
        return self._sink is not None

    def _opened(self, sink_format: SinkFormat, disk: Disk) -> LiveWav | LiveAdts:
        wav = sink_format.audio_format is AudioFormat.WAV
        sink = (LiveWav if wav else LiveAdts)(self.path, sink_format, disk)
        try:
            sink.place()
        except BaseException:
            sink.discard()
            raise
        self._sink = sink
        sink.write_silence(self._silent_units * sink_format.unit_samples)
        return sink

    def sync(self) -> None:
        if self._sink is not None and not self._closed:
            self._sink.sync()

    def finish(self, samples: int, sink_format: SinkFormat, disk: Disk) -> str:
        """Complete the file, as long as the recording; tell what somebody did to its name.

        Raises:
            OSError: It cannot be completed.
        """
        if self._closed:
            return ""
        sink = self._sink or self._opened(sink_format, disk)
        sink.write_silence(samples - sink.samples)
        finished = sink.finish()
        self._closed = True
        self.path = finished.path
        return finished.moved

    def abandon(self, why: str = "") -> None:
        """Leave it readable. Raises nothing, and may come twice."""
        self.error = self.error or why
        if self._sink is not None and not self._closed:
            self._closed = True
            with contextlib.suppress(Exception):
                self.path = self._sink.abandon().path
        self._closed = True

    def let_go(self) -> None:
        if self._sink is not None:
            self._sink.let_go()


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
    """

    def __init__(
        self,
        directory: Path,
        recording: Path,
        sink_format: SinkFormat,
        disk: Disk,
    ) -> None:
        self._directory = directory
        self._recording = recording
        self._format = dataclasses.replace(
            sink_format,
            channels=1,
            most_unit_bytes=sink_format.most_unit_bytes // sink_format.channels,
        )
        self._disk = disk
        self._failures: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._files: list[StemFile] = []  # to which only begin() adds, at its end
        self._queue: queue.SimpleQueue[list[tuple[StemFile, list[bytes]]]] = queue.SimpleQueue()
        self._turn = 0
        self.moved: list[str] = []
        """What somebody did to the names of stems, in words."""
        self.projects: tuple[Path, ...] = ()
        """What opens them all, once it is written."""

    def begin(self, participant: str, silent_units: int) -> StemFile:
        """One more, which begins with so much silence."""
        number = len(self._files) + 1
        name = stem_name(number, participant, self._format.audio_format)
        stem = StemFile(self._directory / name, participant, silent_units)
        self._files.append(stem)
        return stem

    def write(self, units: list[tuple[StemFile, list[bytes]]]) -> None:
        """Append these to those, some time. Never blocks."""
        self._queue.put(units)

    def work(self) -> None:
        """Write what came."""
        with contextlib.suppress(queue.Empty):
            while True:
                for stem, units in self._queue.get_nowait():
                    self._guarded(stem, partial(stem.write, units, self._format, self._disk))

    def sync(self) -> None:
        """Have a part of what was written survive a power cut; the other parts come in turn."""
        for stem in tuple(self._files)[self._turn :: _IN_TURN]:
            self._guarded(stem, stem.sync)
        self._turn = (self._turn + 1) % _IN_TURN

    def finish(self, samples: int) -> None:
        """Complete them all, to the length of the recording, and write the projects."""
        self.work()
        for stem in self._files:
            self._guarded(stem, partial(self._finish, stem, samples))
        self._write_projects(samples)

    def abandon(self, samples: int) -> None:
        """The recording was broken off: leave them readable."""
        self.work()
        for stem in self._files:
            stem.abandon()
        self._write_projects(samples)

    def take_failures(self) -> list[str]:
        """The stems that were broken off since this was asked last, in words; from any thread."""
        taken: list[str] = []
        with contextlib.suppress(queue.Empty):
            while True:
                taken.append(self._failures.get_nowait())
        return taken

    def let_go(self) -> None:
        """In a forked child: close the descriptors and do nothing else."""
        for stem in self._files:
            stem.let_go()

    def _finish(self, stem: StemFile, samples: int) -> None:
        moved = stem.finish(samples, self._format, self._disk)
        if moved:
            self.moved.append(moved)

    def _guarded(self, stem: StemFile, work: Callable[[], None]) -> None:
        if stem.error:
            return
        try:
            work()
        except Exception as error:
            if not isinstance(error, OSError):
                logger.exception("the stem %s failed", stem.path)
            words = (getattr(error, "strerror", None) or str(error)).lower()
            stem.abandon(words)
            self._failures.put(
                f"{stem.participant} has no stem any more, and is in the mix alone: {stem.path}: "
                f"{words}"
            )

    def _write_projects(self, samples: int) -> None:
        tracks = [
            ProjectTrack(stem.path.name, stem.path.stem)
            for stem in self._files
            if stem.there and stem.path.parent == self._directory
        ]
        if not tracks:
            return
        try:
            self.projects = write_projects(
                self._directory,
                self._recording.stem,
                tracks,
                rate_hz=self._format.rate_hz,
                duration_s=samples / self._format.rate_hz,
                disk=self._disk,
            )
        except OSError as error:
            logger.warning("no project can be written to %s: %s", self._directory, error)
