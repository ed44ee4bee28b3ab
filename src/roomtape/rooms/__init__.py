"""Ways into a room. Each is an adapter; :class:`Room` is what a further one must do."""

from .base import Room, RoomListener
from .memory import MemoryRoom
from .webrtc import WebRtcRoom

__all__ = ["MemoryRoom", "Room", "RoomListener", "WebRtcRoom"]
