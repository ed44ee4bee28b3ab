"""Callbacks may be coroutines: nobody waits for them, and what they do wrong is their own."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from roomtape import (
    AudioRecorder,
    AudioRecordingCode,
    AudioRecordingConfiguration,
    AudioRecordingWarning,
    ChannelEventCallback,
    RecordingEvent,
    RtcEngine,
)
from roomtape.rooms import MemoryRoom
from roomtape.types.clock import ScriptedClock
from support.readers import read_all
from support.signals import noise


class Coroutines(ChannelEventCallback):
    """Hears of everything, and waits a little before it writes it down."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def _hear(self, what: str) -> None:
        await asyncio.sleep(0)
        self.heard.append(what)

    async def on_audio_recording(self, code: AudioRecordingCode, file_path: str) -> None:
        await self._hear(code.name)

    async def on_audio_recording_warning(self, code: AudioRecordingWarning, detail: str) -> None:
        await self._hear(code.name)

    async def on_user_joined(self, uid: str) -> None:
        await self._hear(f"{uid} joined")

    async def on_user_left(self, uid: str, reason: str) -> None:
        await self._hear(f"{uid} left")

    async def on_disconnect(self, reason: str) -> None:
        await self._hear("disconnected")


class Broken(Coroutines):
    """Raises, sooner or later."""

    async def _hear(self, what: str) -> None:
        await super()._hear(what)
        raise RuntimeError(f"no, {what}!")


class Endless(Coroutines):
    """Never comes back."""

    async def _hear(self, what: str) -> None:
        await super()._hear(what)
        await asyncio.Event().wait()


async def _call(callback: ChannelEventCallback, path: Path) -> None:
    clock = ScriptedClock()
    room = MemoryRoom(clock)
    async with RtcEngine(room, clock=clock) as engine:
        engine.set_event_callback(callback)
        await engine.join_channel(None, "standup", "me")
        await engine.start_audio_recording(str(path), 16000)
        room.enter("bob")
        room.speak("bob", noise(1, 2.0, 16000), 16000)
        await clock.advance(14)
        room.exit("bob")
        await clock.advance(1)
        await engine.stop_audio_recording()
        room.lose()
        await clock.advance(1)


@pytest.mark.parametrize("kind", [Coroutines, Broken, Endless])
def test_the_engines_callbacks_may_be_coroutines(
    tmp_path: Path, kind: type[Coroutines], caplog: pytest.LogCaptureFixture
):
    callback = kind()
    with caplog.at_level(logging.ERROR):
        asyncio.run(_call(callback, tmp_path / "a.wav"))
    assert callback.heard == [
        "START",
        "bob joined",
        "NO_AUDIO",
        "bob left",
        "FINISH",
        "disconnected",
    ]
    assert len(read_all(tmp_path / "a.wav")[0]) == 15 * 16000
    raised = [each for each in caplog.records if "a callback raised" in each.getMessage()]
    assert len(raised) == (6 if kind is Broken else 0)


@pytest.mark.parametrize("kind", ["raises", "raises at once", "never ends"])
def test_a_recorders_listener_may_be_a_coroutine(tmp_path: Path, kind: str):
    heard: list[RecordingEvent] = []

    async def listener(event: RecordingEvent) -> None:
        heard.append(event)
        if kind == "raises at once":
            raise RuntimeError("no")
        await asyncio.sleep(0)
        if kind == "raises":
            raise RuntimeError("no")
        await asyncio.Event().wait()

    async def main() -> None:
        clock = ScriptedClock()
        config = AudioRecordingConfiguration(tmp_path / "a.wav", sample_rate=16000)
        async with AudioRecorder(config, on_event=listener, clock=clock):
            await clock.advance(3)

    asyncio.run(main())
    assert [each.code for each in heard] == [AudioRecordingCode.START, AudioRecordingCode.FINISH]
    assert len(read_all(tmp_path / "a.wav")[0]) == 3 * 16000
