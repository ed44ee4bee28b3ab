"""Rooms of LiveKit servers. Needs the extra ``livekit``."""

from .access import identity_of
from .room import LiveKitRoom

__all__ = ["LiveKitRoom", "identity_of"]
