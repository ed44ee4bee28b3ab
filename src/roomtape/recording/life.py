"""The life of a recording: its states, and what may follow what."""

from __future__ import annotations

import enum
import logging
import threading

logger = logging.getLogger(__name__)


class RecorderState(enum.Enum):
    """Where in its life a recorder is."""

    NEW = "new"
    READY = "ready"
    """Its file is reserved, or being so."""
    RECORDING = "recording"
    ENDING = "ending"
    """The file is being completed."""
    OVER = "over"
    """Everything is closed and told; or it was given up before it began."""


MAY_FOLLOW: dict[RecorderState, frozenset[RecorderState]] = {
    RecorderState.NEW: frozenset({RecorderState.READY}),
    RecorderState.READY: frozenset({RecorderState.RECORDING, RecorderState.OVER}),
    RecorderState.RECORDING: frozenset({RecorderState.ENDING}),
    RecorderState.ENDING: frozenset({RecorderState.OVER}),
    RecorderState.OVER: frozenset(),
}
"""Nothing leads back."""


class Life:
    """One recording's. Thread-safe.

    Args:
        name: For the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._state = RecorderState.NEW
        self._turn = threading.Lock()  # held for no longer than a look takes

    @property
    def state(self) -> RecorderState:
        return self._state

    def enter(self, state: RecorderState) -> bool:
        """Go on to ``state``.

        Returns:
            Whether that may follow. Of several who try at once, one may.
        """
        with self._turn:
            if state not in MAY_FOLLOW[self._state]:
                return False
            logger.debug("%s: %s, then %s", self._name, self._state.value, state.value)
            self._state = state
            return True
