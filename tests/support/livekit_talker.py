"""Participants with LiveKit's own SDK, in a process of their own.

``python livekit_talker.py URL TOKEN...`` lets in one participant with each token, and prints
``joined`` when the audio of all is published. Each line on its standard input begins with one of
them: ``UID say VOICE [SECONDS]`` has it say one of the package's voices, and prints
``UID said VOICE TIME`` with the UTC time at which it begins; ``UID mute``, ``unmute``,
``unpublish``, ``publish``, ``leave`` and ``send DATA`` do that, and print ``UID done TIME``. When
that input ends, all leave.

A token with ``+encrypted`` behind it is for somebody who encrypts from end to end.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque

import numpy as np
from livekit import rtc

from roomtape.media.voices import VOICES
from roomtape.types import Pcm
from support.signals import speech

RATE_HZ = 48000
FRAME = RATE_HZ // 100
_VOICES: dict[str, Pcm] = {}
_QUIET = np.zeros(FRAME, np.int16)


class Talker:
    """One participant, who says what is queued, in real time, and silence else."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self._source = rtc.AudioSource(RATE_HZ, 1, queue_size_ms=0)
        self._queue: deque[tuple[str, Pcm]] = deque()
        self._publication: rtc.LocalTrackPublication | None = None

    @property
    def uid(self) -> str:
        return self.room.local_participant.identity

    async def join(self, url: str, token: str) -> None:
        token, encrypted = token.removesuffix("+encrypted"), token.endswith("+encrypted")
        encryption = None
        if encrypted:
            keys = rtc.KeyProviderOptions(shared_key=b"only who has it can hear")
            encryption = rtc.E2EEOptions(key_provider_options=keys)
        options = rtc.RoomOptions(auto_subscribe=False, encryption=encryption)
        await self.room.connect(url, token, options)
        await self.publish()

    async def publish(self) -> None:
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self._source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        self._publication = await self.room.local_participant.publish_track(track, options)

    async def do(self, command: str, *words: str) -> None:
        assert self._publication is not None
        match command:
            case "say":
                voice, seconds = words[0], words[1] if len(words) > 1 else "60"
                self._queue.append((voice, _VOICES[voice][: round(float(seconds) * RATE_HZ)]))
                return
            case "mute":
                self._publication.track.mute()
            case "unmute":
                self._publication.track.unmute()
            case "unpublish":
                await self.room.local_participant.unpublish_track(self._publication.sid)
            case "publish":
                await self.publish()
            case "send":
                await self.room.local_participant.publish_data(words[0].encode())
            case "leave":
                uid = self.uid
                await self.room.disconnect()
                print(uid, "done", time.time(), flush=True)  # noqa: T201
                return
        print(self.uid, "done", time.time(), flush=True)  # noqa: T201

    async def run(self) -> None:
        due, rest = time.monotonic(), _QUIET[:0]
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += FRAME / RATE_HZ
            if not len(rest) and self._queue:
                name, rest = self._queue.popleft()
                print(self.uid, "said", name, time.time(), flush=True)  # noqa: T201
            frame = _QUIET.copy()
            frame[: len(rest[:FRAME])] = rest[:FRAME]
            rest = rest[FRAME:]
            await self._source.capture_frame(rtc.AudioFrame(frame.tobytes(), RATE_HZ, 1, FRAME))


async def take_part(url: str, *tokens: str) -> None:
    # Before anything is said: it takes half a second.
    _VOICES.update({name: speech(name) for name in VOICES})
    talkers = [Talker() for _ in tokens]
    for talker, token in zip(talkers, tokens, strict=True):
        await talker.join(url, token)
    tasks = [asyncio.create_task(talker.run()) for talker in talkers]
    print("joined", *(talker.uid for talker in talkers), flush=True)  # noqa: T201
    known = {talker.uid: talker for talker in talkers}
    while line := await asyncio.to_thread(sys.stdin.readline):
        uid, *words = line.split()
        await known[uid].do(*words)
    for task in tasks:
        task.cancel()
    for talker in talkers:
        await talker.room.disconnect()


asyncio.run(take_part(*sys.argv[1:]))
