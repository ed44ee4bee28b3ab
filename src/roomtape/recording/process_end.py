"""What becomes of running recordings when the program ends, or forks."""

from __future__ import annotations

import atexit
import os
from typing import Protocol
from weakref import WeakSet


class Running(Protocol):
    """Something that must not be left as it is."""

    def end_with_program(self) -> None:
        """The interpreter ends, and with it every thread: finish now."""
        ...

    def leave_to_parent(self) -> None:
        """This process is a fork, and its parent goes on: let go of everything, touch nothing."""
        ...


running: WeakSet[Running] = WeakSet()
"""Whoever must be told."""


@atexit.register
def _end_all() -> None:
    for each in tuple(running):
        each.end_with_program()


def _leave_all_to_parent() -> None:
    for each in tuple(running):
        each.leave_to_parent()
    running.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_to_parent)
