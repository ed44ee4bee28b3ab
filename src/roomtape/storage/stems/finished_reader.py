"""Reading the file that the ring of a stem has become."""

from __future__ import annotations

from ...types import AudioFormat
from ..disk import Disk
from ..pieces.readers import AdtsIndex, AdtsReader, Reader, WavReader
from ..recover_live import our_frames
from ..sink import Finished, SinkFormat


def reader_of(
    finished: Finished, first: int, stop: int, sink_format: SinkFormat, disk: Disk
) -> Reader:
    """Read the samples ``[first, stop)`` of the recording, as far as they are in it.

    Raises:
        OSError: It cannot be opened.
    """
    end = finished.first_sample + finished.samples
    fd = disk.open_existing(finished.path)
    try:
        what = (fd, first, min(stop, end), lambda: end, disk)
        if sink_format.audio_format is AudioFormat.WAV:
            return WavReader(*what, base=finished.first_sample)
        index = AdtsIndex()
        for _, behind in our_frames(fd, disk.size(fd), disk):
            index.add(behind - index.end)
        return AdtsReader(*what, base=finished.first_sample, index=index)
    finally:
        disk.close(fd)
