"""What a recording tells: events to whoever listens, warnings to the report as well."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from ..types import AudioRecordingCode, AudioRecordingWarning, RecordingEvent

logger = logging.getLogger(__name__)

_MOST_WARNINGS = 1000

EventListener = Callable[[RecordingEvent], object]


class EventFeed:
    """Delivers events in order, on the caller's thread. A listener that raises is logged.

    Args:
        path: The recording.
        listener: Who is told; None for nobody.
    """

    def __init__(self, path: Path, listener: EventListener | None) -> None:
        self._path = path
        self._listener = listener
        self.warnings: list[str] = []
        """All of them, each with its time; for the report."""

    def tell(self, code: AudioRecordingCode | AudioRecordingWarning, detail: str = "") -> None:
        """Deliver one event."""
        if self._listener is None:
            return
        try:
            self._listener(RecordingEvent(code, str(self._path), detail))
        except Exception:
            logger.exception("the callback for %s of %s raised", code.name, self._path)

    def warn(self, at_s: float, code: AudioRecordingWarning, detail: str) -> None:
        """Deliver a warning, and keep it."""
        if len(self.warnings) < _MOST_WARNINGS:
            self.warnings.append(f"{at_s:.1f} s: {detail}")
        self.tell(code, detail)
