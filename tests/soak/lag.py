"""How late the recording process's event loop is: what it may cost a recording's length."""

from __future__ import annotations

import asyncio
import time


class Lag:
    def __init__(self) -> None:
        self.recent_s = 0.0
        """In the last seconds."""
        self.worst_s = 0.0
        """Since somebody set it to zero."""

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(0.01)
            late_s = time.monotonic() - before_s - 0.01
            self.recent_s = max(self.recent_s * 0.995, late_s)
            self.worst_s = max(self.worst_s, late_s)
