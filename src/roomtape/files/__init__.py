"""Recordings on disk: the only package that opens them."""

from __future__ import annotations

from pathlib import Path

from ..types import AudioFormat
from .disk import Disk
from .live import LiveAdts, LiveWav
from .ring import Ring
from .sink import Sink, SinkFormat


def create_sink(path: Path, sink_format: SinkFormat, disk: Disk) -> Sink:
    """Create what a recording to ``path`` is written to; nothing shows at ``path`` yet.

    Raises:
        OSError: It cannot be created. Nothing is left behind then.
    """
    if sink_format.cycle_s:
        return Ring(path, sink_format, disk)
    if sink_format.audio_format is AudioFormat.WAV:
        return LiveWav(path, sink_format, disk)
    return LiveAdts(path, sink_format, disk)
