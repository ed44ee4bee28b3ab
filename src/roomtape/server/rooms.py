"""Who sits in which room.

A participant has a *seat*. Its WebSocket may drop and come back: for :data:`GRACE_S` the seat
is *away*, the others keep their media connections to it, and what they send to it is held.
After that the participant has left. Rooms come with their first seat and go with the last.

Everything here runs on the event loop's thread and never waits, so each call sees and leaves
a consistent room.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import secrets
from collections import deque
from collections.abc import Mapping
from typing import Any

from .link import Link
from .protocol import MAX_PARTICIPANTS, MAX_ROOMS, Join, JoinRefusal, Relay, State

HEARTBEAT_S = 2.5
"""A client that says nothing for so long is pinged, and has half as long to answer."""
GRACE_S = 5.0
"""With 1.5 heartbeats before it, the others hear of a vanished participant within 8.75 s."""
MAX_HELD = 128
"""Offers, answers and candidates held for an absent client: 32 others, a few each."""


class RefusedError(Exception):
    """The seat is not given; the text says why."""

    def __init__(self, code: JoinRefusal, message: str) -> None:
        super().__init__(message)
        self.code = code


class Seat:
    """One participant's place in one room."""

    def __init__(self, room: Room, join: Join, number: int, link: Link) -> None:
        self.room = room
        self.uid = join.uid
        self.session = join.session
        self.number = number
        self.resume = secrets.token_urlsafe(16)
        self.muted = join.muted
        self.recording = join.recording
        self.link: Link | None = link
        self.expiry: asyncio.TimerHandle | None = None
        self.held: deque[Mapping[str, Any]] = deque(maxlen=MAX_HELD)

    def as_dict(self) -> dict[str, Any]:
        """What the others are told of this participant."""
        return {
            "uid": self.uid,
            "session": self.session,
            "number": self.number,
            "muted": self.muted,
            "recording": self.recording,
            "away": self.link is None,
        }

    def send(self, message: Mapping[str, Any]) -> None:
        if self.link is not None:
            self.link.send(message)
        elif "from" in message:
            # Who is here, and how, comes with the next welcome; only relays must be kept.
            self.held.append(message)


class Room:
    def __init__(self, name: str) -> None:
        self.name = name
        self.seats: dict[str, Seat] = {}

    def tell_others(self, seat: Seat, message: Mapping[str, Any]) -> None:
        for other in self.seats.values():
            if other is not seat:
                other.send(message)


class Rooms:
    """All rooms of one server."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}
        self._instance = secrets.token_urlsafe(8)
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._rooms)

    def would_resume(self, join: Join) -> bool:
        """Whether ``join`` comes back to a seat of its own, for which it needs no new token."""
        room = self._rooms.get(join.room)
        seat = room.seats.get(join.uid) if room else None
        return seat is not None and _may_resume(seat, join)

    def take_seat(self, join: Join, link: Link) -> Seat:
        """Give out a seat, new or resumed, and tell everybody.

        Raises:
            RefusedError: The name is taken, or the room or the server is full.
        """
        room = self._rooms.get(join.room)
        old = room.seats.get(join.uid) if room else None
        if old is not None:
            if _may_resume(old, join):
                return self._resume(old, join, link)
            if old.link is not None:
                raise RefusedError(
                    "name_taken",
                    f"somebody called {join.uid!r} is in room {join.room!r} already: choose "
                    "another name",
                )
            self.vacate(old, "replaced")
            room = self._rooms.get(join.room)
        if room is None:
            if len(self._rooms) >= MAX_ROOMS:
                raise RefusedError("server_full", f"the server has {MAX_ROOMS} rooms: no more fit")
            room = self._rooms[join.room] = Room(join.room)
        if len(room.seats) >= MAX_PARTICIPANTS:
            raise RefusedError(
                "room_full", f"the room has {MAX_PARTICIPANTS} participants: it is full"
            )
        seat = Seat(room, join, next(self._numbers), link)
        self._welcome(seat, resumed=False)
        room.seats[seat.uid] = seat
        room.tell_others(seat, {"type": "joined", "participant": seat.as_dict()})
        return seat

    def leave_away(self, seat: Seat, link: Link, unsent: list[Mapping[str, Any]]) -> None:
        """The seat's WebSocket dropped: hold the seat for a while.

        Does nothing if the seat has another WebSocket by now, or is gone.
        """
        if seat.link is not link or seat.room.seats.get(seat.uid) is not seat:
            return
        seat.link = None
        for message in unsent:
            seat.send(message)
        seat.expiry = asyncio.get_running_loop().call_later(
            GRACE_S, self.vacate, seat, "connection lost"
        )
        self._tell_state(seat)

    def vacate(self, seat: Seat, reason: str) -> None:
        """The participant is gone; does nothing the second time."""
        room = seat.room
        if room.seats.get(seat.uid) is not seat:
            return
        del room.seats[seat.uid]
        if seat.expiry is not None:
            seat.expiry.cancel()
        room.tell_others(
            seat, {"type": "left", "uid": seat.uid, "session": seat.session, "reason": reason}
        )
        if not room.seats:
            del self._rooms[room.name]

    def change_state(self, seat: Seat, state: State) -> None:
        if state.muted is not None:
            seat.muted = state.muted
        if state.recording is not None:
            seat.recording = state.recording
        self._tell_state(seat)

    def relay(self, seat: Seat, relay: Relay) -> bool:
        """Pass a message on.

        Returns:
            Whether its addressee is in the room.
        """
        other = seat.room.seats.get(relay.to)
        if other is None or other is seat:
            return False
        other.send({"type": relay.kind, "from": seat.uid, "call": relay.call, **relay.content})
        return True

    def _resume(self, seat: Seat, join: Join, link: Link) -> Seat:
        if seat.link is not None:
            # The client saw its connection drop before we did.
            seat.link.end(4001)
        if seat.expiry is not None:
            seat.expiry.cancel()
            seat.expiry = None
        seat.link = link
        seat.muted, seat.recording = join.muted, join.recording
        self._welcome(seat, resumed=True)
        while seat.held:
            link.send(seat.held.popleft())
        self._tell_state(seat)
        return seat

    def _welcome(self, seat: Seat, *, resumed: bool) -> None:
        others = [other.as_dict() for other in seat.room.seats.values() if other is not seat]
        seat.send(
            {
                "type": "welcome",
                "server": self._instance,
                "resume": seat.resume,
                "resumed": resumed,
                "number": seat.number,
                "participants": others,
            }
        )

    def _tell_state(self, seat: Seat) -> None:
        seat.room.tell_others(seat, {"type": "state", "participant": seat.as_dict()})


def _may_resume(seat: Seat, join: Join) -> bool:
    """Whether ``join`` comes from the participant who has this seat."""
    return (
        join.resume is not None
        and hmac.compare_digest(join.resume.encode(), seat.resume.encode())
        and join.session == seat.session
    )
