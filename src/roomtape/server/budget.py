"""So much at once, and so much a second."""

from __future__ import annotations

import time


class Budget:
    """A token bucket: whoever spends slower than ``per_s`` never feels it.

    Args:
        per_s: What comes in each second.
        burst: The most that is saved.
    """

    def __init__(self, *, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._seen_s = time.monotonic()

    def affords(self, amount: float) -> bool:
        """Whether ``amount`` can be spent now."""
        self._earn()
        return self._left >= amount

    def spend(self, amount: float) -> float:
        """Spend ``amount``, on credit if need be.

        Returns:
            After how many seconds the credit is paid back; 0 if there is none.
        """
        self._earn()
        self._left -= amount
        return max(0.0, -self._left / self._per_s)

    def _earn(self) -> None:
        now_s = time.monotonic()
        self._left = min(self._burst, self._left + (now_s - self._seen_s) * self._per_s)
        self._seen_s = now_s
