"""aiortc's tracks as sources."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from ...media.tracks import frames_of, tap_packets
from ...types import AudioFrame, FrameOrigin
from ...types.errors import StateError
from .source import Source

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack

logger = logging.getLogger(__name__)


class TrackReaders:
    """Everybody who reads a track for one recording. Made anywhere, used from any thread; reading
    goes on on one event loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._taps: list[Callable[[], None]] = []
        self._stopped = False

    def add(self, track: MediaStreamTrack, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        """Push what ``track`` gives to ``source`` until it ends; then close that."""
        on_loop(loop, partial(self._begin, track, source))

    def stop(self) -> None:
        """Read no more. On the event loop, or after its end."""
        self._stopped = True
        while self._taps:
            with suppress(RuntimeError):  # the loop is closed
                self._taps.pop()()
        for task in tuple(self._tasks):
            with suppress(RuntimeError):  # the loop is closed, and its tasks have ended
                task.cancel()

    def _begin(self, track: MediaStreamTrack, source: Source) -> None:
        if self._stopped:
            return
        tap = tap_packets(track, partial(_push, source), source.close)
        if tap is not None:
            self._taps.append(tap)
            return
        task = asyncio.get_running_loop().create_task(_pull(track, source))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _pull(track: MediaStreamTrack, source: Source) -> None:
    async for frame in frames_of(track, source.name):
        _push(source, frame)
    source.close()


def _push(source: Source, frame: AudioFrame) -> None:
    try:
        silence = frame.gap_is_silence
        source.push(frame.pcm, frame.sample_rate, frame.pts, gap_is_silence=silence)
    except ValueError as error:
        logger.warning("a frame is left out: %s", error)
        return
    if frame.origin is not FrameOrigin.SENT or frame.left_out:
        source.count_origin(
            frame.origin, len(frame.pcm), frame.sample_rate, left_out=frame.left_out
        )


def loop_here() -> asyncio.AbstractEventLoop:
    """The one that runs on this thread.

    Raises:
        StateError: None does.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise StateError(
            "no event loop runs on this thread: before start(), call add_track() where one does"
        ) from None


def on_loop(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Call it on the thread of ``loop``: at once, if this is it."""
    try:
        here: object = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if here is loop:
        function()
    else:
        loop.call_soon_threadsafe(function)
