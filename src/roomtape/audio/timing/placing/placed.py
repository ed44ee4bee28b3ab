"""What a placement says of a run of samples."""

from __future__ import annotations

from typing import NamedTuple

from ....types import Pcm


class Placed(NamedTuple):
    """Where a run belongs.

    Attributes:
        start: Position on the room grid; it may be in the past.
        pcm: The samples.
        gap_is_silence: What is missing right before ``start`` was never sent.
        at: When the least delayed part of it came ...
        delay: ... and how long after its place that was, in samples; None where the arrival says
            nothing about the sender's clock.
        epoch: Which anchor placed it: delays by different ones do not compare.
    """

    start: int
    pcm: Pcm
    gap_is_silence: bool
    at: int
    delay: int | None
    epoch: int
