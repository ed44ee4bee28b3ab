"""What a session gives out: mixes of some of its sources, and each source alone."""

from .output import Output, Takes, channels_of, everybody
from .stems import Stem, Stems

__all__ = ["Output", "Stem", "Stems", "Takes", "channels_of", "everybody"]
