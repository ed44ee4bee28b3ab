"""Ways into a room. Each is an adapter; :class:`Room` is what a further one must do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Room, RoomListener
from .memory import MemoryRoom
from .webrtc import WebRtcRoom

if TYPE_CHECKING:
    from .livekit import LiveKitRoom

__all__ = ["LiveKitRoom", "MemoryRoom", "Room", "RoomListener", "WebRtcRoom"]

_EXTRAS = {"LiveKitRoom": "livekit"}
"""What needs packages that not everybody has, and the extra that brings them."""


def __getattr__(name: str) -> Any:
    extra = _EXTRAS.get(name)
    if extra is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import livekit  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name} needs packages that are not installed ({error.name}): "
            f"pip install 'roomtape[{extra}]'",
            name=error.name,
        ) from None
    return getattr(livekit, name)
