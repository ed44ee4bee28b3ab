"""The examples of servers, each run as its docstring says, and called for real."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from roomtape import g711
from roomtape.types import Pcm
from support.browser import chromium
from support.lag import Lag
from support.processes import stop
from support.readers import read_all
from support.signals import offset_of, speech

EXAMPLES = Path(__file__).parents[2] / "examples" / "integrations"


PIPECAT = Path(__file__).parents[2] / ".venv-pipecat"


@asynccontextmanager
async def server(name: str, calls: Path, python: Path | None = None) -> AsyncIterator[str]:
    """``uvicorn NAME:app`` on a free port, and its URL."""
    for needed in () if python else ("fastapi", "uvicorn", "websockets"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: pip install -e '.[dev]'")
    command = [
        str(python or sys.executable),
        "-m",
        "uvicorn",
        "--app-dir",
        str(EXAMPLES),
        "--port",
        "0",
    ]
    with subprocess.Popen(  # noqa: ASYNC220 (it starts within milliseconds)
        [*command, f"{name}:app"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "CALLS": str(calls)},
    ) as process:
        try:
            assert process.stderr is not None
            while not (found := re.search(r"running on (http://\S+)", await _line(process))):
                pass
            yield found[1]
        finally:
            await asyncio.to_thread(stop, process)


async def _line(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    line = await asyncio.to_thread(process.stderr.readline)
    assert line, "the example ended before it was ready"
    return line


async def finished(path: Path) -> dict[str, Any]:
    """The report of a recording, when it is there."""
    async with asyncio.timeout(120):
        while not (path.with_name(path.name + ".json")).exists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    report: dict[str, Any] = json.loads(path.with_name(path.name + ".json").read_text())
    return report


async def spoken(pcm: Pcm, frame: int, rate_hz: int) -> AsyncIterator[tuple[int, Pcm]]:
    """Frames in real time, each when it has been said."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    for low in range(0, len(pcm), frame):
        await asyncio.sleep(max(0.0, begun_s + (low + frame) / rate_hz - loop.time()))
        yield low, pcm[low : low + frame]


def test_every_example_is_short() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 60, path


