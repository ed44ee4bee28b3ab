"""aiortc's audio tracks as frames of PCM, for whoever records or publishes one."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from ..types import AudioFrame, Pcm

logger = logging.getLogger(__name__)


async def frames_of(track: MediaStreamTrack, name: str) -> AsyncIterator[AudioFrame]:
    """What ``track`` hands out, until it ends.

    A track that fails instead of ending is logged and counts as ended: whoever reads it has other
    participants to serve.

    Args:
        track: It has no other reader.
        name: For the log.
    """
    while True:
        try:
            frame = await track.recv()
            if not isinstance(frame, av.AudioFrame):
                logger.warning("%s: the track gives %s, not audio", name, type(frame).__name__)
                return
            pts = frame.pts
            if pts is not None and frame.time_base is not None:
                pts = round(pts * frame.time_base * frame.sample_rate)
            yield AudioFrame(pcm_of(frame), frame.sample_rate, pts)
        except MediaStreamError:
            return
        except Exception:  # a track is anybody's code
            logger.exception("%s: the track failed, and counts as ended", name)
            return


def pcm_of(frame: av.AudioFrame) -> Pcm:
    """The samples of a frame of any format, as int16 of shape ``(frames, channels)``, or
    ``(frames,)`` where there is one channel.

    Raises:
        ValueError: The frame is of a format that nobody uses for audio.
    """
    channels = len(frame.layout.channels)
    if frame.format.name == "s16":
        # What nearly every track gives. A plane may be padded; its first bytes are the samples.
        packed = np.frombuffer(bytes(frame.planes[0]), np.int16, frame.samples * channels)
        return packed if channels == 1 else packed.reshape(-1, channels)
    samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, channels)
    return _as_int16(samples if channels > 1 else samples[:, 0])


def _as_int16(samples: npt.NDArray[Any]) -> Pcm:
    match samples.dtype.kind, samples.dtype.itemsize:
        case "i", 2:
            return np.ascontiguousarray(samples, np.int16)
        case "i", 4:
            high: Pcm = (samples >> 16).astype(np.int16)
            return high
        case "u", 1:
            return (samples.astype(np.int16) - np.int16(128)) * np.int16(256)
        case "f", _:
            rounded: Pcm = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
            return rounded
    raise ValueError(f"a frame of {samples.dtype} samples is no audio")
