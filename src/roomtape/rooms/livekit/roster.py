"""Everybody else in a LiveKit room, over all of our connections to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from ..base import RoomListener
from ..rtp.bounds import Excess
from ..rtp.receive import Incoming, RemoteAudio
from . import wire
from .description import MAX_TRACKS
from .participant import RemoteParticipant, RemoteTrack

logger = logging.getLogger(__name__)

REAPPEAR_WITHIN_S = 20.0
"""How long a participant is kept whom a room that began anew (a restarted server, another node)
does not know yet: SDKs wait for up to ten seconds between two tries."""


class Roster:
    """Knows who is there, and asks for their audio.

    Call :meth:`welcome` each time we are in, :meth:`update` with what is said after that, and
    :meth:`clear` at the end.

    Args:
        listener: Is told; never raises.
        subscribe: Asks the server for tracks: track ids by participant id.
        excess: Where is counted what is left out.
    """

    def __init__(
        self,
        listener: RoomListener,
        *,
        subscribe: Callable[[Mapping[str, Iterable[str]]], None],
        excess: Excess,
    ) -> None:
        self._listener = listener
        self._subscribe = subscribe
        self._excess = excess
        self._members: dict[str, RemoteParticipant] = {}
        self._asked: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._told_encrypted: set[str] = set()

    @property
    def encrypted(self) -> str:
        """Who publishes audio that we cannot hear, in a room in which nobody can be heard; empty if
        somebody can, or nobody publishes."""
        hidden = [each.uid for each in self._members.values() if each.encrypted]
        heard = any(True for each in self._members.values() for _ in each.tracks)
        return hidden[0] if hidden and not heard else ""

    def welcome(self, present: Iterable[wire.Participant], *, same_life: bool) -> None:
        """We are in, perhaps again.

        Args:
            present: Who else is.
            same_life: The room has been there all the time, so who is missing has left.
        """
        self._asked.clear()
        present = [seen for seen in present if not seen.left]
        missing = self._members.keys() - {seen.uid for seen in present}
        for uid in missing:
            if same_life:
                self._remove(self._members[uid], "left")
        for member in self._members.values():
            member.awaited = True
        if missing and not same_life:
            self._wait_for_missing()
        self.update(present)

    def update(self, seen: Iterable[wire.Participant]) -> None:
        """Take in what is said of some participants."""
        for each in seen:
            known = self._members.get(each.uid)
            if each.left:
                if known is not None and known.sid == each.sid:
                    self._remove(known, each.left)
                continue
            if known is not None and known.sid != each.sid and not known.awaited:
                self._remove(known, "replaced")
                known = None
            if known is not None:
                known.update(each)
            elif len(self._members) < wire.MAX_PARTICIPANTS:
                self._members[each.uid] = RemoteParticipant(each, self._listener)
            else:
                self._excess.add(f"participants, more than {wire.MAX_PARTICIPANTS}")
        self._tell_encrypted()
        self._ask()

    def open(self, sid: str, incoming: Incoming) -> RemoteAudio | None:
        """What takes the packets of a track that is sent to us."""
        track = self._track(sid)
        return None if track is None else track.open(incoming)

    def owner(self, sid: str) -> str:
        """Whose a track is; empty if nobody's."""
        return next((each.uid for each in self._members.values() if each.track(sid)), "")

    def clear(self, reason: str) -> None:
        """We are no longer in the room."""
        if self._timer is not None:
            self._timer.cancel()
        for member in tuple(self._members.values()):
            self._remove(member, reason)

    def _track(self, sid: str) -> RemoteTrack | None:
        for member in self._members.values():
            track = member.track(sid)
            if track is not None:
                return track
        return None

    def _ask(self) -> None:
        """For the audio of tracks that we have not asked for yet."""
        wanted: dict[str, list[str]] = {}
        there = {track.sid: each for each in self._members.values() for track in each.tracks}
        self._asked.intersection_update(there)
        for sid, member in there.items():
            if member.awaited or sid in self._asked:
                continue
            if len(self._asked) >= MAX_TRACKS - 1:
                self._excess.add(f"audio tracks, more than {MAX_TRACKS - 1}")
                break
            self._asked.add(sid)
            wanted.setdefault(member.sid, []).append(sid)
        if wanted:
            self._subscribe(wanted)

    def _tell_encrypted(self) -> None:
        if self.encrypted:
            return  # All of it is, which the room tells.
        for member in self._members.values():
            if member.encrypted and member.uid not in self._told_encrypted:
                self._told_encrypted.add(member.uid)
                logger.warning(
                    "the audio of %r is encrypted from end to end: it cannot be recorded",
                    member.uid,
                )

    def _remove(self, member: RemoteParticipant, reason: str) -> None:
        if self._members.get(member.uid) is member:
            del self._members[member.uid]
            self._told_encrypted.discard(member.uid)
            member.leave(reason)

    def _wait_for_missing(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(REAPPEAR_WITHIN_S, self._remove_missing)

    def _remove_missing(self) -> None:
        for member in tuple(self._members.values()):
            if member.awaited:
                self._remove(member, "connection lost")
