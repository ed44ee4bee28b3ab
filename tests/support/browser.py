"""Headless Chromium with a WAV file as its microphone."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-port=0",
)
_START_S = 180.0


def chromium_path() -> str:
    """The Chromium of this machine; where there is none, the test is skipped."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    pytest.skip("there is no Chromium on this machine")


class Page:
    """A page under the DevTools protocol."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self._ws = ws
        self._ids = itertools.count(1)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        number = next(self._ids)
        parameters = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        await self._ws.send_json({"id": number, "method": "Runtime.evaluate", "params": parameters})
        async with asyncio.timeout(120):
            while (answer := await self._ws.receive_json()).get("id") != number:
                pass
        assert "exceptionDetails" not in answer["result"], answer["result"]
        return answer["result"]["result"].get("value")

    async def press_join(self) -> None:
        """Click where the page asks for it before it opens the microphone."""
        await self.until("document.getElementById('status').innerText.includes('microphone')")
        await self.evaluate("document.querySelector('#join button').click()")

    async def until(self, expression: str, *, within_s: float = 120.0) -> None:
        """Wait until a JavaScript expression is true; until then it may throw."""
        attempt = f"(() => {{ try {{ return Boolean({expression}) }} catch {{ return false }} }})()"
        try:
            async with asyncio.timeout(within_s):
                while not await self.evaluate(attempt):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError:
            seen = await self.evaluate("document.body.innerText")
            pytest.fail(f"{expression} never became true; the page shows: {seen}")


@asynccontextmanager
async def chromium(url: str, *, microphone: Path) -> AsyncIterator[Page]:
    """Open ``url`` in a fresh Chromium whose microphone plays a WAV file over and over."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(  # noqa: ASYNC220 (it starts within milliseconds)
            [
                chromium_path(),
                *_FLAGS,
                f"--use-file-for-fake-audio-capture={microphone}",
                f"--user-data-dir={profile}",
                url,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port = await _debugging_port(Path(profile) / "DevToolsActivePort", process)
            async with aiohttp.ClientSession() as http:
                target = await _page_target(http, port)
                async with http.ws_connect(target, max_msg_size=0) as ws:
                    yield Page(ws)
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _debugging_port(file: Path, process: subprocess.Popen[bytes]) -> int:
    async with asyncio.timeout(_START_S):
        while True:
            assert process.poll() is None, f"Chromium ended at once: {process.returncode}"
            lines = await asyncio.to_thread(_lines, file)
            if lines:
                return int(lines[0])
            await asyncio.sleep(0.1)


async def _page_target(http: aiohttp.ClientSession, port: int) -> str:
    async with asyncio.timeout(_START_S):
        while True:
            async with http.get(f"http://127.0.0.1:{port}/json") as response:
                for target in await response.json(content_type=None):
                    if target["type"] == "page":
                        return str(target["webSocketDebuggerUrl"])
            await asyncio.sleep(0.1)


def _lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []
