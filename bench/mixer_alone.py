"""2. The mixer alone, against LiveKit's ``AudioMixer`` and Pipecat's ``mix_audio``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial

import numpy as np

from common import Row, in_turn, speech
from roomtape.audio.arrays import Samples, add
from roomtape.audio.limiter import Limiter
from roomtape.audio.mixing.mixer import Mixer
from roomtape.types import Pcm

_RATE_HZ = 48000
_FRAME = _RATE_HZ // 50  # what an SDK hands out: 20 ms


class _ArrayVoice:
    rate_hz = _RATE_HZ

    steady = None

    def __init__(self, pcm: Pcm) -> None:
        self._pcm = pcm
        self._head = 0

    @property
    def done(self) -> bool:
        return self._head >= len(self._pcm)

    def add_to(self, total: Samples, stop: int) -> None:
        start, self._head = self._head, stop
        pcm = self._pcm[start:stop]
        add(total[: len(pcm)], pcm)


def ours(voices: list[Pcm], block: int) -> float:
    """CPU seconds to sum, limit and round all of it, ``block`` samples at a time."""
    mixer, limiter = Mixer(), Limiter(_RATE_HZ)
    bus = mixer.add_bus(_RATE_HZ)
    for voice in voices:
        mixer.add(_ArrayVoice(voice), (bus,))
    begun = time.process_time()
    for _ in range(len(voices[0]) // block):
        (mixed,) = mixer.mix([block])
        np.rint(limiter.process(mixed)).astype(np.int16).tobytes()
    return time.process_time() - begun


def livekit(voices: list[Pcm]) -> float:
    """The same by LiveKit, in its own default blocks of 100 ms."""
    import livekit.rtc as rtc  # noqa: PLC0415, PLR0402 (a namespace, of which parts are typed)

    async def stream(pcm: Pcm) -> AsyncIterator[rtc.AudioFrame]:
        for start in range(0, len(pcm), _FRAME):
            yield rtc.AudioFrame(pcm[start : start + _FRAME].tobytes(), _RATE_HZ, 1, _FRAME)

    async def mix() -> float:
        mixer = rtc.AudioMixer(_RATE_HZ, 1, blocksize=_RATE_HZ // 10)
        for voice in voices:
            mixer.add_stream(stream(voice))
        begun, samples = time.process_time(), 0
        async for frame in mixer:
            samples += frame.samples_per_channel
            if samples >= len(voices[0]):
                break
        taken = time.process_time() - begun
        await mixer.aclose()
        return taken

    return asyncio.run(mix())


def pipecat(voices: list[Pcm]) -> float:
    """The same by Pipecat, frame by frame, as its audio buffer does."""
    from pipecat.audio.utils import mix_audio  # noqa: PLC0415

    streams = [voice.tobytes() for voice in voices]
    begun = time.process_time()
    for start in range(0, len(streams[0]), 2 * _FRAME):
        mixed = streams[0][start : start + 2 * _FRAME]
        for stream in streams[1:]:
            mixed = mix_audio(mixed, stream[start : start + 2 * _FRAME])
    return time.process_time() - begun


def run(quick: bool) -> Iterator[Row]:
    for count in (8,) if quick else (2, 8, 32):
        seconds = 60
        voices = [speech(index, seconds) for index in range(count)]
        hours = count * seconds / 3600
        peers = {"LiveKit AudioMixer": livekit, "Pipecat mix_audio": pipecat}
        for name, peer in list(peers.items()):
            try:
                peer([voice[: _RATE_HZ // 2] for voice in voices])
            except ImportError:
                print(f"  {name} is not installed: pip install 'roomtape[bench]'")
                del peers[name]
        works = [partial(peer, voices) for peer in peers.values()]
        mine, *theirs = in_turn(5, partial(ours, voices, _RATE_HZ // 5), *works)
        for name, their in zip(peers, theirs, strict=True):
            yield Row(
                "mixer_alone",
                f"{count} voices of 48 kHz, a participant-hour",
                mine / hours,
                "CPU s",
                their / hours,
                name,
                note="ours in blocks of 0.2 s, with the limiter",
            )
