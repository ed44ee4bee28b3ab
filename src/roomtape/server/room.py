"""One room and its seats: who is told what, and what is kept for somebody who is away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from .budget import Budget
from .flow import JOINS_BURST, JOINS_PER_S, Flow
from .link import Link, Note
from .names import look
from .protocol import Join

MAX_HELD = 128
"""Offers, answers and candidates held for an absent client: 32 others, a few each."""
MAX_HELD_BYTES = 512 * 1024
MAX_ADDRESSES = 1024
"""Of which a room remembers how many have come from there."""


class Seat:
    """One participant's place in one room."""

    def __init__(self, room: Room, join: Join, number: int, link: Link) -> None:
        self.room = room
        self.uid = join.uid
        self.look = look(join.uid)
        self.session = join.session
        self.number = number
        self.muted = join.muted
        self.recording = join.recording
        self.asks = join.asks
        self.agrees = join.agrees
        self.link: Link | None = link
        self.expiry: asyncio.TimerHandle | None = None
        self.flows: WeakKeyDictionary[Seat, Flow] = WeakKeyDictionary()
        self._held: deque[Note] = deque()
        self._held_bytes = 0

    def as_dict(self) -> dict[str, Any]:
        """What the others are told of this participant."""
        return {
            "uid": self.uid,
            "session": self.session,
            "number": self.number,
            "muted": self.muted,
            "recording": self.recording,
            "asks": self.asks,
            "agrees": self.agrees,
            "away": self.link is None,
        }

    def send(self, note: Note) -> bool:
        """Send a message to the participant, or hold it for its return.

        Returns:
            False if it was left out, because too much waits already.
        """
        if self.link is not None:
            return self.link.send(note)
        if note.relayed:
            self._held.append(note)
            self._held_bytes += len(note.text)
            while len(self._held) > MAX_HELD or self._held_bytes > MAX_HELD_BYTES:
                self._held_bytes -= len(self._held.popleft().text)
        return True

    def release(self) -> None:
        """The participant is back: send what was held."""
        held, self._held, self._held_bytes = self._held, deque(), 0
        for note in held:
            self.send(note)


class Room:
    def __init__(self, name: str) -> None:
        self.name = name
        self.seats: dict[str, Seat] = {}
        self._joins: dict[str, Budget] = {}

    def lets_in(self, household: str) -> bool:
        """Whether one more may come in from there now: everybody else has to deal with each."""
        if len(self._joins) > MAX_ADDRESSES:
            self._joins.clear()
        joins = self._joins.setdefault(household, Budget(per_s=JOINS_PER_S, burst=JOINS_BURST))
        if not joins.affords(1):
            return False
        joins.spend(1)
        return True

    def tell_others(self, seat: Seat, message: Mapping[str, Any]) -> None:
        note = Note.of(message)
        for other in self.seats.values():
            if other is not seat:
                other.send(note)
