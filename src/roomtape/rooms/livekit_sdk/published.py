"""What a program publishes with LiveKit's SDK, as the local side of a recording."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import numpy as np
from livekit import rtc

from ...media.local_audio import FRAME_SAMPLES, LOCAL_RATE_HZ, LocalAudio
from ...types import NS_PER_S, Pcm
from ...types.clock import Clock
from .tracks import pcm_of_track

_MAX_QUEUED = 10 * LOCAL_RATE_HZ
_PATIENCE_NS = NS_PER_S // 10
"""Nothing for so long is a pause: silence goes out from then on."""
_LOOK_NS = NS_PER_S // 50


class PublishedAudio(LocalAudio):
    """The audio tracks that a ``livekit.rtc.Room``'s own participant publishes, mixed.

    A program that says nothing sends nothing; here silence stands for it, so that what it says
    later is heard later.

    Args:
        room: Joined by the program itself.
    """

    def __init__(self, room: rtc.Room) -> None:
        super().__init__()
        self._room = room
        self._waiting: dict[str, Pcm] = {}  # by track, not sent yet
        self._readers: dict[str, asyncio.Task[None]] = {}

    async def _run(self, clock: Clock) -> None:
        self._room.on("local_track_published", self._look)
        self._room.on("local_track_unpublished", self._look)
        self._look()
        try:
            await self._send(clock)
        finally:
            self._room.off("local_track_published", self._look)
            self._room.off("local_track_unpublished", self._look)
            readers, self._readers = [*self._readers.values()], {}
            for task in readers:
                task.cancel()
            if readers:
                await asyncio.wait(readers)
            self._waiting.clear()

    async def _send(self, clock: Clock) -> None:
        """Frames as they come; silence where none come."""
        sent_ns, pause = clock.now_ns(), True
        while True:
            await clock.sleep_until(clock.now_ns() + _LOOK_NS)
            frame_ns = FRAME_SAMPLES * NS_PER_S // LOCAL_RATE_HZ
            now_ns = clock.now_ns()
            while (frame := self._take()) is not None:
                if pause:  # it begins now, whatever was not said before
                    sent_ns = self._fill(sent_ns, now_ns - frame_ns)
                    pause = False
                self._emit(frame)
                sent_ns += frame_ns
            if now_ns - sent_ns > _PATIENCE_NS:
                sent_ns, pause = self._fill(sent_ns, now_ns - _PATIENCE_NS // 2), True

    def _fill(self, sent_ns: int, until_ns: int) -> int:
        """Send silence; where it ends."""
        frame_ns = FRAME_SAMPLES * NS_PER_S // LOCAL_RATE_HZ
        while until_ns - sent_ns >= frame_ns:
            self._emit(np.zeros(FRAME_SAMPLES, np.int16))
            sent_ns += frame_ns
        return sent_ns

    def _take(self) -> Pcm | None:
        """The next frame of all that are being said; None: there is none yet."""
        ready = [sid for sid, pcm in self._waiting.items() if len(pcm) >= FRAME_SAMPLES]
        if not ready:
            return None
        total = np.zeros(FRAME_SAMPLES, np.int32)
        for sid in ready:
            total += self._waiting[sid][:FRAME_SAMPLES]
            self._waiting[sid] = self._waiting[sid][FRAME_SAMPLES:]
        return np.clip(total, -32768, 32767).astype(np.int16)

    def _look(self, *_: object) -> None:
        """At what is published now."""
        published = {
            sid: publication.track
            for sid, publication in self._room.local_participant.track_publications.items()
            if isinstance(publication.track, rtc.LocalAudioTrack)
        }
        for sid in self._readers.keys() - published.keys():
            self._readers.pop(sid).cancel()
        loop = asyncio.get_running_loop()
        for sid in published.keys() - self._readers.keys():
            self._readers[sid] = loop.create_task(self._read(sid, published[sid]))

    async def _read(self, sid: str, track: rtc.LocalAudioTrack) -> None:
        self._waiting[sid] = np.zeros(0, np.int16)
        try:
            async for pcm in pcm_of_track(track):
                heard = np.zeros_like(pcm) if track.muted else pcm
                waiting = np.concatenate([self._waiting[sid], heard])
                self._waiting[sid] = waiting[-_MAX_QUEUED:]
        finally:
            with suppress(KeyError):
                del self._waiting[sid]
