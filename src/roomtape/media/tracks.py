"""aiortc's audio tracks as frames of PCM, for whoever records or publishes one."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import TYPE_CHECKING

from ..types import AudioFrame
from .frames import pcm_of, pts_of

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack

logger = logging.getLogger(__name__)


_REMOTE_TRACK = "RemoteStreamTrack"
_TAP = "roomtape.rooms.rtp.tracks"


def tap_packets(
    track: MediaStreamTrack, on_frame: Callable[[AudioFrame], None], on_ended: Callable[[], None]
) -> Callable[[], None] | None:
    """Have a receiver's packets as they come, without aiortc's jitter buffer, which loses more than
    the network did. See :func:`roomtape.rooms.rtp.tracks.tap`.

    How packets are received is known above, where rooms are: it is found by its name, and only when
    somebody has such a track.

    Returns:
        What ends it; None if the track is no receiver's own: then :func:`frames_of` reads it.
    """
    if type(track).__name__ != _REMOTE_TRACK:
        return None
    close: Callable[[], None] | None = import_module(_TAP).tap(track, on_frame, on_ended)
    if close is None:
        logger.warning("%s: its receiver is not found; aiortc may lose some of it", track.id)
    return close


async def frames_of(track: MediaStreamTrack, name: str) -> AsyncIterator[AudioFrame]:
    """What ``track`` hands out, until it ends.

    A track that fails instead of ending is logged and counts as ended: whoever reads it has other
    participants to serve.

    Args:
        track: It has no other reader.
        name: For the log.
    """
    import av  # noqa: PLC0415 (only who has a track)
    from aiortc.mediastreams import MediaStreamError  # noqa: PLC0415

    while True:
        try:
            frame = await track.recv()
            if not isinstance(frame, av.AudioFrame):
                logger.warning("%s: the track gives %s, not audio", name, type(frame).__name__)
                return
            yield AudioFrame(pcm_of(frame), frame.sample_rate, pts_of(frame))
        except MediaStreamError:
            return
        except Exception:  # a track is anybody's code
            logger.exception("%s: the track failed, and counts as ended", name)
            return
