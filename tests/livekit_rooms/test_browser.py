"""Chromium with LiveKit's own client, recorded in a LiveKit room."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from support.browser import chromium
from support.damage import write_wav
from support.livekit_call import livekit_room
from support.livekit_server import LiveKitServer, make_token
from support.room_listener import RoomEar, likeness, voice

pytestmark = [pytest.mark.network, pytest.mark.browser]

VERSION = "2.23.0"
PAGE = """<!doctype html><title>caller</title><script src="client.js"></script><script>
const audio = {echoCancellation: false, noiseSuppression: false, autoGainControl: false};
const room = new LivekitClient.Room({audioCaptureDefaults: audio});
const call = (async () => {
  await room.connect(URL, TOKEN);
  await room.localParticipant.setMicrophoneEnabled(true);
  document.title = "joined";
})().catch((error) => { document.body.innerText = String(error); });
</script><body></body>"""


def client_script() -> Path:
    """LiveKit's client; where it is not, the test is skipped."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / f"roomtape/livekit-client-{VERSION}.js"
    if not path.is_file():
        pytest.skip(f"there is no LiveKit client at {path}: .ci/livekit-client fetches it")
    return path


@asynccontextmanager
async def page_server(url: str, token: str) -> AsyncIterator[str]:
    """A page that joins by itself; its address."""
    script = client_script()
    html = PAGE.replace("URL", json.dumps(url)).replace("TOKEN", json.dumps(token))

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=html, content_type="text/html")

    async def client(request: web.Request) -> web.FileResponse:
        return web.FileResponse(script)

    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/client.js", client)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_chromium_is_heard_muted_and_heard_again(
    server: LiveKitServer, tmp_path: Path
) -> None:
    microphone = write_wav(tmp_path / "carol.wav", voice("carol", 30))
    room, ear = livekit_room(server), RoomEar()
    await room.join(token=None, channel="web", uid="me", listener=ear, local_audio=None)
    async with (
        page_server(server.url, make_token("web", "carol")) as address,
        chromium(address, microphone=microphone) as page,
    ):
        await page.until("document.title === 'joined'")
        await ear.until_heard("carol", 2.0)
        heard = ear.pcm("carol")[-48000:]
        assert likeness(heard, voice("carol", 30)) > 0.4
        await page.evaluate("room.localParticipant.setMicrophoneEnabled(false)")
        await ear.until(lambda: ear.events[-1] == ("muted", "carol", True))
        await page.evaluate("room.localParticipant.setMicrophoneEnabled(true)")
        await ear.until(lambda: ear.events[-1] == ("muted", "carol", False))
        await ear.until_heard("carol", 1.0)
        await page.evaluate("room.disconnect()")
        await ear.until_event("left", "carol", "left")
    await room.leave()
