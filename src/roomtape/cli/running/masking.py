"""Masking participants while ``roomtape record`` runs, and no longer: on the key ``k``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...analysis.timecode import timecode

if TYPE_CHECKING:
    from ...engine import RtcEngine
    from ..telling import Teller


class Masker:
    """Puts a tone in place of what some say, or has them heard again.

    Args:
        engine: Whose recording.
        names: Of the participants.
        teller: Who hears of it.
    """

    def __init__(self, engine: RtcEngine, names: Sequence[str], teller: Teller) -> None:
        self._engine = engine
        self._names = names
        self._teller = teller
        self._masked = False

    def mask(self) -> None:
        """Or no longer, if they are masked."""
        recorder = self._engine.recorder
        if recorder is None or not recorder.recording:
            return
        if not self._names:
            self._teller.say("not_masked", "nobody is masked: --mask says whom", detail="--mask")
            return
        self._masked = not self._masked
        change = recorder.mask if self._masked else recorder.unmask
        for name in self._names:
            change(name, by="key k")
        event, state = ("masked", "masked") if self._masked else ("unmasked", "heard again")
        at_s = recorder.duration_s
        words = f"{', '.join(self._names)}: {state} from {timecode(at_s)} on"
        self._teller.say(event, words, at_s=at_s)
