"""Rooms that a program has joined with LiveKit's SDK. Needs the extra ``livekit-sdk``."""

from .room import LiveKitSdkRoom

__all__ = ["LiveKitSdkRoom"]
