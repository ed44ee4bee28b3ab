"""Ways into a room. Each is an adapter; :class:`Room` is what a further one must do."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..types.errors import MissingExtraError
from .base import Room, RoomListener
from .memory import MemoryRoom

if TYPE_CHECKING:
    from .livekit import LiveKitRoom
    from .livekit_sdk import LiveKitSdkRoom
    from .udp import RtpRoom
    from .webrtc import WebRtcRoom

__all__ = [
    "LiveKitRoom",
    "LiveKitSdkRoom",
    "MemoryRoom",
    "Room",
    "RoomListener",
    "RtpRoom",
    "WebRtcRoom",
]

_EXTRAS = {
    "LiveKitRoom": ("livekit", "livekit"),
    "LiveKitSdkRoom": ("livekit_sdk", "livekit-sdk"),
    "RtpRoom": ("udp", "webrtc"),
    "WebRtcRoom": ("webrtc", "webrtc"),
}
"""What needs packages that not everybody has: where it is, and the extra that brings them."""


def __getattr__(name: str) -> Any:
    if name not in _EXTRAS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, extra = _EXTRAS[name]
    try:
        return getattr(import_module(f".{module}", __name__), name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(name, error, extra) from None
