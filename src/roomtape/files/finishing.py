"""Writing a finished file in one go, and putting it in its place by rename."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from ..types import AudioFormat
from .disk import Disk
from .naming import create_part, put_in_place
from .sink import Finished, SinkFormat
from .wav import HEADER_BYTES, wav_header

_AT_ONCE = 1 << 20


def write_finished(
    path: Path,
    sink_format: SinkFormat,
    units: Iterable[bytes],
    *,
    skip_samples: int,
    first_unit: int,
    disk: Disk,
) -> Finished:
    """Write ``units`` to a file that appears at ``path`` complete, or not at all.

    Args:
        path: The target; what stands there is moved aside.
        sink_format: What the units are.
        units: In their order.
        skip_samples: How many samples of the first unit to leave out (WAV; a frame of AAC
            cannot be cut).
        first_unit: The first one's number in the recording.

    Raises:
        OSError: Nothing has changed at ``path`` then, and the half-written file is gone.
    """
    wav = sink_format.audio_format is AudioFormat.WAV
    fd, part = create_part(path, disk)
    try:
        end = HEADER_BYTES if wav else 0
        skip_bytes = skip_samples * 2 if wav else 0
        count, last_bytes, waiting, waiting_bytes = 0, 0, [], 0
        for unit in units:
            count, last_bytes = count + 1, len(unit)
            waiting.append(unit[skip_bytes:] if skip_bytes else unit)
            waiting_bytes += len(waiting[-1])
            skip_bytes = 0
            if waiting_bytes >= _AT_ONCE:
                disk.write_at(fd, b"".join(waiting), end)
                end += waiting_bytes
                waiting, waiting_bytes = [], 0
        disk.write_at(fd, b"".join(waiting), end)
        end += waiting_bytes
        if wav:
            disk.write_at(fd, wav_header(sink_format.rate_hz, end - HEADER_BYTES), 0)
        disk.sync(fd)
        disk.close(fd)
        fd = -1
        put_in_place(part, path, disk)
    except BaseException:
        if fd >= 0:
            with contextlib.suppress(OSError):
                disk.close(fd)
        with contextlib.suppress(OSError):
            disk.remove(part)
        raise
    disk.sync_directory(path.parent)
    skipped = skip_samples if wav else 0
    return Finished(
        path=path,
        samples=sink_format.samples_in(count, last_bytes) - skipped,
        first_sample=first_unit * sink_format.unit_samples + skipped,
        file_bytes=end,
    )
