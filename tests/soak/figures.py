"""What the recording process holds: memory, threads, descriptors, tasks, objects."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import statistics
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

MOST_GROWTH_MIB = 16
"""From the middle third of the time to the last."""
_LIBC = ctypes.CDLL(None)


@dataclass(frozen=True)
class Figures:
    """What this process holds."""

    rss_mib: float
    threads: int
    descriptors: int
    tasks: int

    @classmethod
    def now(cls) -> Figures:
        """Measure, after everything that is garbage was given back to the system: what still
        grows then is held by somebody."""
        gc.collect()
        if hasattr(_LIBC, "malloc_trim"):  # glibc
            _LIBC.malloc_trim(0)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20),
            threading.active_count(),
            len(os.listdir("/proc/self/fd")),  # noqa: PTH208 (names are enough)
            len(asyncio.all_tasks()),
        )

    def __str__(self) -> str:
        return (
            f"memory {self.rss_mib:.1f} MiB, {self.threads} threads, "
            f"{self.descriptors} descriptors, {self.tasks} tasks"
        )


def growth_mib(each: list[Figures]) -> float:
    """How much the memory grew from the middle third of the measurements to the last; the first
    third fills pools and caches."""
    third = len(each) // 3
    if third == 0:
        return 0.0
    middle, last = each[third : 2 * third], each[-third:]
    return statistics.median(figures.rss_mib for figures in last) - statistics.median(
        figures.rss_mib for figures in middle
    )


def objects() -> Counter[str]:
    """How many objects of each type there are."""
    return Counter(
        f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects()
    )


def most_grown(before: Counter[str], after: Counter[str]) -> str:
    """The types of which there are most more than before."""
    return ", ".join(f"{name} +{count}" for name, count in (after - before).most_common(8))
