"""Writing a finished file in one go, and putting it in its place by rename."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ..types import AudioFormat, Mark
from .disk import Disk
from .naming import create_part, put_in_place
from .notes.cues import cue_chunks
from .proof.hashing import Digest, hashing
from .read_back import check_written
from .sink import Finished, SinkFormat
from .wav import wav_header

_AT_ONCE = 1 << 18  # larger pieces leave the cache between reading and writing


def write_finished(
    path: Path,
    sink_format: SinkFormat,
    units: Iterable[bytes | memoryview],
    *,
    skip_samples: int,
    first_unit: int,
    disk: Disk,
    read_back: bool = False,
    data_bytes: int | None = None,
    marks: Sequence[Mark] = (),
) -> Finished:
    """Write ``units`` to a file that appears at ``path`` complete, or not at all.

    Args:
        path: The target; what stands there is moved aside.
        sink_format: What the units are.
        units: In their order.
        skip_samples: How many samples of the first unit to leave out (WAV; a frame of AAC
            cannot be cut).
        first_unit: The first one's number in the recording.
        disk: Where the file goes.
        read_back: Read it from the disk before it appears, since what it is made from will go.
        data_bytes: How long the samples of a WAV will be: its header comes first, so it must be
            known for the SHA-256 to be computed on the way. None wants none.
        marks: On the file's clock; they stand behind the samples of a WAV.

    Raises:
        OSError: Nothing has changed at ``path`` then, and the half-written file is gone.
    """
    wav = sink_format.audio_format is AudioFormat.WAV
    skipped = skip_samples if wav else 0
    count, last_bytes, crc = 0, 0, 0

    def cut() -> Iterator[bytes | memoryview]:
        nonlocal count, last_bytes, crc
        for unit in units:
            piece = unit[skipped * 2 :] if count == 0 else unit
            if read_back:
                crc = zlib.crc32(piece, crc)
            yield piece
            count, last_bytes = count + 1, len(unit)

    asides: list[Path] = []
    chunks = cue_chunks(marks) if wav else b""

    def header_of(length: int) -> bytes:
        return wav_header(sink_format.rate_hz, length, behind_bytes=len(chunks)) if wav else b""

    expected = header_of(data_bytes or 0)
    with (
        hashing(data_bytes is not None) as digest,
        new_file(path, disk, on_aside=asides.append) as fd,
    ):
        digest.add(expected)
        end = _write_all(fd, cut(), len(expected), disk, digest)
        header = header_of(end - len(expected))
        if chunks:
            end = _write_all(fd, [chunks], end, disk, digest)
        disk.write_at(fd, header, 0)
        if read_back:
            check_written(fd, header, end, crc, disk)
    return Finished(
        path=path,
        samples=sink_format.samples_in(count, last_bytes) - skipped,
        first_sample=first_unit * sink_format.unit_samples + skipped,
        file_bytes=end,
        aside=asides[0] if asides else None,
        sha256=digest.hexdigest() if header == expected else "",
    )


@contextlib.contextmanager
def new_file(
    path: Path, disk: Disk, *, on_aside: Callable[[Path], None] | None = None
) -> Iterator[int]:
    """A file to fill, which appears at ``path`` when the block is left without an error.

    What stands there is moved aside, and ``on_aside`` told where to. After an error everything is
    as it was before.
    """
    fd, part = create_part(path, disk)
    try:
        yield fd
        disk.sync(fd)
        closing, fd = fd, -1
        disk.close(closing)
        aside = put_in_place(part, path, disk)
        if aside is not None and on_aside is not None:
            on_aside(aside)
    except BaseException:
        if fd >= 0:
            with contextlib.suppress(OSError):
                disk.close(fd)
        with contextlib.suppress(OSError):
            disk.remove(part)
        raise
    disk.sync_directory(path.parent)


def _write_all(
    fd: int, pieces: Iterable[bytes | memoryview], offset: int, disk: Disk, digest: Digest
) -> int:
    """Write and hash ``pieces`` from ``offset`` on, a quarter of a megabyte at once; return their
    end."""

    def write() -> None:
        data = b"".join(waiting)
        digest.add(data)
        disk.write_at(fd, data, offset)

    waiting: list[bytes | memoryview] = []
    waiting_bytes = 0
    for piece in pieces:
        waiting.append(piece)
        waiting_bytes += len(piece)
        if waiting_bytes >= _AT_ONCE:
            write()
            offset += waiting_bytes
            waiting, waiting_bytes = [], 0
    write()
    return offset + waiting_bytes
