"""Rooms of the embedded server, over aiortc."""

from .room import WebRtcRoom

__all__ = ["WebRtcRoom"]
