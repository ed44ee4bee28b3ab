"""Units of a recording that say nothing, in place of others."""

from __future__ import annotations

from collections.abc import Sequence

from ...types import AudioFormat
from ..adts import least_frame_bytes, silent_frame
from ..sink import SinkFormat
from .stretches import Stretches

Unit = bytes | memoryview


def silent_unit(size: int, sink_format: SinkFormat) -> bytes:
    """A unit of ``size`` bytes that is silence (of AAC, of a few more where none is so short)."""
    if sink_format.audio_format is AudioFormat.WAV:
        return bytes(size)
    length = max(size, least_frame_bytes(sink_format.channels))
    return silent_frame(sink_format.rate_hz, sink_format.channels, length)


def silenced_pieces(
    pieces: Sequence[Unit], first: int, stretches: Stretches, sink_format: SinkFormat
) -> list[Unit]:
    """The same with silence in these stretches.

    Args:
        pieces: PCM, cut anywhere between samples; or whole ADTS frames.
        first: The sample that they begin with.
        stretches: In samples; a frame of AAC that one touches is silence as a whole.
        sink_format: What they are.
    """
    done: list[Unit] = []
    wav, frame = sink_format.audio_format is AudioFormat.WAV, sink_format.frame_bytes
    for piece in pieces:
        count = len(piece) // frame if wav else sink_format.unit_samples
        found = stretches.within(first, first + count)
        if found and not wav:
            done.append(silent_unit(len(piece), sink_format))
        elif found:
            data = bytearray(piece)
            for start, stop in found.spans:
                data[frame * (start - first) : frame * (stop - first)] = bytes(
                    frame * (stop - start)
                )
            done.append(bytes(data))
        else:
            done.append(piece)
        first += count
    return done
