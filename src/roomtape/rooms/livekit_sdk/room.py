"""A LiveKit room that the program has joined itself, with LiveKit's own SDK: an agent, above all.

Who can let the recorder join by itself should (:class:`~roomtape.rooms.LiveKitRoom`): the SDK does
not say when its audio was spoken, nor where something is missing (:mod:`.tracks`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from livekit import rtc

from ...media.local_audio import LocalAudio
from ...types import AudioFrame
from ...types.errors import StateError
from ..attributes import AGREES, agreement_in
from ..base import Room, RoomListener
from ..guarded import GuardedListener
from .published import PublishedAudio
from .tracks import RemoteSdkTrack

logger = logging.getLogger(__name__)

NO_TRACK = "none"
"""Stands for the track of somebody of whom no audio is subscribed to, and is muted."""


class LiveKitSdkRoom(Room):
    """A ``livekit.rtc.Room`` that somebody else joins, leaves and owns.

    :meth:`join` begins to listen, :meth:`leave` ends it; the room itself is left alone. What is
    heard is what the program has subscribed to (``auto_subscribe``).

    Args:
        room: Connected before :meth:`join`.
    """

    def __init__(self, room: rtc.Room) -> None:
        self._room = room
        self._listener: RoomListener | None = None
        self._tracks: dict[str, tuple[str, RemoteSdkTrack]] = {}
        self._members: set[str] = set()
        self._silent: set[str] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self.local_audio = PublishedAudio(room)
        """What the program publishes: give it to ``engine.set_local_audio`` as the local side."""

    async def join(
        self,
        *,
        token: str | None,
        channel: str,
        uid: str,
        listener: RoomListener,
        local_audio: LocalAudio | None,
    ) -> None:
        """Begin to listen. Token, channel and uid are those with which the program has joined."""
        del token, channel, uid
        if self._listener is not None:
            raise StateError("this room is listened to already: leave() first")
        if not self._room.isconnected():
            raise StateError("the program's room is not connected: connect() it first")
        await self.publish(local_audio)
        self._listener = GuardedListener(listener)
        for event, callback in self._callbacks().items():
            self._room.on(event, callback)
        for participant in self._room.remote_participants.values():
            self._came(participant)

    async def leave(self) -> None:
        self._close("left")
        if self._closing:
            await asyncio.wait(self._closing)

    @property
    def can_publish(self) -> bool:
        return False

    async def publish(self, local_audio: LocalAudio | None) -> None:
        if local_audio is not None and local_audio is not self.local_audio:
            logger.warning(
                "the program publishes its audio itself: the others do not hear the local audio"
            )

    async def set_muted(self, muted: bool) -> None:
        """Whoever owns the room mutes its tracks."""

    async def set_recording(self, recording: bool) -> None:
        """Whoever owns the room tells the others, if it wants to."""

    # -- what the SDK tells -------------------------------------------------------------------

    def _callbacks(self) -> dict[Any, Callable[..., None]]:
        return {
            "participant_connected": self._came,
            "participant_disconnected": self._went,
            "track_subscribed": self._subscribed,
            "track_unsubscribed": self._unsubscribed,
            "participant_attributes_changed": self._attributes_changed,
            "track_muted": self._muted,
            "track_unmuted": self._unmuted,
            # The SDK may leave out "disconnected" where the program disconnects.
            "connection_state_changed": self._state_changed,
        }

    def _came(self, participant: rtc.RemoteParticipant) -> None:
        assert self._listener is not None
        uid = participant.identity
        if uid in self._members:
            return
        self._members.add(uid)
        self._listener.on_participant_joined(uid)
        self._consents(participant)
        self._set_silent(uid, True)
        for publication in participant.track_publications.values():
            if publication.subscribed and publication.track is not None:
                self._subscribed(publication.track, publication, participant)

    def _went(self, participant: rtc.RemoteParticipant) -> None:
        assert self._listener is not None
        uid = participant.identity
        for sid in [sid for sid, (owner, _) in self._tracks.items() if owner == uid]:
            self._end(sid)
        self._silent.discard(uid)
        if uid in self._members:
            self._members.discard(uid)
            self._listener.on_participant_left(uid, "left")

    def _subscribed(
        self, track: Any, publication: rtc.RemoteTrackPublication, participant: Any
    ) -> None:
        assert self._listener is not None
        if not isinstance(track, rtc.RemoteAudioTrack) or publication.sid in self._tracks:
            return
        uid, sid, listener = participant.identity, publication.sid, self._listener
        self._came(participant)
        self._set_silent(uid, False)

        def heard(frame: AudioFrame) -> None:
            listener.on_audio(uid, sid, frame)

        listener.on_muted(uid, sid, publication.muted)
        self._tracks[sid] = (uid, RemoteSdkTrack(track, heard))

    def _unsubscribed(
        self, track: Any, publication: rtc.RemoteTrackPublication, participant: Any
    ) -> None:
        del track
        if publication.sid in self._tracks:
            self._end(publication.sid)
            if not any(uid == participant.identity for uid, _ in self._tracks.values()):
                self._set_silent(participant.identity, True)

    def _muted(self, participant: Any, publication: Any) -> None:
        self._tell_muted(participant.identity, publication.sid, True)

    def _unmuted(self, participant: Any, publication: Any) -> None:
        self._tell_muted(participant.identity, publication.sid, False)

    def _attributes_changed(self, changed: Any, participant: Any) -> None:
        if AGREES in changed and participant.identity in self._members:
            self._consents(participant, taken_back=False)

    def _state_changed(self, state: Any) -> None:
        if state == rtc.ConnectionState.CONN_DISCONNECTED:
            self._close("the program's room was disconnected")

    # -- inside -------------------------------------------------------------------------------

    def _tell_muted(self, uid: str, sid: str, muted: bool) -> None:
        if sid in self._tracks and self._listener is not None:
            self._listener.on_muted(uid, sid, muted)

    def _consents(
        self, participant: rtc.RemoteParticipant, *, taken_back: bool | None = None
    ) -> None:
        """It agrees to be recorded, or does not; where nothing is said, ``taken_back``."""
        agrees = agreement_in(participant.attributes)
        agrees = taken_back if agrees is None else agrees
        if agrees is not None and self._listener is not None:
            self._listener.on_participant_consent(participant.identity, agrees)

    def _set_silent(self, uid: str, silent: bool) -> None:
        """Somebody has no audio that could be heard, or has now."""
        assert self._listener is not None
        if silent is (uid in self._silent):
            return
        self._listener.on_muted(uid, NO_TRACK, silent)
        if silent:
            self._silent.add(uid)
        else:
            self._silent.discard(uid)
            self._listener.on_track_ended(uid, NO_TRACK)

    def _end(self, sid: str) -> None:
        assert self._listener is not None
        uid, track = self._tracks.pop(sid)
        task = asyncio.get_running_loop().create_task(track.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        self._listener.on_track_ended(uid, sid)

    def _close(self, reason: str) -> None:
        listener = self._listener
        if listener is None:
            return
        for event, callback in self._callbacks().items():
            self._room.off(event, callback)
        for sid in tuple(self._tracks):
            self._end(sid)
        for uid in tuple(self._members):
            listener.on_participant_left(uid, reason)
        self._members.clear()
        self._silent.clear()
        self._listener = None
        listener.on_closed(reason)
