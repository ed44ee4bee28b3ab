"""A call through a real Pipecat pipeline, in Pipecat's own environment: ``pipecat_call.py DIR SCENE
[PLACE]``.

The transport is Pipecat's own base, with a line at its ends: users who speak into it in real time,
and a listener who plays what it is handed, one after the other, and drops what it has when it is
interrupted. ``DIR`` gets the recording (``call.wav`` and stems), and what was spoken and heard:
``said.json`` with the times, and a file of samples for each stretch of
each side.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from pipecat.audio.mixers.base_audio_mixer import BaseAudioMixer
from pipecat.frames import frames
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from roomtape import AudioRecordingConfiguration
from roomtape.integrations import pipecat as integration
from roomtape.media.voices import load_voice

RATE = 24000
FRAME = RATE // 50


class Line(BaseInputTransport):
    """Where users speak."""

    async def start(self, frame: frames.StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)


class Listener(BaseOutputTransport):
    """Takes audio as a network would, up to ``ahead_s`` before it is heard, and plays it."""

    def __init__(self, params: TransportParams, ahead_s: float) -> None:
        super().__init__(params)
        self._ahead_s = ahead_s
        self._free_at = dict[str | None, float]()
        self.heard: dict[str | None, list[tuple[float, bytes]]] = {}
        self.dropped: list[list[tuple[float, bytes]]] = []
        self.ready = asyncio.Event()

    async def start(self, frame: frames.StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self.ready.set()

    async def write_audio_frame(self, frame: frames.OutputAudioRawFrame) -> bool:
        where = frame.transport_destination
        begins_at = max(time.time(), self._free_at.get(where, 0.0))
        self._free_at[where] = begins_at + len(frame.audio) / 2 / RATE
        self.heard.setdefault(where, []).append((begins_at, frame.audio))
        await asyncio.sleep(self._free_at[where] - self._ahead_s - time.time())
        return True

    async def process_frame(self, frame: frames.Frame, direction: Any) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, frames.InterruptionFrame):  # told last, as over a WebSocket
            self.drop(time.time())

    async def has_taken(self, seconds: float) -> None:
        while sum(len(data) for _, data in self.heard.get(None, [])) < seconds * RATE * 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    def drop(self, now: float) -> None:
        """What is not heard by now never will be. What was is one stretch of speech."""
        kept = []
        for begins_at, audio in self.heard.get(None, []):  # an interruption is for the default one
            count = max(0, min(len(audio), round((now - begins_at) * RATE) * 2))
            kept.append((begins_at, audio[:count]))
        self.dropped.append([each for each in kept if each[1]])
        self.heard[None] = []
        self._free_at[None] = min(self._free_at.get(None, 0.0), now)


class Background(BaseAudioMixer):  # type: ignore[misc]
    """Somebody who goes on speaking behind all that the bot says, and behind its silence."""

    def __init__(self) -> None:
        self._voice = load_voice("dave", RATE) // 4
        self._at = 0

    async def start(self, sample_rate: int) -> None: ...

    async def stop(self) -> None: ...

    async def process_frame(self, frame: frames.MixerControlFrame) -> None: ...

    async def mix(self, audio: bytes) -> bytes:
        said = np.frombuffer(audio, np.int16)
        behind = self._voice.take(np.arange(self._at, self._at + len(said)), mode="wrap")
        self._at += len(said)
        return (said // 2 + behind).astype(np.int16).tobytes()


class Call:
    """A pipeline with a recorder in it, and what its two ends said and heard."""

    def __init__(self, directory: Path, place: str, *, ahead_s: float, **audio: Any) -> None:
        self.events: list[str] = []
        config = AudioRecordingConfiguration(
            directory / "call.wav", sample_rate=48000, stems=directory / "stems", report=True
        )
        self.tape = integration.PipecatRecorder(
            config, on_event=lambda event: self.events.append(event.code.name)
        )
        params = TransportParams(
            **{
                "audio_in_enabled": True,
                "audio_in_sample_rate": RATE,
                "audio_out_enabled": True,
                "audio_out_sample_rate": RATE,
                "audio_out_end_silence_secs": 0,
                **audio,
            }
        )
        self.line, self.listener = Line(params), Listener(params, ahead_s)
        order = {
            "behind": [self.line, self.listener, self.tape],
            "before output": [self.line, self.tape, self.listener],
            "before input": [self.tape, self.line, self.listener],
        }[place]
        # No pause is so long in these that the pipeline should be given up.
        self.worker = PipelineWorker(
            Pipeline(order), params=PipelineParams(), idle_timeout_secs=None, enable_rtvi=False
        )
        self.runner = WorkerRunner(handle_sigint=False)
        self.said: dict[str, tuple[float, bytes]] = {}
        self.over = False

    async def speak(self, user: str, seconds: float, *, named: bool = True) -> None:
        """In real time: each frame when it has been said."""
        pcm = np.resize(load_voice(user, RATE), round(seconds * RATE))
        begun = time.time()
        self.said[user] = (begun, pcm.tobytes())
        for low in range(0, len(pcm), FRAME):
            await asyncio.sleep(max(0.0, begun + (low + FRAME) / RATE - time.time()))
            data = pcm[low : low + FRAME].tobytes()
            frame = (
                frames.UserAudioRawFrame(data, RATE, 1, user_id=user)
                if named
                else frames.InputAudioRawFrame(data, RATE, 1)
            )
            await self.line.push_audio_frame(frame)

    async def answer(
        self,
        voice: str,
        seconds: float,
        destination: str | None = None,
        *,
        interruptible: bool = True,
    ) -> None:
        """The bot says something, all at once, as speech synthesis makes it."""
        pcm = np.resize(load_voice(voice, RATE), round(seconds * RATE))
        frame = frames.TTSAudioRawFrame(pcm.tobytes(), RATE, 1)
        frame.transport_destination = destination
        frame.interruptible = interruptible
        await self.worker.queue_frames([frame, frames.TTSStoppedFrame()])

    async def run(self, scene: Callable[[Call], Awaitable[None]]) -> None:
        async def play() -> None:
            await self.listener.ready.wait()
            await scene(self)

        await self.runner.add_workers(self.worker)
        await asyncio.gather(self.runner.run(), play())
        # A server goes on when a call is over, and nobody else ends a recording that was forgotten.
        self.over = self.tape.recorder.over

    def write(self, directory: Path) -> None:
        """What was spoken and heard, and what was told."""
        stretches = [(name, [each]) for name, each in self.said.items()]
        stretches += [("bot", each) for each in self.listener.dropped]
        stretches += [(where or "bot", each) for where, each in self.listener.heard.items()]
        sides: dict[str, list[float]] = {}
        for name, chunks in stretches:
            if not chunks:
                continue
            begun = chunks[0][0]
            end = max(at + len(data) / 2 / RATE for at, data in chunks)
            pcm = np.zeros(round((end - begun) * RATE) + 1, np.int16)
            for at, data in chunks:
                first, samples = round((at - begun) * RATE), np.frombuffer(data, np.int16)
                pcm[first : first + len(samples)] = samples
            begins = sides.setdefault(name, [])
            pcm.tofile(directory / f"{name}.{len(begins)}.s16")
            begins.append(begun)
        told = {"begins": sides, "events": self.events, "over": self.over}
        (directory / "said.json").write_text(json.dumps(told))


async def interruptions(call: Call) -> None:
    """Four answers, of which the first three are interrupted; two of them twice in a row."""
    for voice, heard_s in (("carol", 1.7), ("dave", 1.3), ("bob", 2.1)):
        await call.answer(voice, 20.0)
        await asyncio.sleep(heard_s)
        await call.worker.queue_frame(frames.InterruptionFrame())
        if voice != "carol":
            await call.worker.queue_frame(frames.InterruptionFrame())
    await call.answer("alice", 2.5)
    await call.worker.queue_frame(frames.EndFrame())


async def talks_over(call: Call) -> None:
    """Answers that cannot be interrupted, though somebody tries to, and some that can."""
    await call.answer("carol", 4.0, interruptible=False)
    await asyncio.sleep(1.3)
    await call.worker.queue_frame(frames.InterruptionFrame())
    await asyncio.sleep(1.1)
    await call.answer("dave", 20.0)
    await call.answer("bob", 2.0, interruptible=False)
    await call.worker.queue_frame(frames.InterruptionFrame())
    await asyncio.sleep(1.1)
    for _ in range(2):
        await call.worker.queue_frame(frames.InterruptionFrame())
    await call.answer("alice", 2.5)
    await call.worker.queue_frame(frames.EndFrame())


async def background(call: Call) -> None:
    """The transport mixes a sound into what the bot says, and sends it also where it is silent."""
    await asyncio.sleep(1.5)
    for voice, heard_s in (("carol", 1.4), ("alice", 1.1), ("bob", 1.7)):
        await call.answer(voice, 20.0)
        await asyncio.sleep(heard_s)
        await call.worker.queue_frame(frames.InterruptionFrame())
        await asyncio.sleep(0.7)
    await call.answer("carol", 2.0)
    await call.worker.queue_frame(frames.EndFrame())


async def users(call: Call) -> None:
    """Two whom the transport tells apart, in turns and at once, and one whom it does not."""

    async def alice() -> None:
        await call.speak("alice", 4.0)

    async def bob() -> None:
        await asyncio.sleep(1.5)
        await call.speak("bob", 4.0)

    async def carol() -> None:
        await asyncio.sleep(3.1)
        await call.speak("carol", 3.0, named=False)

    await asyncio.gather(alice(), bob(), carol())
    await call.worker.queue_frame(frames.EndFrame())


async def ends(call: Call) -> None:
    """The bot still speaks when the pipeline is told to end."""
    await call.answer("carol", 4.0)
    await call.worker.queue_frame(frames.EndFrame())


async def ends_and_breaks_off(call: Call) -> None:
    """And while what it took is heard to the end, the call is broken off."""
    await call.answer("carol", 4.0)
    await call.worker.queue_frame(frames.EndFrame())
    await call.listener.has_taken(4.0)
    await asyncio.sleep(0.3)
    # The pipeline itself hands on nothing more before its end; its processors do.
    call.listener.drop(time.time())
    await call.listener.queue_frame(frames.CancelFrame())


async def ends_and_interrupts(call: Call) -> None:
    """And while what it took is heard to the end, the user interrupts."""
    await call.answer("carol", 4.0)
    await call.worker.queue_frame(frames.EndFrame())
    await call.listener.has_taken(4.0)
    await asyncio.sleep(0.3)
    await call.listener.queue_frame(frames.InterruptionFrame())


async def breaks_off(call: Call) -> None:
    """In mid-sentence."""
    await call.answer("carol", 20.0)
    await call.speak("alice", 2.5)
    call.listener.drop(time.time())
    await call.worker.cancel()


async def talks(call: Call) -> None:
    """Both sides, in turns."""
    await call.speak("alice", 3.0)
    await call.answer("carol", 3.0)
    await call.worker.queue_frame(frames.EndFrame())


async def two_lines(call: Call) -> None:
    """Two listeners hear different things at once, and one of them is interrupted."""
    await call.answer("carol", 20.0)
    await call.answer("dave", 3.0, "french")
    await asyncio.sleep(1.6)
    await call.worker.queue_frame(frames.InterruptionFrame())
    await asyncio.sleep(0.4)
    await call.answer("bob", 2.0)
    await call.worker.queue_frame(frames.EndFrame())


async def silence(call: Call) -> None:
    """Nobody is heard for longer than a recorder waits for somebody."""
    await call.answer("carol", 2.0)
    speaking = asyncio.create_task(call.speak("alice", 60.0))
    while not {"NO_AUDIO", "FINISH"} & {*call.events}:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    speaking.cancel()
    await call.worker.queue_frame(frames.EndFrame())


SCENES = {
    scene.__name__: scene
    for scene in (
        interruptions,
        talks_over,
        background,
        users,
        ends,
        ends_and_breaks_off,
        ends_and_interrupts,
        breaks_off,
        talks,
        two_lines,
        silence,
    )
}
AUDIO: dict[str, dict[str, Any]] = {
    "background": {"audio_out_mixer": Background()},
    # What a transport has in hand is long enough to be told from a busy machine.
    "talks_over": {"audio_out_10ms_chunks": 20},
    "two_lines": {"audio_out_destinations": ["french"]},
    "without passthrough": {"audio_in_passthrough": False},
}


async def main(directory: Path, scene: str, place: str, ahead_s: float) -> None:
    if place == "without passthrough":
        audio, place = AUDIO[place], "behind"
    else:
        audio = AUDIO.get(scene, {})
    call = Call(directory, place, ahead_s=ahead_s, **audio)
    await call.run(SCENES[scene])
    call.write(directory)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])))
