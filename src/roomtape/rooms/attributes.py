"""What participants of LiveKit rooms say of themselves, in their attributes."""

from __future__ import annotations

from collections.abc import Mapping

RECORDING = "roomtape.recording"
ASKS = "roomtape.asks"
AGREES = "roomtape.agrees"

_ANSWERS = {"true": True, "false": False}


def agreement_in(attributes: Mapping[str, str]) -> bool | None:
    """Whether somebody agrees to be recorded; None where it has not said."""
    return _ANSWERS.get(attributes.get(AGREES, ""))
