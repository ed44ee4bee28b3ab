"""A page that sends its microphone as PCM16 over a WebSocket, and a server that records it.

uvicorn fastapi_pcm16:app
"""

import os
from pathlib import Path

from fastapi import FastAPI, WebSocket
from fastapi.responses import HTMLResponse

from roomtape import AudioRecorder, AudioRecordingConfiguration

app = FastAPI()
PAGE = Path(__file__).with_suffix(".html")


@app.get("/", response_class=HTMLResponse)
def page() -> str:
    return PAGE.read_text()


@app.websocket("/microphone")
async def microphone(websocket: WebSocket, rate: int) -> None:
    await websocket.accept()
    path = Path(os.environ.get("CALLS", "."), "microphone.wav")
    config = AudioRecordingConfiguration(path, sample_rate=48000, report=True)
    async with AudioRecorder(config) as recorder:
        visitor = recorder.add_source("visitor")
        position = 0
        async for chunk in websocket.iter_bytes():
            # The page leaves nothing out: what a slow network holds up belongs where it was said.
            visitor.push(chunk, rate, pts=position)
            position += len(chunk) // 2