@pytest.mark.realtime
async def test_a_phone_call_with_a_bot(tmp_path: Path, lag: Lag) -> None:
    said, played = speech("alice", 6.0, 8000), bytearray()
    async with (
        server("twilio_media_streams", tmp_path) as url,
        aiohttp.ClientSession() as http,
    ):
        async with http.post(f"{url}/voice") as answer:
            assert '<Stream url="wss://127.0.0.1' in await answer.text()
        async with http.ws_connect(f"{url}/stream") as ws:
            form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
            start = {"streamSid": "MZ1", "tracks": ["inbound"], "mediaFormat": form}
            await ws.send_json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
            await ws.send_json({"event": "start", "streamSid": "MZ1", "start": start})
            async for low, frame in spoken(said, 160, 8000):
                media = {
                    "track": "inbound",
                    "timestamp": str(low // 8),
                    "payload": base64.b64encode(g711(frame)).decode(),
                }
                await ws.send_json({"event": "media", "streamSid": "MZ1", "media": media})
                if low == 160 * 200:  # after 4 s, a key
                    await ws.send_json({"event": "dtmf", "dtmf": {"digit": "1"}})
            await ws.send_json({"event": "stop", "streamSid": "MZ1", "stop": {}})
            events = []
            async for message in ws:
                if message.type is aiohttp.WSMsgType.TEXT:
                    content = message.json()
                    events.append(content["event"])
                    if content["event"] == "media":
                        played += base64.b64decode(content["media"]["payload"])
        report = await finished(tmp_path / "call.aac")
    greeting = speech("dave", rate=8000)
    assert events == ["media"] * -(-len(greeting) // 1600) + ["mark", "clear"]
    assert np.array_equal(g711(bytes(played)), g711(g711(greeting)))
    caller, bot = report["sources"]
    assert (caller["name"], bot["name"]) == ("caller", "bot")
    assert caller["arrived_s"] == pytest.approx(6.0)
    # The first words came while the recorder was being made, and all stand so much later: what was
    # said last is heard when the call is over.
    placed = [caller[f"{where}_s"] for where in ("received", "late", "after_end", "left_out")]
    assert sum(placed) == pytest.approx(6.0)
    assert placed[0] > 5.7 - lag.late_s
    assert caller["lost_s"] <= lag.late_s
    # What was not played until the key was pressed is not in the file.
    assert bot["received_s"] == pytest.approx(4.0, abs=0.05 + lag.worst_s)
    pcm, rate_hz = read_all(tmp_path / "call.aac")
    at_s, likeness = offset_of(speech("dave", 3.5, rate_hz), pcm, rate_hz)
    assert likeness > 0.5
    assert 0 <= at_s < 0.3 + lag.worst_s
    caller_at_s, likeness = offset_of(speech("alice", 6.0, rate_hz), pcm, rate_hz)
    assert likeness > 0.4
    assert abs(caller_at_s - at_s) < 0.06 + lag.worst_s


@pytest.mark.realtime
async def test_a_microphone_over_a_websocket(tmp_path: Path, lag: Lag) -> None:
    said = speech("carol", 5.0, 16000)
    async with server("fastapi_pcm16", tmp_path) as url, aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{url}/microphone?rate=16000") as ws:
            async for low, chunk in spoken(said, 800, 16000):
                if not 24000 <= low < 32000:  # the network holds half a second of it up
                    await ws.send_bytes(chunk.astype("<i2").tobytes())
                elif low == 31200:
                    await ws.send_bytes(said[24000:32000].astype("<i2").tobytes())
        report = await finished(tmp_path / "microphone.wav")
    (visitor,) = report["sources"]
    assert visitor["received_s"] + visitor["late_s"] == pytest.approx(5.0, abs=0.06)
    assert visitor["lost_s"] <= 0.05 + lag.late_s
    pcm, rate_hz = read_all(tmp_path / "microphone.wav")
    first_s, _ = offset_of(speech("carol", 5.0, rate_hz)[: round(1.4 * rate_hz)], pcm, rate_hz)
    last_s, likeness = offset_of(speech("carol", 5.0, rate_hz)[2 * rate_hz :], pcm, rate_hz)
    assert likeness > 0.9
    assert last_s - first_s == pytest.approx(2.0, abs=0.02)


@pytest.mark.realtime
@pytest.mark.browser
async def test_a_page_sends_its_microphone(tmp_path: Path, lag: Lag) -> None:
    voice = speech("carol", 20.0)
    with wave.open(str(tmp_path / "voice.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(voice.astype("<i2").tobytes())
    async with (
        server("fastapi_pcm16", tmp_path) as url,
        chromium(url, microphone=tmp_path / "voice.wav") as page,
    ):
        await page.until("document.getElementById('button')")
        await page.evaluate("document.getElementById('button').click()")
        await page.until("document.getElementById('status').textContent === 'Recording.'")
        await asyncio.sleep(5)
        await page.evaluate("document.getElementById('button').click()")
        report = await finished(tmp_path / "microphone.wav")
    (visitor,) = report["sources"]
    assert visitor["received_s"] > 3
    assert visitor["lost_s"] <= lag.late_s
    pcm, rate_hz = read_all(tmp_path / "microphone.wav")
    piece = pcm[rate_hz : 3 * rate_hz]
    assert offset_of(piece, np.concatenate([voice, voice]), rate_hz)[1] > 0.8


def played_at(chunks: list[tuple[float, Pcm]], sample: int, interrupted_at: float) -> float:
    """When a listener plays a sample who plays chunks as they come, and one after the other; what
    waits when it interrupts is dropped."""
    free_at = 0.0
    for came_at, chunk in chunks:
        if came_at >= interrupted_at:
            free_at = min(free_at, interrupted_at)
            interrupted_at = math.inf
        begins_at = max(came_at, free_at)
        if sample < len(chunk):
            return begins_at + sample / 24000
        free_at = begins_at + len(chunk) / 24000
        sample -= len(chunk)
    raise AssertionError("it never came")


@pytest.mark.realtime
async def test_a_pipecat_bot_that_is_interrupted(tmp_path: Path, lag: Lag) -> None:
    if not (PIPECAT / "ready").exists():
        pytest.skip("there is no Pipecat on this machine: make pipecat")
    said, answers = speech("alice", 6.0, 16000), list[tuple[float, Pcm]]()
    async with (
        server("pipecat_bot", tmp_path, PIPECAT / "bin/python") as url,
        aiohttp.ClientSession() as http,
    ):
        async with http.ws_connect(f"{url}/call") as ws:

            async def hear() -> None:
                async for message in ws:
                    if message.type is aiohttp.WSMsgType.BINARY:
                        answers.append((time.time(), np.frombuffer(message.data, "<i2")))

            hearing = asyncio.create_task(hear())
            while not answers:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            alice_at = time.time()
            async for low, frame in spoken(said, 320, 16000):
                await ws.send_bytes(frame.astype("<i2").tobytes())
                if low == 320 * 150:
                    await ws.send_str("stop")
                    stopped_at = time.time()
            over_at = time.time()
        await hearing
        report = await finished(tmp_path / "pipecat.wav")
    caller, bot = sorted(report["sources"], key=lambda source: source["local"])
    assert (caller["name"], bot["name"]) == ("user", "bot")
    assert caller["received_s"] == pytest.approx(6.0, abs=0.05)
    assert caller["lost_s"] <= lag.late_s
    pcm, rate_hz = read_all(tmp_path / "pipecat.wav")
    started_at = datetime.fromisoformat(report["started_at"]).timestamp()
    # The listener plays one after the other, and when it interrupts, nothing more of what it has.
    heard = np.concatenate([chunk for _, chunk in answers])
    begins = {"alice": alice_at}
    for voice, seconds in (("carol", 2.5), ("dave", 2.0)):
        first = round(offset_of(speech(voice, seconds, 24000), heard, 24000)[0] * 24000)
        begins[voice] = played_at(answers, first, stopped_at)
    for voice, heard_at in begins.items():
        at_s, likeness = offset_of(speech(voice, 2.0, rate_hz), pcm, rate_hz)
        assert likeness > 0.25, voice
        assert abs(started_at + at_s - heard_at) < 0.02 + lag.worst_s, voice
    # What was not heard when it was interrupted is not in the file.
    heard_s = stopped_at - begins["carol"] + over_at - begins["dave"]
    assert bot["received_s"] == pytest.approx(heard_s, abs=0.1 + lag.worst_s)


@pytest.mark.realtime
async def test_a_pipecat_call_goes_on_where_nothing_can_be_written(tmp_path: Path) -> None:
    if not (PIPECAT / "ready").exists():
        pytest.skip("there is no Pipecat on this machine: make pipecat")
    nowhere = tmp_path / "nowhere"
    async with (
        server("pipecat_bot", nowhere, PIPECAT / "bin/python") as url,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{url}/call") as ws,
    ):
        await ws.send_bytes(bytes(640))
        for _ in range(5):
            assert (await ws.receive_bytes(timeout=60)).strip(b"\0")
    assert not nowhere.exists()


ENDED = """
import asyncio, sys
from pipecat.frames import frames as f
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner
from roomtape.integrations.pipecat import PipecatRecorder

passed = []

class Behind(FrameProcessor):
    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, f.InputAudioRawFrame):
            passed.append(frame.user_id)
        await self.push_frame(frame, direction)

async def main():
    tape = PipecatRecorder(sys.argv[1])
    worker, runner = PipelineWorker(Pipeline([tape, Behind()])), WorkerRunner()
    await runner.add_workers(worker)

    async def call():
        def said(user):
            return f.UserAudioRawFrame(bytes(640), 16000, 1, user_id=user)
        await worker.queue_frames([said("alice")] * 3)
        while len(passed) < 3:
            await asyncio.sleep(0.01)
        await tape.recorder.stop()  # as a full disk does
        await worker.queue_frames([said("alice"), said("bob"), said("bob"), f.EndFrame()])

    await asyncio.gather(runner.run(), call())
    print(*passed)

asyncio.run(main())
"""


@pytest.mark.realtime
def test_a_pipecat_call_goes_on_when_its_recording_is_over(tmp_path: Path) -> None:
    if not (PIPECAT / "ready").exists():
        pytest.skip("there is no Pipecat on this machine: make pipecat")
    command = [PIPECAT / "bin/python", "-c", ENDED, tmp_path / "a.wav"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-6:] == ["alice"] * 4 + ["bob"] * 2
