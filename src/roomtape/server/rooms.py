"""Who sits in which room.

A participant has a *seat*. Its WebSocket may drop and come back: for :data:`GRACE_S` the seat
is *away*, the others keep their media connections to it, and what they send to it is held;
nobody else can have it. After that the participant has left. Rooms come with their first seat
and go with the last.

Everything here runs on the event loop's thread and never waits, so each call sees and leaves
a consistent room.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from typing import Literal

from .flow import JOINS_PER_S, Flow
from .ice import IceServers
from .link import Link, Note
from .names import look
from .protocol import MAX_PARTICIPANTS, MAX_ROOMS, Join, JoinRefusal, Relay, State
from .room import Room, Seat
from .seldom import Seldom
from .token import ResumeKeys

logger = logging.getLogger(__name__)
logger.addFilter(Seldom())

HEARTBEAT_S = 2.5
"""A client that says nothing for so long is pinged, and has half as long to answer."""
GRACE_S = 5.0
"""With 1.5 heartbeats before it, the others hear of a vanished participant within 8.75 s."""


class RefusedError(Exception):
    """The seat is not given; the text says why."""

    def __init__(self, code: JoinRefusal, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotRelayedError(Exception):
    """A message is not passed on; the text says why."""

    def __init__(self, code: Literal["not_here", "too_much"], message: str) -> None:
        super().__init__(message)
        self.code = code


class Rooms:
    """All rooms of one server.

    Args:
        keys: Makes and checks resume keys.
        ice: Whom to tell newcomers of.
    """

    def __init__(self, keys: ResumeKeys, ice: IceServers) -> None:
        self._keys = keys
        self._ice = ice
        self._rooms: dict[str, Room] = {}
        self._instance = secrets.token_urlsafe(8)
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._rooms)

    def knows(self, join: Join) -> bool:
        """Whether ``join`` comes from somebody who was let in before, and needs no token again."""
        if not self._is_key(join):
            return False
        assert join.resume is not None
        return self._seat_of(join) is not None or self._keys.is_fresh(join.resume)

    def take_seat(self, join: Join, link: Link, household: str) -> Seat:
        """Give out a seat, new or resumed, and tell everybody.

        Args:
            household: Where the participant comes from.

        Raises:
            RefusedError: The name is taken, the room or the server is full, or too many have come
                from there.
        """
        mine = self._seat_of(join)
        if mine is not None:
            return self._resume(mine, join, link)
        room = self._rooms.get(join.room)
        if room is not None:
            _refuse_twins(room, join)
        elif len(self._rooms) >= MAX_ROOMS:
            raise RefusedError("server_full", f"the server has {MAX_ROOMS} rooms: no more fit")
        else:
            room = self._rooms[join.room] = Room(join.room)
        if len(room.seats) >= MAX_PARTICIPANTS:
            raise RefusedError(
                "room_full", f"the room has {MAX_PARTICIPANTS} participants: it is full"
            )
        if not room.lets_in(household):
            raise RefusedError(
                "room_busy",
                f"more than {JOINS_PER_S:.0f} a second have come into room {join.room!r} from "
                "this address: try again in a moment",
            )
        seat = Seat(room, join, next(self._numbers), link)
        self._welcome(seat, resumed=False)
        room.seats[seat.uid] = seat
        room.tell_others(seat, {"type": "joined", "participant": seat.as_dict()})
        return seat

    def leave_away(self, seat: Seat, link: Link, unsent: list[Note]) -> None:
        """The seat's WebSocket dropped: hold the seat for a while.

        Does nothing if the seat has another WebSocket by now, or is gone.
        """
        if seat.link is not link or seat.room.seats.get(seat.uid) is not seat:
            return
        seat.link = None
        for note in unsent:
            seat.send(note)
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

    def change_state(self, seat: Seat, state: State) -> bool:
        """Take in how a participant is, and tell the others.

        Returns:
            Whether that was anything new.
        """
        before = seat.as_dict()
        for what in ("muted", "recording", "asks", "agrees"):
            told = getattr(state, what)
            if told is not None:
                setattr(seat, what, told)
        if seat.as_dict() == before:
            return False
        self._tell_state(seat)
        return True

    def relay(self, seat: Seat, relay: Relay) -> None:
        """Pass a message on.

        Raises:
            NotRelayedError: It was not passed on; the code and the text say why.
        """
        other = seat.room.seats.get(relay.to)
        if other is None or other is seat:
            raise NotRelayedError("not_here", f"nobody else called {relay.to!r} is in the room")
        flow = seat.flows.setdefault(other, Flow())
        refusal = flow.refusal(relay)
        message = {"type": relay.kind, "from": seat.uid, "call": relay.call, **relay.content}
        if refusal is None and not other.send(Note.of(message)):
            refusal = f"{relay.to!r} reads too slowly"
        if refusal is not None:
            logger.warning("a message to a participant is not passed on: %s", refusal)
            raise NotRelayedError("too_much", refusal)

    def _seat_of(self, join: Join) -> Seat | None:
        """The seat that ``join`` comes back to."""
        room = self._rooms.get(join.room)
        seat = room.seats.get(join.uid) if room else None
        if seat is None or seat.session != join.session or not self._is_key(join):
            return None
        return seat

    def _is_key(self, join: Join) -> bool:
        return self._keys.fits(join.resume, room=join.room, uid=join.uid, session=join.session)

    def _resume(self, seat: Seat, join: Join, link: Link) -> Seat:
        if seat.link is not None:
            # The client saw its connection drop before we did.
            seat.link.end(4001)
        if seat.expiry is not None:
            seat.expiry.cancel()
            seat.expiry = None
        seat.link = link
        seat.muted, seat.recording = join.muted, join.recording
        seat.asks, seat.agrees = join.asks, join.agrees
        self._welcome(seat, resumed=True)
        seat.release()
        self._tell_state(seat)
        return seat

    def _welcome(self, seat: Seat, *, resumed: bool) -> None:
        others = [other.as_dict() for other in seat.room.seats.values() if other is not seat]
        key = self._keys.make(room=seat.room.name, uid=seat.uid, session=seat.session)
        welcome = {
            "type": "welcome",
            "server": self._instance,
            "uid": seat.uid,
            "resume": key,
            "resumed": resumed,
            "number": seat.number,
            "participants": others,
            "ice_servers": self._ice.for_client(seat.uid),
        }
        seat.send(Note.of(welcome))

    def _tell_state(self, seat: Seat) -> None:
        seat.room.tell_others(seat, {"type": "state", "participant": seat.as_dict()})


def _refuse_twins(room: Room, join: Join) -> None:
    """
    Raises:
        RefusedError: Somebody in the room has this name, or one that looks like it.
    """
    if join.uid in room.seats:
        away = room.seats[join.uid].link is None
        told = f"somebody called {join.uid!r} is in room {join.room!r} already: choose another name"
        if away:
            told = (
                f"{join.uid!r} is away from room {join.room!r} for a moment, and the name is "
                f"kept: choose another, or try again in {GRACE_S:.0f} s"
            )
        raise RefusedError("name_taken", told)
    mine = look(join.uid)
    for other in room.seats.values():
        if other.look == mine:
            raise RefusedError(
                "name_taken",
                f"{join.uid!r} looks like {other.uid!r}, who is in room {join.room!r}: choose "
                "another name",
            )
