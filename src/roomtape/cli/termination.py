"""Commands that end in order when they are told to: what they began is undone."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def signals_that_end() -> tuple[signal.Signals, ...]:
    """Ctrl-C, SIGTERM, and SIGHUP (a terminal that is closed) where nobody ignores it, as nohup
    does."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return signal.SIGINT, signal.SIGTERM
    return signal.SIGINT, signal.SIGTERM, signal.SIGHUP


@contextmanager
def undone_when_told_to_end() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as an error would, and then the program, with 128 and the
    signal's number as its exit code."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.getsignal(each) for each in _SIGNALS}
    # Whoever ignores one (nohup) means that.
    caught = [each for each in _SIGNALS if before[each] is not signal.SIG_IGN]
    for each in caught:
        signal.signal(each, _end)
    try:
        yield
    finally:
        for each in caught:
            signal.signal(each, before[each])


def _end(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise SystemExit(128 + number)
