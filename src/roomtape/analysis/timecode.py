"""Times as people read them."""

from __future__ import annotations


def timecode(seconds: float, decimals: int = 1) -> str:
    """``m:ss.s``, with hours in front where there are any; ``decimals`` of 0 gives ``m:ss``."""
    total, fraction = divmod(round(seconds * 10**decimals), 10**decimals)
    minutes, whole = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}:{whole:02d}" if hours else f"{minutes}:{whole:02d}"
    return f"{clock}.{fraction:0{decimals}d}" if decimals else clock
