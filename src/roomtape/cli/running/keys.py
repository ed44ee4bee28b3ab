"""Keys that are pressed while a command runs on a terminal."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress


@contextmanager
def listening(keys: Mapping[str, Callable[[], None]]) -> Iterator[bool]:
    """Call what belongs to a key when it is pressed, without Enter. Ctrl-C stays what it is.

    Yields:
        Whether anybody can press one: standard input is a terminal, and ours.
    """
    fd = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else -1
    if fd < 0 or not _in_front(fd):
        yield False
        return
    loop = asyncio.get_running_loop()

    def pressed() -> None:
        if not _in_front(fd):  # asking would stop a program in the background
            return
        data = os.read(fd, 64)
        if not data:
            loop.remove_reader(fd)
        for key in data.decode(errors="ignore"):
            if key in keys:
                keys[key]()

    before = termios.tcgetattr(fd)
    tty.setcbreak(fd, termios.TCSADRAIN)
    loop.add_reader(fd, pressed)
    try:
        yield True
    finally:
        loop.remove_reader(fd)
        if _in_front(fd):
            with suppress(termios.error):
                termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _in_front(fd: int) -> bool:
    """Whether the terminal is this program's now, and not a shell's that has it in the
    background."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:  # not the terminal that this program belongs to: nobody takes it away
        return True
