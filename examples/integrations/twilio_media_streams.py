"""A phone bot behind Twilio Media Streams, recorded: the caller, and what the bot was heard to say.

uvicorn twilio_media_streams:app
"""

import base64
import json
import os
from pathlib import Path

from fastapi import FastAPI, Request, Response, WebSocket

from roomtape import AudioRecorder, AudioRecordingConfiguration, g711
from roomtape.integrations.twilio import TwilioCall
from roomtape.media.voices import load_voice

app = FastAPI()
GREETING = load_voice("dave", 8000)
PIECE = 1600  # 0.2 s


@app.post("/voice")
def voice(request: Request) -> Response:
    """What Twilio asks when somebody calls: connect the call to the WebSocket below."""
    stream = f'<Stream url="wss://{request.url.netloc}/stream"/>'
    twiml = f"<Response><Connect>{stream}</Connect></Response>"
    return Response(twiml, media_type="application/xml")


@app.websocket("/stream")
async def stream(websocket: WebSocket) -> None:
    await websocket.accept()
    path = Path(os.environ.get("CALLS", "."), "call.aac")
    async with AudioRecorder(AudioRecordingConfiguration(path, report=True)) as recorder:
        call = TwilioCall(recorder)

        async def send(event: str, **content: object) -> None:
            message = json.dumps({"event": event, "streamSid": call.stream_sid, **content})
            await websocket.send_text(call.sent(message))  # recorded as it is played

        async for message in websocket.iter_text():
            match call.received(message):
                case "start":
                    for low in range(0, len(GREETING), PIECE):  # as fast as it goes
                        payload = base64.b64encode(g711(GREETING[low : low + PIECE])).decode()
                        await send("media", media={"payload": payload})
                    await send("mark", mark={"name": "greeted"})
                case "dtmf":
                    await send("clear")  # a key interrupts the bot
                case "stop":
                    break
