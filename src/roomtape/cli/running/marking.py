"""Marking moments while ``roomtape record`` runs: on the key ``m``."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from ...analysis.timecode import timecode

if TYPE_CHECKING:
    from ...engine import RtcEngine
    from ..telling import Teller


class Marker:
    """Names moments "mark 1", "mark 2" and so on.

    Args:
        engine: Whose recording.
        teller: Who hears of it.
    """

    def __init__(self, engine: RtcEngine, teller: Teller) -> None:
        self._engine = engine
        self._teller = teller
        self._numbers = itertools.count(1)

    def mark(self) -> None:
        """Now."""
        recorder = self._engine.recorder
        if recorder is None or not recorder.recording:
            return
        label = f"mark {next(self._numbers)}"
        try:
            mark = recorder.mark(label)
        except RuntimeError as error:  # there are a thousand
            self._teller.say("mark_failed", f"not marked: {error}", detail=str(error))
            return
        self._teller.say("mark", f"{label} at {timecode(mark.at_s)}", label=label, at_s=mark.at_s)
