"""The track of a receiver that somebody else has negotiated, packet by packet."""

from __future__ import annotations

from collections.abc import Callable

from aiortc import MediaStreamTrack

from ...types import AudioFrame
from .aiortc_internals import CodecsOfReceiver, receiver_of
from .bounds import Excess
from .receive import Incoming, RemoteAudio


def tap(
    track: MediaStreamTrack, on_frame: Callable[[AudioFrame], None], on_ended: Callable[[], None]
) -> Callable[[], None] | None:
    """Hand out a track's frames from its packets, before aiortc's jitter buffer loses any. The
    track gives nothing to anybody else then. On the event loop's thread.

    Args:
        track: Any.
        on_frame, on_ended: See :class:`~.receive.RemoteAudio`.

    Returns:
        What ends it; None if the track is no receiver's own, and nothing was done.
    """
    receiver = receiver_of(track)
    if receiver is None:
        return None
    codecs, excess = CodecsOfReceiver(receiver), Excess(track.id)
    # Whether the sender answers NACKs, only the description says, which is not ours.
    return RemoteAudio(Incoming(receiver, codecs, False, excess), on_frame, on_ended).close
