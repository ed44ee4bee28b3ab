"""A Pipecat bot behind a WebSocket, recorded: the caller, and what the bot was heard to say.

pip install 'roomtape[pipecat]' fastapi websockets uvicorn; uvicorn pipecat_bot:app
"""

from itertools import cycle
from os import environ

from fastapi import FastAPI, WebSocket
from pipecat.frames import frames
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

from roomtape.integrations.pipecat import PipecatRecorder
from roomtape.media.voices import load_voice

app = FastAPI()


class Pcm16(FrameSerializer):  # 16 kHz from the caller, 24 kHz to it; a text interrupts the bot
    async def serialize(self, frame):
        return frame.audio if isinstance(frame, frames.OutputAudioRawFrame) else None

    async def deserialize(self, data):
        if isinstance(data, bytes):
            return frames.InputAudioRawFrame(data, 16000, 1)
        return frames.InterruptionFrame()


class Bot(FrameProcessor):  # speech recognition, a language model, and speech synthesis
    voices = cycle(["carol", "dave"])

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, frames.StartFrame | frames.InterruptionFrame):
            pcm = load_voice(next(self.voices), 24000).tobytes()
            await self.push_frame(frames.TTSAudioRawFrame(pcm, 24000, 1))  # all at once


@app.websocket("/call")
async def call(websocket: WebSocket):
    await websocket.accept()
    sound = {"audio_in_enabled": True, "audio_out_enabled": True, "serializer": Pcm16()}
    transport = FastAPIWebsocketTransport(websocket, FastAPIWebsocketParams(**sound))
    tape = PipecatRecorder(environ.get("CALLS", ".") + "/pipecat.wav")
    worker = PipelineWorker(Pipeline([transport.input(), Bot(), transport.output(), tape]))
    runner = WorkerRunner()

    @transport.event_handler("on_client_disconnected")
    async def over(*_):
        await runner.cancel()

    await runner.add_workers(worker)
    await runner.run()
