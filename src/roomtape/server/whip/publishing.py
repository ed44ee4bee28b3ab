"""What the WHIP endpoint needs of whoever speaks WebRTC for it. The server itself does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Caller:
    """Who wants to publish.

    Attributes:
        url: This server, for a client of it.
        room, uid, token: With what to join.
        offer: Its session description.
        ice_servers: As ``RTCIceServer`` dictionaries.
        loopback: It may be on this machine.
    """

    url: str
    room: str
    uid: str
    token: str | None
    offer: str
    ice_servers: Sequence[dict[str, Any]]
    loopback: bool


class Publishing(Protocol):
    """A caller that is in its room."""

    @property
    def answer(self) -> str:
        """The session description to answer with."""

    @property
    def over(self) -> bool:
        """It has ended."""

    async def add_candidate(self, candidate: str) -> None:
        """One more address of the caller; empty: there are no more. What is broken, or one too
        many, is left out."""

    async def close(self) -> None:
        """Leave the room, and hang up. Can be called twice."""


class WhipPublisher(Protocol):
    """Joins rooms for callers, and says there what they say."""

    async def publish(self, caller: Caller, on_over: Callable[[], None]) -> Publishing:
        """Answer, and join.

        Args:
            caller: Who.
            on_over: Called once when it has ended by itself, or by :meth:`Publishing.close`.

        Raises:
            OfferError: The offer cannot be answered.
            RoomError: The room cannot be joined.
        """
