"""An aiortc track as a source."""

from __future__ import annotations

import logging

from aiortc import MediaStreamTrack

from ...media.tracks import frames_of
from .source import Source

logger = logging.getLogger(__name__)


async def pull(track: MediaStreamTrack, source: Source) -> None:
    """Push what an aiortc track gives, until it ends; then close the source."""
    async for frame in frames_of(track, source.name):
        try:
            source.push(frame.pcm, frame.sample_rate, frame.pts)
        except ValueError as error:
            logger.warning("a frame is left out: %s", error)
    source.close()
