"""Pausing ``roomtape record``, and going on: on the key ``p``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...analysis.timecode import timecode
from ...types.errors import StateError

if TYPE_CHECKING:
    from ...engine import RtcEngine
    from ...types import PauseMode
    from ..telling import Teller


class Pauser:
    """Pauses a recording, or has it go on.

    Args:
        engine: Whose recording.
        mode: What stands in the file meanwhile.
        teller: Who hears of it.
    """

    def __init__(self, engine: RtcEngine, mode: PauseMode, teller: Teller) -> None:
        self._engine = engine
        self._mode = mode
        self._teller = teller

    def pause(self) -> None:
        """Or go on, if it is paused."""
        recorder = self._engine.recorder
        if recorder is None or not recorder.recording:
            return
        at_s = recorder.duration_s
        if recorder.paused:
            recorder.resume(by="key p")
            self._teller.say("resumed", f"recording again at {timecode(at_s)}", at_s=at_s)
        else:
            try:
                recorder.pause(self._mode, by="key p")
            except StateError as error:  # after a thousand cuts
                self._teller.say("not_paused", f"not paused: {error}", detail=str(error))
                return
            words = f"paused at {timecode(at_s)}: nobody is recorded until the next p"
            self._teller.say("paused", words, at_s=at_s)
