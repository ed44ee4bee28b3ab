"""A part of a running recording as a file of its own, which appears complete or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ...types import AudioFormat, Mark
from ..adts import ADTS_FRAME_SAMPLES, frame_at
from ..disk import Disk
from ..naming import create_part, opened_as, put_in_place, refuse_directory, remove_ours, take_back
from ..notes.cues import cue_chunks
from ..proof.hashing import sha256_of
from ..sink import SinkFormat
from ..wav import HEADER_BYTES, wav_header
from .readers import Pieces
from .silence import silent_unit
from .stretches import Stretches

_AT_ONCE = 1 << 18


class SavedFile:
    """:meth:`write` as often as need be, :meth:`finish`, :meth:`close`; or :meth:`discard` at any
    moment before the last, and twice. One thread at a time.

    Args:
        path: Where it will be; what stands there then is moved aside.
        sink_format: Format and rate.
        disk: Where it goes.

    Raises:
        OSError: It cannot be created, or a directory stands there. Nothing is left behind.
    """

    def __init__(self, path: Path, sink_format: SinkFormat, disk: Disk) -> None:
        refuse_directory(path)
        self._path = path
        self._wav = sink_format.audio_format is AudioFormat.WAV
        self._format = sink_format
        self._disk = disk
        self._placed = False
        self._aside: Path | None = None
        self.samples = 0
        self.sha256 = ""
        """In hex, once it is finished; empty where it could not be read."""
        self._fd, self._part = create_part(path, disk)
        self.file_bytes = HEADER_BYTES if self._wav else 0

    def write(self, pieces: Pieces) -> None:
        """Append.

        Raises:
            OSError: It cannot be written.
        """
        data = b"".join(pieces)
        self._disk.write_at(self._fd, data, self.file_bytes)
        self.file_bytes += len(data)
        if self._wav:
            self.samples += len(data) // self._format.frame_bytes
        else:
            self.samples += len(pieces) * ADTS_FRAME_SAMPLES

    def silence(self, stretches: Stretches) -> None:
        """Make these samples of it silence, as far as they are there, and have that on the disk.

        Raises:
            OSError: It cannot be written.
        """
        found = stretches.within(0, self.samples)
        if not found:
            return
        if self._wav:
            frame = self._format.frame_bytes
            for start, stop in found.spans:
                for at in range(start, stop, _AT_ONCE):
                    zeros = bytes(frame * (min(stop, at + _AT_ONCE) - at))
                    self._disk.write_at(self._fd, zeros, HEADER_BYTES + frame * at)
        else:
            self._silence_frames(found)
        self._disk.sync(self._fd)

    def _silence_frames(self, found: Stretches) -> None:
        offset = number = 0
        while offset < self.file_bytes:
            data = self._disk.read_at(self._fd, min(self.file_bytes - offset, _AT_ONCE), offset)
            at = 0
            while (frame := frame_at(data, at)) and frame.stop <= len(data):
                first = number * ADTS_FRAME_SAMPLES
                if found.within(first, first + ADTS_FRAME_SAMPLES):
                    silent = silent_unit(frame.stop - at, self._format)
                    if len(silent) == frame.stop - at:  # what is shorter has nothing coded in it
                        self._disk.write_at(self._fd, silent, offset + at)
                at, number = frame.stop, number + 1
            if not at:
                raise OSError(f"frame {number} of the saved part cannot be read back")
            offset += at

    def finish(self, marks: Sequence[Mark] = (), *, go_on: Callable[[], bool]) -> None:
        """Complete it, have it on the disk, and give it its name.

        Args:
            marks: On the file's clock; they stand behind the samples of a WAV.
            go_on: Asked now and then whether anybody still waits for it.

        Raises:
            OSError: It cannot be done.
        """
        if self._wav:
            chunks, data_bytes = cue_chunks(marks), self.file_bytes - HEADER_BYTES
            header = wav_header(
                self._format.rate_hz,
                data_bytes,
                channels=self._format.channels,
                behind_bytes=len(chunks),
            )
            self._disk.write_at(self._fd, header, 0)
            self._disk.write_at(self._fd, chunks, self.file_bytes)
            self.file_bytes += len(chunks)
        self._disk.sync(self._fd)
        with contextlib.suppress(OSError):  # without a hash, it is whole all the same
            # All of it was written a moment ago, so that this reads memory, and not the disk.
            self.sha256 = sha256_of(self._fd, self._disk, go_on=go_on)
        self._aside = put_in_place(self._part, self._path, self._disk)
        self._placed = True
        self._disk.sync_directory(self._path.parent)

    def close(self) -> None:
        """It is finished, and stays. Raises nothing: all of it is on the disk."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                self._disk.close(fd)

    def discard(self) -> None:
        """Remove it, at its name too, and put what stood there back. Raises nothing."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        with contextlib.suppress(OSError):
            if self._placed:
                take_back(fd, self._path, self._aside, self._disk)
            else:
                # Its directory may have been renamed since.
                remove_ours(fd, opened_as(fd) or self._part, self._disk)
        with contextlib.suppress(OSError):
            self._disk.close(fd)

    def let_go(self) -> None:
        """In a forked child: close the descriptor and do nothing else."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
