"""What anybody can make the server say, it says once a minute."""

from __future__ import annotations

import logging
import time

EVERY_S = 60.0
_MAX_KINDS = 64


class Seldom(logging.Filter):
    """Lets one record of each kind through a minute, and then says how many it kept back.

    Records of one message, whatever its arguments, are of one kind.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now_s = time.monotonic()
        kind = str(record.msg)
        told_s, kept_back = self._told.get(kind, (-EVERY_S, 0))
        if now_s - told_s < EVERY_S:
            self._told[kind] = (told_s, kept_back + 1)
            return False
        if len(self._told) >= _MAX_KINDS:
            self._told.clear()
        self._told[kind] = (now_s, 0)
        if kept_back:
            record.msg = f"{kind} (and {kept_back} more like it)"
        return True
