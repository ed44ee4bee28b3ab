"""Audio in memory, and how it came."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # the command line has these types, but does without arrays for most of its work
    import numpy as np
    import numpy.typing as npt

Pcm: TypeAlias = "npt.NDArray[np.int16]"
"""Interleaved signed 16-bit PCM, shape ``(frames,)`` (mono) or ``(frames, channels)``."""

Block: TypeAlias = "npt.NDArray[np.float32]"
"""Samples, shape ``(frames, channels)``; full scale is 1.0."""

NS_PER_S = 1_000_000_000


class FrameOrigin(enum.StrEnum):
    """How a frame came."""

    SENT = "sent"
    RESENT = "resent"
    """It was lost on the way, asked for again, and came."""
    FEC = "fec"
    """It was lost on the way; the packet after it held it in short (forward error correction)."""


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """A piece of one participant's audio, as a room hands it out.

    Attributes:
        pcm: int16, shape ``(frames,)`` or ``(frames, channels)``.
        sample_rate: Hz.
        pts: The first sample's position on the sender's own clock, in samples at
            ``sample_rate``; None where the transport gives no timestamps.
        gap_is_silence: The sender sent nothing between the previous frame and this one
            (DTX, mute), so a jump in ``pts`` is silence and not loss.
        origin: How it came.
        left_out: Samples that came since the frame before this one and are not handed out, since
            they came faster than they can have been spoken. A frame that only tells of them
            is empty.
        dropped_packets: How many packets the kernel dropped since the frame before this one,
            because this process did not take them in time.
        lost_somewhere: Samples that were lost since the frame before this one, of a transport that
            conceals loss and does not say where it was; None where ``pts`` says it.
        captured_ns: When it came, or would have come by the shortest way in the room, by
            ``time.monotonic_ns()``; None where it comes now, or nobody knows.
    """

    pcm: Pcm
    sample_rate: int
    pts: int | None = None
    gap_is_silence: bool = False
    origin: FrameOrigin = FrameOrigin.SENT
    left_out: int = 0
    dropped_packets: int = 0
    lost_somewhere: int | None = None
    captured_ns: int | None = None
