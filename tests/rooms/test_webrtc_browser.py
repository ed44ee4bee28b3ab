"""The server's page in a real browser, in one room with a WebRtcRoom."""

from __future__ import annotations

import wave
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest

from roomtape.rooms.webrtc.room import WebRtcRoom
from roomtape.server.app import RoomServer
from roomtape.types.clock import SystemClock
from support.browser import chromium
from support.room_listener import RoomEar, likeness, speaking, voice

pytestmark = [pytest.mark.network, pytest.mark.browser]

UID = "<img src=x onerror=document.title='broken'>"


def write_wav(path: Path, pcm: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(pcm.astype("<i2").tobytes())
    return path


async def test_a_link_alone_opens_no_microphone(tmp_path: Path) -> None:
    microphone = write_wav(tmp_path / "carol.wav", voice("carol", 5))
    ear = RoomEar()
    async with RoomServer("127.0.0.1", 0) as server:
        room = WebRtcRoom(server.url)
        await room.join(token=None, channel="standup", uid="bob", listener=ear, local_audio=None)
        query = urlencode({"room": "standup", "uid": "carol", "autojoin": ""})
        async with chromium(f"{server.url}/?{query}", microphone=microphone) as page:
            await page.until("document.getElementById('status').innerText.includes('“standup”')")
            assert await page.evaluate("document.getElementById('call').hidden")
            assert ear.events == []
            # Chromium allows it at once here, as it does to who has allowed it once.
            await page.press_join()
            await ear.until_event("joined", "carol")
        await room.leave()


async def test_chromium_and_a_room_hear_each_other(tmp_path: Path) -> None:
    microphone = write_wav(tmp_path / "carol.wav", voice("carol", 30))
    ear, audio = RoomEar(), speaking("alice", 120)
    audio.start(SystemClock())
    async with RoomServer("127.0.0.1", 0) as server:
        room = WebRtcRoom(server.url)
        await room.join(token=None, channel="standup", uid=UID, listener=ear, local_audio=audio)
        await room.set_recording(True)
        query = urlencode({"room": "standup", "uid": "carol", "autojoin": "", "raw": ""})
        async with chromium(f"{server.url}/?{query}", microphone=microphone) as page:
            await page.press_join()
            other = "document.querySelectorAll('#people li')[1]"
            await page.until(f"{other}.dataset.state === 'connected'")
            await ear.until_heard("carol", 2.0)
            start = len(ear.frames["carol"])
            await ear.until_heard("carol", 2.0)
            assert likeness(ear.pcm("carol", start), voice("carol", 30)) > 0.8

            # The page hears us, says who records, and takes a name for text.
            await page.evaluate(_LOUDNESS)
            await page.until("window.loudness() > 0.01")
            assert await page.evaluate(f"{other}.querySelector('.name').innerText") == UID
            assert await page.evaluate("document.title") == "Roomtape"
            assert "recording" in await page.evaluate("document.getElementById('taped').innerText")

            await page.evaluate("document.getElementById('mute').click()")
            await ear.until_event("muted", "carol", True)
            await page.evaluate("document.getElementById('mute').click()")
            await ear.until_event("muted", "carol", False)
            await page.evaluate("document.getElementById('leave').click()")
            await ear.until_event("left", "carol", "left")
        await room.leave()
    await audio.stop()


async def test_the_page_asks_and_tells_what_is_answered(tmp_path: Path) -> None:
    microphone = write_wav(tmp_path / "carol.wav", voice("carol", 30))
    ear = RoomEar()
    async with RoomServer("127.0.0.1", 0) as server:
        room = WebRtcRoom(server.url)
        await room.join(token=None, channel="standup", uid=UID, listener=ear, local_audio=None)
        query = urlencode({"room": "standup", "uid": "carol", "autojoin": "", "raw": ""})
        async with chromium(f"{server.url}/?{query}", microphone=microphone) as page:
            await page.press_join()
            await ear.until_event("joined", "carol")
            assert await page.evaluate("document.getElementById('asked').hidden")
            await room.ask_consent(True)
            asked = "document.getElementById('asked-by').innerText"
            await page.until(f"{asked}.includes('not recorded until you agree')")
            assert UID in await page.evaluate(asked)
            assert await page.evaluate("document.title") == "Roomtape"
            await page.evaluate("document.getElementById('agree').click()")
            await ear.until_event("consent", "carol", True)
            assert await page.evaluate(asked) == "You agreed to be recorded."
            await page.evaluate("document.getElementById('decline').click()")
            await ear.until_event("consent", "carol", False)
            assert await page.evaluate(asked) == "You are not recorded."
            await room.ask_consent(False)
            await page.until("document.getElementById('asked').hidden")
        await room.leave()


async def test_a_newcomer_reaches_a_page_that_was_there_before(tmp_path: Path) -> None:
    microphone = write_wav(tmp_path / "carol.wav", voice("carol", 30))
    ear = RoomEar()
    async with RoomServer("127.0.0.1", 0) as server:
        query = urlencode({"room": "standup", "uid": "carol", "autojoin": "", "raw": ""})
        async with chromium(f"{server.url}/?{query}", microphone=microphone) as page:
            await page.press_join()
            await page.until("document.getElementById('people').innerText.includes('carol')")
            await page.until("document.getElementById('status').innerText === ''")
            room = WebRtcRoom(server.url)
            await room.join(
                token=None, channel="standup", uid="alice", listener=ear, local_audio=None
            )
            await ear.until_heard("carol", 1.0)
            await page.evaluate("document.getElementById('leave').click()")
            await ear.until_event("left", "carol", "left")
            await room.leave()


_LOUDNESS = """
(() => {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  window.keep = [context, analyser];
  context.createMediaStreamSource(document.querySelector('audio').srcObject).connect(analyser);
  window.loudness = () => {
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    return Math.max(...samples.map(Math.abs));
  };
})()
"""
