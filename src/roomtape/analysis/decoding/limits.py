"""What the decoding process may take: memory in all, and time for each thing that it gives."""

from __future__ import annotations

import resource
from pathlib import Path

MOST_MIB = 224
"""Beside what the process has when it begins."""
MOST_CPU_S = 10
"""For one megabyte or so of samples: FFmpeg's slowest codecs take milliseconds for that."""


def limit_memory() -> None:
    """From now on, allocating more fails."""
    now = _address_space() + (MOST_MIB << 20)
    _lower(resource.RLIMIT_AS, now)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)


def allow_time() -> None:
    """So much CPU time from now on, and the system ends the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + MOST_CPU_S + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or until < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def _lower(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def _address_space() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (OSError, ValueError):
        return 1 << 30  # no such file system: far more than it ever is
    return pages * resource.getpagesize()
