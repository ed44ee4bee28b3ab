"""The shape of the NERTC SDK: integer codes, and one callback object."""

from .callback import ChannelEventCallback
from .engine import RtcEngine

__all__ = ["ChannelEventCallback", "RtcEngine"]
