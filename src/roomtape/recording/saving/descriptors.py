"""How many files the process may still open (``ulimit -n``)."""

from __future__ import annotations

import os
import resource

from ...types.errors import OpenFileError

_FOR_THE_RECORDING = 32
"""So many are left alone: for who comes in, for the next file, for the reports."""


def check_descriptors(count: int) -> None:
    """Whether so many more files can be opened without a recording's ever lacking one.

    Raises:
        OpenFileError: They cannot.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return
    try:
        left = limit - len(os.listdir("/proc/self/fd")) - _FOR_THE_RECORDING  # noqa: PTH208
    except FileNotFoundError:
        return  # a system that does not tell; then opening them does
    except OSError:
        left = 0  # not even that one
    if count > left:
        raise OpenFileError(
            f"too many open files: it takes {count} more, and {max(0, left)} of {limit} can be had "
            "(ulimit -n)"
        )
