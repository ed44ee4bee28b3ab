"""Audio tracks of LiveKit's SDK, as it hands them out.

The SDK's ``AudioStream`` gives 10 ms frames at full rate out of libwebrtc's jitter buffer, without
timestamps: what was lost is concealed, and time is stretched and squeezed a little. So nobody can
say where something is missing, only how much was lost in all (``get_stats``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import numpy as np
from livekit import rtc

from ...types import AudioFrame, Pcm

logger = logging.getLogger(__name__)

RATE_HZ = 48000
MAX_QUEUED = 1000
"""Frames that may wait for a blocked event loop, of 10 ms: the oldest are dropped then."""
LOOK_EACH_S = 1.0
"""At how much was lost."""
_PACKET_SAMPLES = RATE_HZ // 50
"""What LiveKit's clients put into a packet."""
_CLOSE_WITHIN_S = 5.0

Track = rtc.RemoteAudioTrack | rtc.LocalAudioTrack


async def pcm_of_track(track: Track) -> AsyncIterator[Pcm]:
    """What a track gives, mono at 48 kHz, until it ends or the caller does.

    The stream is closed then: one that is not goes on with *another* participant's voice after its
    own track was unsubscribed.
    """
    stream = rtc.AudioStream(track, capacity=MAX_QUEUED, sample_rate=RATE_HZ, num_channels=1)
    try:
        async for event in stream:
            yield np.frombuffer(bytes(event.frame.data), np.int16)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                await stream.aclose()


class RemoteSdkTrack:
    """Hands out one remote track's frames as they arrive, until :meth:`close`.

    Args:
        track: Somebody's audio, subscribed.
        on_frame: Called with each frame on the event loop's thread; must not raise.
    """

    def __init__(self, track: rtc.RemoteAudioTrack, on_frame: Callable[[AudioFrame], None]) -> None:
        self._track = track
        self._on_frame = on_frame
        self._lost = 0
        self._told = 0
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._read()), loop.create_task(self._look())]

    async def close(self) -> None:
        """Take no more of it. Any number of times."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _read(self) -> None:
        async for pcm in pcm_of_track(self._track):
            lost, self._told = self._lost - self._told, self._lost
            self._on_frame(AudioFrame(pcm, RATE_HZ, lost_somewhere=max(0, lost)))

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EACH_S)
            try:
                stats = await self._track.get_stats()
            except Exception as error:  # a track that has just ended
                logger.debug("no statistics: %s", type(error).__name__)
                continue
            packets = sum(
                each.inbound_rtp.received.packets_lost
                for each in stats
                if each.WhichOneof("stats") == "inbound_rtp"
            )
            # A packet that comes late is taken out of the count again.
            self._lost = max(self._lost, packets * _PACKET_SAMPLES)
