"""Files that are written as the recording runs, and can be opened and played meanwhile.

A WAV header must say how long the data is, before anybody knows. Measured with ffmpeg, sox,
libsndfile, Python's wave and mediainfo: a size of 0 reads as empty or broken, and one that lags
hides the tail; but one that is *ahead* of the data lets all of them read all there is. So the
header claims up to 20 s more than there is, is moved on before the data reaches it, and is put
right at the end. ADTS needs none of that: each frame stands for itself.

Order on disk: the data is synced before the header that claims the final length, and that
header before the recording is called finished.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from ..types import NS_PER_S, Mark
from .adts import silent_frame, with_mark
from .disk import Disk
from .finishing import new_file
from .naming import Whereabouts, create_part, lock, moved, put_in_place, remove_ours, take_back
from .notes.cues import cue_chunks, within
from .notes.cuts_note import CutsNote, Places
from .pieces.readers import AdtsIndex, AdtsReader, Reader, WavReader
from .read_back import crc_of_ends
from .sink import Finished, SinkFormat
from .wav import HEADER_BYTES, wav_header

logger = logging.getLogger(__name__)

_AT_ONCE = 1 << 20
AHEAD_S = 20
"""How far a live WAV header may be ahead of the data."""


class LiveFile(ABC):
    """What both formats share: see :class:`~.sink.Sink` for the contract."""

    _lead_bytes = 0  # before the first unit

    def __init__(
        self, path: Path, sink_format: SinkFormat, disk: Disk, *, first_sample: int = 0
    ) -> None:
        self.path = path
        self.first_sample = self.samples = first_sample
        self._format = sink_format
        self._disk = disk
        self._placed = False
        self._note = CutsNote(path, disk)
        self._whereabouts: Whereabouts | None = None
        self._turn = threading.Lock()  # whoever duplicates the descriptor, and who closes it
        self.followed = False  # another file goes on: this one is read back long after
        self._closed_as: tuple[Path, os.stat_result, int | None] | None = None
        self.aside: Path | None = None
        self._fd, self._part = create_part(path, disk)
        self._end = self._lead_bytes  # behind the last whole unit
        self._behind_bytes = 0  # what stands behind that
        try:
            lock(self._fd)
            self._begin()
        except OSError:
            self.discard()
            raise

    @property
    def file_bytes(self) -> int:
        """How large it is, without marks."""
        return self._end

    def place(self) -> None:
        self.aside = put_in_place(self._part, self.path, self._disk)
        self._placed = True
        self._whereabouts = Whereabouts(self._fd, self.path, self._disk)
        # Not with the first data: a process that is short of descriptors learns it at the start.
        self._disk.sync_directory(self.path.parent)

    def write(self, units: Sequence[bytes | memoryview]) -> None:
        data = units[0] if len(units) == 1 else b"".join(units)
        try:
            self._before_write(self._end + len(data))
            self._disk.write_at(self._fd, data, self._end)
        except OSError:
            self._keep_whole(units)
            raise
        self._count(units)

    def write_silence(self, samples: int) -> None:
        """Append so many samples of silence, in no time (AAC: whole frames, so many or more); none
        where that is less than one.

        Raises:
            OSError: It cannot be written.
        """
        if samples > 0:
            self._write_silence(samples)

    def note_cuts(self, places: Places) -> None:
        self._note.write(places, self.first_sample * NS_PER_S // self._format.rate_hz)

    def sync(self) -> None:
        self._disk.sync(self._fd)

    def finish(self, marks: Sequence[Mark] = ()) -> Finished:
        self._disk.truncate(self._fd, self._end)
        self.sync()
        self._close_header()
        self._append(marks)
        named = self._named()
        if named is None:
            self._write_again()
        sha256 = self._sha256()
        self._disk.close(self._taken_fd(named))
        return self._finished(named, sha256)

    def _finished(self, named: Path | None, sha256: str) -> Finished:
        return Finished(
            named or self.path,
            self.samples - self.first_sample,
            self.first_sample,
            self._end + self._behind_bytes,
            moved=moved(self.path, named),
            sha256=sha256,
        )

    def abandon(self) -> Finished:
        if self._fd < 0:
            return self._finished(self.path, "")
        # Each step helps by itself, and none may stop the others, whatever goes wrong with it.
        with contextlib.suppress(Exception):
            self._disk.truncate(self._fd, self._end)
        with contextlib.suppress(Exception):
            self.sync()
        with contextlib.suppress(Exception):
            self._close_header()
        named = self._named()
        if named is None:
            try:
                self._write_again()
            except Exception:  # what was removed under a disk that fails is gone
                self.samples, self._end = self.first_sample, 0
        sha256 = self._sha256()
        with contextlib.suppress(Exception):
            self._disk.close(self._taken_fd(named))
        return self._finished(named, sha256)

    def discard(self) -> None:
        fd = self._taken_fd()
        if fd < 0:
            return
        with contextlib.suppress(OSError):
            if self._placed:
                take_back(fd, self.path, self.aside, self._disk)
            else:
                remove_ours(fd, self._part, self._disk)
        with contextlib.suppress(OSError):
            self._disk.close(fd)

    def let_go(self) -> None:
        # Without the lock: in a forked child, nobody is there who would give it back.
        fd, self._fd = self._fd, -1
        if self._whereabouts is not None:
            self._whereabouts.close()
        if fd >= 0:
            os.close(fd)

    def _taken_fd(self, named: Path | None = None) -> int:
        """The descriptor, for whoever closes it: nobody has it after this. Where the file is
        ``named``, a reader finds it by that."""
        if named != self.path:
            self._note.remove()
        # Not of the last file: its end must not wait for a disk that does not want to be read.
        ends = self._ends(self._fd) if self.followed and named is not None else None
        with self._turn:
            fd, self._fd = self._fd, -1
            if fd >= 0 and named is not None:
                with contextlib.suppress(OSError):  # then it is not read back
                    self._closed_as = named, os.fstat(fd), ends
        if self._whereabouts is not None:
            self._whereabouts.close()
        return fd

    def _ends(self, fd: int) -> int | None:
        return crc_of_ends(fd, self._lead_bytes, self._end, self._disk)

    def _named(self) -> Path | None:
        """Where the file is now."""
        return self.path if self._whereabouts is None else self._whereabouts.now(self._fd)

    def _write_again(self) -> None:
        """The file was removed while it was recorded to, but as long as it is open all of it is
        there: give it its name anew.

        Raises:
            OSError: It cannot be written.
        """
        end = self._end + self._behind_bytes
        with new_file(self.path, self._disk) as copy:
            for start in range(0, end, _AT_ONCE):
                count = min(_AT_ONCE, end - start)
                self._disk.write_at(copy, self._disk.read_at(self._fd, count, start), start)

    def _keep_whole(self, units: Sequence[bytes | memoryview]) -> None:
        """A write failed half-way: count the units of it that are whole in the file."""
        with contextlib.suppress(OSError):
            there = self._disk.size(self._fd) - self._end
            whole: list[bytes | memoryview] = []
            for unit in units:
                if len(unit) > there:
                    break
                whole.append(unit)
                there -= len(unit)
            self._count(whole)

    def _count(self, units: Sequence[bytes | memoryview]) -> None:
        """These are whole in the file."""
        self._end += sum(map(len, units))
        self.samples += self._format.samples_in(len(units), len(units[-1])) if units else 0

    def reader(self, first: int, stop: int) -> Reader:
        with self._turn:
            if self._fd >= 0:
                return self._reader(self._fd, first, stop)
        if self._closed_as is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))
        named, closed, ends = self._closed_as
        fd = self._disk.open_existing(named)
        try:
            # A file that was removed leaves its number to whatever comes next.
            ours = os.path.samestat(os.fstat(fd), closed)
            if not ours or (ends is not None and self._ends(fd) != ends):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(named))
            return self._reader(fd, first, stop)
        finally:
            self._disk.close(fd)

    @abstractmethod
    def _reader(self, fd: int, first: int, stop: int) -> Reader: ...

    def _sha256(self) -> str:
        """Of the file as it is, where that is known without reading it."""
        return ""

    @abstractmethod
    def _write_silence(self, samples: int) -> None: ...

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _before_write(self, end: int) -> None: ...

    @abstractmethod
    def _close_header(self) -> None: ...

    @abstractmethod
    def _append(self, marks: Sequence[Mark]) -> None:
        """Put marks behind the samples of a file that is complete."""


class LiveWav(LiveFile):
    """A growing WAV file."""

    _lead_bytes = HEADER_BYTES

    def _reader(self, fd: int, first: int, stop: int) -> Reader:
        return WavReader(
            fd,
            first,
            stop,
            lambda: self.samples,
            self._disk,
            base=self.first_sample,
            frame_bytes=self._format.frame_bytes,
        )

    def _begin(self) -> None:
        self._ahead_bytes = AHEAD_S * self._format.rate_hz * self._format.frame_bytes
        self._declared = 0
        self._declare(self._ahead_bytes)

    def _declare(self, data_bytes: int, behind_bytes: int = 0) -> None:
        header = wav_header(
            self._format.rate_hz,
            data_bytes,
            channels=self._format.channels,
            behind_bytes=behind_bytes,
        )
        self._disk.write_at(self._fd, header, 0)
        self._declared = data_bytes

    def _before_write(self, end: int) -> None:
        # Moved on when half of the lead is used up: the header is on disk, by the sync of each
        # second, long before the data gets there.
        if end - HEADER_BYTES > self._declared - self._ahead_bytes // 2:
            self._declare(end - HEADER_BYTES + self._ahead_bytes)

    def _write_silence(self, samples: int) -> None:
        end = self._end + samples * self._format.frame_bytes
        self._before_write(end)
        self._disk.truncate(self._fd, end)  # a hole: it takes neither time nor space
        self._end = end
        self.samples += samples

    def _keep_whole(self, units: Sequence[bytes | memoryview]) -> None:
        with contextlib.suppress(OSError):  # any whole sample is worth keeping
            there = max(0, self._disk.size(self._fd) - self._end)
            frames = min(there, sum(map(len, units))) // self._format.frame_bytes
            self._end += frames * self._format.frame_bytes
            self.samples += frames

    def _close_header(self) -> None:
        self._declare(self._end - HEADER_BYTES)
        self._disk.sync(self._fd)

    def _append(self, marks: Sequence[Mark]) -> None:
        count = self.samples - self.first_sample
        chunks = cue_chunks(within(marks, self.first_sample, count, self._format.rate_hz))
        if not chunks:
            return
        data_bytes = self._end - HEADER_BYTES
        try:  # whatever ends this leaves a file that is complete without them
            self._disk.write_at(self._fd, chunks, self._end)
            self._disk.sync(self._fd)
            self._declare(data_bytes, len(chunks))
            self._disk.sync(self._fd)
        except OSError as error:
            logger.warning("the marks of %s are in its report only: %s", self.path, error)
            with contextlib.suppress(OSError):
                self._disk.truncate(self._fd, self._end)
                self._close_header()
        else:
            self._behind_bytes = len(chunks)


class LiveAdts(LiveFile):
    """A growing AAC file: one ADTS frame after the other."""

    def _begin(self) -> None:
        self._index = AdtsIndex()
        # A disk that takes no byte at all is found now, not at the first frame.
        self._disk.allocate(self._fd, self._format.most_unit_bytes)
        self._disk.truncate(self._fd, 0)
        # What is written stays as it is, so it is hashed on the way.
        self._digest = hashlib.sha256()
        self._hashed = 0

    def write(self, units: Sequence[bytes | memoryview]) -> None:
        # A crash can leave half a frame at the end: the first one says who may cut it off.
        begins = self._end == 0 and units
        super().write([with_mark(bytes(units[0])), *units[1:]] if begins else units)

    def _sha256(self) -> str:
        with contextlib.suppress(OSError):
            # An end that could not be cut off belongs to the file, too.
            if self._hashed == self._end == self._disk.size(self._fd):
                return self._digest.hexdigest()
        return ""

    def _reader(self, fd: int, first: int, stop: int) -> Reader:
        return AdtsReader(
            fd,
            first,
            stop,
            lambda: self.samples,
            self._disk,
            base=self.first_sample,
            index=self._index,
        )

    def _count(self, units: Sequence[bytes | memoryview]) -> None:
        for unit in units:
            self._index.add(len(unit))
            self._digest.update(unit)
            self._hashed += len(unit)
        super()._count(units)

    def _write_silence(self, samples: int) -> None:
        frame = silent_frame(self._format.rate_hz, self._format.channels)
        frames = -(-samples // self._format.unit_samples)
        while frames:
            count = min(frames, _AT_ONCE // len(frame))
            self.write([frame] * count)
            frames -= count

    def _before_write(self, end: int) -> None:
        del end

    def _close_header(self) -> None:
        pass

    def _append(self, marks: Sequence[Mark]) -> None:
        del marks  # ADTS has no place for them: they are in the report
