"""One other participant of a LiveKit room, and its audio tracks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ...types import AudioFrame
from ..base import RoomListener
from ..rtp.receive import Incoming, RemoteAudio
from . import wire

NO_TRACK = "none"
"""Stands for the track of somebody who publishes no audio, and is muted."""
LONGEST_SILENCE_S = 1.2
"""Where packets follow each other without a gap in their numbers, a jump of their timestamps is
silence that nobody sent (DTX: 0.4 s at a time), or the server had nothing to send for another
reason. So a longer one is silence only where the track was muted."""
BEGINS_WITHIN_S = 2.0
"""The first packet of a track comes so soon after it was published; until then it is muted."""


class RemoteTrack:
    """An audio track, from being published to :meth:`end`, over any number of connections.

    Args:
        uid: Whose it is.
        sid: The server's name for it.
        listener: Is told; never raises.
        begins: It was just published: nothing was sent before its first packet.
    """

    def __init__(self, uid: str, sid: str, listener: RoomListener, *, begins: bool) -> None:
        self.sid = sid
        self._uid = uid
        self._listener = listener
        self._audio: RemoteAudio | None = None
        self._end_pts: int | None = None
        self._muted = False
        self._told: bool | None = None
        self._silent = begins  # nothing was sent since the last frame, for all that we know
        self._begins = begins
        self._timer: asyncio.TimerHandle | None = None
        if begins:
            self._tell_muted(True)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(BEGINS_WITHIN_S, self._begun)

    def open(self, incoming: Incoming) -> RemoteAudio:
        """What takes its packets from now on, in place of what did before."""
        if self._audio is not None:
            self._audio.close()
        self._end_pts = None
        self._audio = RemoteAudio(incoming, self._heard, _nothing, tap=False)
        return self._audio

    def set_muted(self, muted: bool) -> None:
        self._muted = muted
        self._silent = self._silent or muted
        if not self._begins:
            self._tell_muted(muted)

    def end(self, *, muted: bool) -> None:
        """It is no longer published; ``muted``: on purpose."""
        if self._timer is not None:
            self._timer.cancel()
        if self._audio is not None:
            self._audio.close()
            self._audio = None
        if muted:
            self._tell_muted(True)
        self._listener.on_track_ended(self._uid, self.sid)

    def _begun(self) -> None:
        self._begins = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell_muted(self._muted)

    def _tell_muted(self, muted: bool) -> None:
        if muted is not self._told:
            self._told = muted
            self._listener.on_muted(self._uid, self.sid, muted)

    def _heard(self, frame: AudioFrame) -> None:
        if self._begins:
            self._begun()
        pts, silence = frame.pts, frame.gap_is_silence
        assert pts is not None
        if self._silent:
            silence = silence or self._end_pts is None
        elif silence and self._end_pts is not None:
            longest = LONGEST_SILENCE_S * frame.sample_rate
            silence = pts - self._end_pts <= longest
        if silence is not frame.gap_is_silence:
            frame = replace(frame, gap_is_silence=silence)
        self._silent = self._muted
        end_pts = pts + len(frame.pcm)
        self._end_pts = end_pts if self._end_pts is None else max(end_pts, self._end_pts)
        self._listener.on_audio(self._uid, self.sid, frame)


class RemoteParticipant:
    """Somebody else, from coming to :meth:`leave`.

    Attributes:
        sid: The server's name for this stay.
        awaited: The room began anew, and it is not back yet.
    """

    def __init__(self, seen: wire.Participant, listener: RoomListener) -> None:
        self.uid = seen.uid
        self.sid = seen.sid
        self.awaited = False
        self._listener = listener
        self._recording = False
        self._agrees: bool | None = None
        self._tracks: dict[str, RemoteTrack] = {}
        self._encrypted: set[str] = set()
        self._silent = False  # NO_TRACK stands for its track
        self._restored = True  # it publishes again what it published before the room began anew
        listener.on_participant_joined(self.uid)
        self.update(seen)

    @property
    def encrypted(self) -> bool:
        """It publishes audio that only who has the room's key can hear."""
        return bool(self._encrypted)

    @property
    def tracks(self) -> Iterator[RemoteTrack]:
        """Those that can be heard."""
        return iter(self._tracks.values())

    def track(self, sid: str) -> RemoteTrack | None:
        return self._tracks.get(sid)

    def update(self, seen: wire.Participant) -> None:
        """Take in what the server says of it now, and tell what changed.

        Where the server has another name for it, the room began anew, and it with it.
        """
        self._restored = self._restored and seen.sid == self.sid
        self.sid, self.awaited = seen.sid, False
        if seen.recording is not self._recording:
            self._recording = seen.recording
            self._listener.on_participant_recording(self.uid, seen.recording)
        # Who has taken back what it said does not agree.
        agrees = False if seen.agrees is None and self._agrees else seen.agrees
        if agrees is not None and agrees is not self._agrees:
            self._agrees = agrees
            self._listener.on_participant_consent(self.uid, agrees)
        self._encrypted = {track.sid for track in seen.tracks if track.encrypted}
        published = {track.sid: track for track in seen.tracks if not track.encrypted}
        if not self._restored and not published:
            return  # it is about to publish again what it had published
        self._replace(published)
        self._restored = True

    def _replace(self, published: Mapping[str, wire.Track]) -> None:
        """These tracks are published now, and no others."""
        over = [sid for sid in self._tracks if sid not in published]
        fresh = [sid for sid in published if sid not in self._tracks]
        goes_on = not self._restored and bool(over)  # the same audio, under another name
        silent = not published and not self._encrypted
        for sid in over:
            self._tracks.pop(sid).end(muted=not silent and not goes_on)
        self._set_silent(silent)
        for sid in fresh:
            self._tracks[sid] = RemoteTrack(self.uid, sid, self._listener, begins=not goes_on)
        for sid, track in published.items():
            self._tracks[sid].set_muted(track.muted)

    def leave(self, reason: str) -> None:
        """It is no longer in the room; nothing is told of it after this."""
        for track in self._tracks.values():
            track.end(muted=False)
        self._tracks.clear()
        self._listener.on_participant_left(self.uid, reason)

    def _set_silent(self, silent: bool) -> None:
        if silent is self._silent:
            return
        self._silent = silent
        self._listener.on_muted(self.uid, NO_TRACK, silent)
        if not silent:
            self._listener.on_track_ended(self.uid, NO_TRACK)


def _nothing() -> None:
    """Tracks end by what the signalling says."""
