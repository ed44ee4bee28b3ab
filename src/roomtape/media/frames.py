"""PyAV's audio frames, for whoever has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..types import Pcm

if TYPE_CHECKING:
    import av


def pts_of(frame: av.AudioFrame) -> int | None:
    """The timestamp of a frame in samples; None if it has none."""
    pts = frame.pts
    if pts is not None and frame.time_base is not None:
        pts = round(pts * frame.time_base * frame.sample_rate)
    return pts


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
