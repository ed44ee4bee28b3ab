"""The life of one room's recording: its states, and what may follow what."""

from __future__ import annotations

import enum


class RoomState(enum.Enum):
    """Where in its life the recording of a room is."""

    JOINING = "joining"
    WAITING = "waiting"
    """In the room, and nobody else is: there is no file yet."""
    RECORDING = "recording"
    ENDING = "ending"
    OVER = "over"
    """The room is left, and all is told."""


MAY_FOLLOW: dict[RoomState, frozenset[RoomState]] = {
    RoomState.JOINING: frozenset({RoomState.WAITING, RoomState.ENDING}),
    RoomState.WAITING: frozenset({RoomState.RECORDING, RoomState.ENDING}),
    RoomState.RECORDING: frozenset({RoomState.ENDING}),
    RoomState.ENDING: frozenset({RoomState.OVER}),
    RoomState.OVER: frozenset(),
}
"""Nothing leads back."""
