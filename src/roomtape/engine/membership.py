"""Who is in the room, and which source of the running recording is whose."""

from __future__ import annotations

import logging

from ..recording.recorder import AudioRecorder
from ..recording.sources.discretion import MOST_BY_CHARACTERS
from ..recording.sources.source import Source
from ..types import AudioFrame, FrameOrigin

logger = logging.getLogger(__name__)


class _Member:
    """One participant. Each audio track has a *lane*; a track that begins after another has ended
    goes on in its lane, so that a renegotiation does not make two participants of one."""

    def __init__(self, uid: str, *, local: bool) -> None:
        self.uid = uid
        self.local = local
        self.lanes: list[str | None] = [None]  # the track in each; None: free
        self.muted: dict[str, bool] = {}
        self.agrees: bool | None = None  # to be recorded; it has not said
        self.sources: list[Source] = []  # one a lane, while a recording runs
        self.refused = 0  # frames that could not be taken

    def lane(self, track: str) -> int:
        """The lane of ``track``, a new one if need be."""
        if track in self.lanes:
            return self.lanes.index(track)
        if None in self.lanes:
            lane = self.lanes.index(None)
            self.lanes[lane] = track
        else:
            lane = len(self.lanes)
            self.lanes.append(track)
        return lane

    def name(self, lane: int) -> str:
        return self.uid if lane == 0 else f"{self.uid} ({lane + 1})"


class Membership:
    """Keeps the members, and feeds their audio to one recorder at a time."""

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}
        self._local: _Member | None = None
        self._recorder: AudioRecorder | None = None

    def enter(self, recorder: AudioRecorder) -> None:
        """Everybody present goes into ``recorder``, and so does whoever comes."""
        self._recorder = recorder
        for member in self._everybody():
            member.sources = []
            self._say_consent(member)
            self._add_sources(member)

    def leave_recording(self, recorder: AudioRecorder) -> None:
        """Feed ``recorder`` no more."""
        if self._recorder is not recorder:
            return
        self._recorder = None
        for member in self._everybody():
            member.sources = []

    def clear(self) -> None:
        """The room was left."""
        for uid in tuple(self._members):
            self.left(uid)

    def set_local(self, uid: str | None) -> None:
        """The local user publishes something as ``uid``, or nothing (None)."""
        if uid is None:
            if self._local is not None:
                _close(self._local)
            self._local = None
        elif self._local is None:
            self._local = _Member(uid, local=True)
            self._add_sources(self._local)

    def joined(self, uid: str) -> None:
        if uid in self._members:
            self.left(uid)
        member = self._members[uid] = _Member(uid, local=False)
        self._add_sources(member)

    def left(self, uid: str) -> None:
        member = self._members.pop(uid, None)
        if member is not None:
            _close(member)
            if self._recorder is not None:
                self._recorder.ask_again(uid)

    def consent(self, uid: str, agrees: bool) -> None:
        """Somebody agrees to be recorded, or does not."""
        member = self._members.get(uid)
        if member is not None:
            member.agrees = agrees
            self._say_consent(member)

    def audio(self, uid: str, track: str, frame: AudioFrame) -> None:
        member = self._members.get(uid)
        if member is not None:
            self._push(member, track, frame)

    def local_audio(self, frame: AudioFrame) -> None:
        if self._local is not None:
            self._push(self._local, "local", frame)

    def muted(self, uid: str, track: str, muted: bool) -> None:
        member = self._members.get(uid)
        if member is not None:
            self._mute(member, track, muted)

    def local_muted(self, muted: bool) -> None:
        if self._local is not None:
            self._mute(self._local, "local", muted)

    def track_ended(self, uid: str, track: str) -> None:
        member = self._members.get(uid)
        if member is not None and track in member.lanes:
            member.lanes[member.lanes.index(track)] = None
            member.muted.pop(track, None)

    def _everybody(self) -> list[_Member]:
        return [*self._members.values(), *([self._local] if self._local else [])]

    def _say_consent(self, member: _Member) -> None:
        if self._recorder is None or member.agrees is None:
            return
        say = self._recorder.agree if member.agrees else self._recorder.withdraw
        say(member.uid, by=member.uid[:MOST_BY_CHARACTERS])

    def _push(self, member: _Member, track: str, frame: AudioFrame) -> None:
        lane = member.lane(track)
        if self._recorder is None:
            return
        if lane >= len(member.sources):
            self._add_sources(member)
        try:
            source = member.sources[lane]
            source.push(
                frame.pcm,
                frame.sample_rate,
                frame.pts,
                captured_ns=frame.captured_ns,
                gap_is_silence=frame.gap_is_silence,
            )
            if frame.origin is not FrameOrigin.SENT or frame.left_out or frame.dropped_packets:
                source.count_origin(
                    frame.origin,
                    len(frame.pcm),
                    frame.sample_rate,
                    left_out=frame.left_out,
                    dropped_packets=frame.dropped_packets,
                )
            if frame.lost_somewhere is not None:
                source.count_loss(frame.lost_somewhere, frame.sample_rate)
        except ValueError as error:  # whose audio is odd harms nobody else's
            member.refused += 1
            if member.refused == 1:
                logger.warning("a frame is left out, and so may others be: %s", error)

    def _mute(self, member: _Member, track: str, muted: bool) -> None:
        member.muted[track] = muted
        lane = member.lane(track)
        if self._recorder is not None and lane >= len(member.sources):
            self._add_sources(member)
        if lane < len(member.sources):
            member.sources[lane].set_muted(muted)

    def _add_sources(self, member: _Member) -> None:
        """One source for each lane that has none."""
        if self._recorder is None or self._recorder.over:
            return
        for lane in range(len(member.sources), len(member.lanes)):
            source = self._recorder.add_source(member.name(lane), local=member.local)
            track = member.lanes[lane]
            if track is not None and member.muted.get(track):
                source.set_muted(True)
            member.sources.append(source)


def _close(member: _Member) -> None:
    for source in member.sources:
        source.close()
