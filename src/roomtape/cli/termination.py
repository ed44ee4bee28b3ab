"""Commands that end in order when they are told to: what they began is undone."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from ..storage.disk import Disk

T = TypeVar("T")


def signals_that_end() -> tuple[signal.Signals, ...]:
    """Ctrl-C, SIGTERM, and SIGHUP (a terminal that is closed) where nobody ignores it, as nohup
    does."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return signal.SIGINT, signal.SIGTERM
    return signal.SIGINT, signal.SIGTERM, signal.SIGHUP


class EndingDisk(Disk):
    """Takes nothing more once the program was told to end.

    An exception that a signal raises between any two instructions leaves behind what was made and
    not yet noted. Whoever writes is prepared for a disk that fails.
    """

    told: int | None = None
    """The signal."""

    def call(self, name: str, function: Callable[..., T], *args: Any) -> T:
        if name == "write" and self.told is not None:
            raise OSError(errno.ECANCELED, "told to end")
        return super().call(name, function, *args)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The first one is noted. Whoever sends another wants the end at once."""
        del frame
        if self.told is not None:
            raise SystemExit(128 + number)
        self.told = number


@contextmanager
def undone_when_told_to_end() -> Iterator[EndingDisk]:
    """Where the block writes. Ctrl-C, SIGTERM and SIGHUP end it as a full disk would, and then the
    program, with 128 and the signal's number as its exit code. A block that is at its end by then
    is not undone."""
    disk = EndingDisk()
    if threading.current_thread() is not threading.main_thread():
        yield disk
        return
    before = {each: signal.getsignal(each) for each in signals_that_end()}
    # Whoever ignores one (nohup) means that.
    caught = [each for each in before if before[each] is not signal.SIG_IGN]
    for each in caught:
        signal.signal(each, disk.on_signal)
    try:
        yield disk
    except Exception:
        if disk.told is not None:
            raise SystemExit(128 + disk.told) from None
        raise
    finally:
        for each in caught:
            signal.signal(each, before[each])
