"""Recordings on disk: the only package that opens them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ..types import AudioFormat
from .disk import Disk
from .live import LiveAdts, LiveWav
from .ring import Ring
from .sink import Sink, SinkFormat


def create_sink(path: Path, sink_format: SinkFormat, disk: Disk) -> Sink:
    """Create what a recording to ``path`` is written to; nothing shows at ``path`` yet.

    Raises:
        OSError: It cannot be created, or a directory stands at ``path``. Nothing is left behind
            then.
        FileError: The path is too long to be noted in a ring.
    """
    if path.is_dir() and not path.is_symlink():
        # A file there would be moved aside; moving a whole directory away is nobody's wish.
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if sink_format.cycle_s:
        return Ring(path, sink_format, disk)
    if sink_format.audio_format is AudioFormat.WAV:
        return LiveWav(path, sink_format, disk)
    return LiveAdts(path, sink_format, disk)
