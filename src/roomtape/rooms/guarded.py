"""Keeps a listener's exceptions out of the room that tells it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..types import AudioFrame
from .base import RoomListener

logger = logging.getLogger(__name__)


class GuardedListener:
    """Passes on to a listener, and logs what it raises."""

    def __init__(self, listener: RoomListener) -> None:
        self._listener = listener

    def on_participant_joined(self, uid: str) -> None:
        self._tell(self._listener.on_participant_joined, uid)

    def on_participant_left(self, uid: str, reason: str) -> None:
        self._tell(self._listener.on_participant_left, uid, reason)

    def on_participant_recording(self, uid: str, recording: bool) -> None:
        self._tell(self._listener.on_participant_recording, uid, recording)

    def on_participant_consent(self, uid: str, agrees: bool) -> None:
        self._tell(self._listener.on_participant_consent, uid, agrees)

    def on_audio(self, uid: str, track: str, frame: AudioFrame) -> None:
        try:  # as _tell does, fifty times a second for each who speaks
            self._listener.on_audio(uid, track, frame)
        except Exception:
            logger.exception("a room listener raised")

    def on_muted(self, uid: str, track: str, muted: bool) -> None:
        self._tell(self._listener.on_muted, uid, track, muted)

    def on_track_ended(self, uid: str, track: str) -> None:
        self._tell(self._listener.on_track_ended, uid, track)

    def on_closed(self, reason: str) -> None:
        self._tell(self._listener.on_closed, reason)

    @staticmethod
    def _tell(method: Callable[..., None], *args: object) -> None:
        try:
            method(*args)
        except Exception:
            logger.exception("a room listener raised")
