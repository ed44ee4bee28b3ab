"""Which sink a recording is written to."""

from __future__ import annotations

from pathlib import Path

from ..types import AudioFormat
from .disk import Disk
from .live import LiveAdts, LiveFile, LiveWav
from .naming import refuse_directory
from .ring import Ring
from .sink import Sink, SinkFormat


def create_sink(
    path: Path, sink_format: SinkFormat, disk: Disk, *, stems: Path | None = None
) -> Sink:
    """Create what a recording to ``path`` is written to; nothing shows at ``path`` yet. Its stems
    go to ``stems``, if it has any.

    Raises:
        OSError: It cannot be created, or a directory stands at ``path``. Nothing is left behind
            then.
        FileError: The path is too long to be noted in a ring.
    """
    if sink_format.cycle_s:
        refuse_directory(path)
        return Ring(path, sink_format, disk, stems=stems)
    return create_live(path, sink_format, disk)


def create_live(
    path: Path, sink_format: SinkFormat, disk: Disk, *, first_sample: int = 0
) -> LiveFile:
    """Create a live file, whose first sample is this one of the recording; nothing shows at
    ``path`` yet.

    Raises:
        OSError: As :func:`create_sink`.
    """
    refuse_directory(path)
    wav = sink_format.audio_format is AudioFormat.WAV
    return (LiveWav if wav else LiveAdts)(path, sink_format, disk, first_sample=first_sample)
