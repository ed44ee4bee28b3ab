"""A call of the engine in a :class:`MemoryRoom`, on a scripted clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from roomtape import (
    AudioRecordingCode,
    AudioRecordingWarning,
    ChannelEventCallback,
    ErrorCode,
    LocalAudio,
    RtcEngine,
)
from roomtape.rooms import MemoryRoom
from roomtape.storage.disk import Disk
from roomtape.types.clock import ScriptedClock

START = AudioRecordingCode.START
FINISH = AudioRecordingCode.FINISH
ERROR = AudioRecordingCode.ERROR
ERROR_SUFFIX = AudioRecordingCode.ERROR_SUFFIX
OPEN_FILE_FAILED = AudioRecordingCode.OPEN_FILE_FAILED


class Ear(ChannelEventCallback):
    """Remembers every event."""

    def __init__(self) -> None:
        self.recording: list[tuple[AudioRecordingCode, str]] = []
        self.warnings: list[tuple[AudioRecordingWarning, str]] = []
        self.others: list[tuple[object, ...]] = []

    @property
    def codes(self) -> list[AudioRecordingCode]:
        return [code for code, _ in self.recording]

    def on_audio_recording(self, code: AudioRecordingCode, file_path: str) -> None:
        self.recording.append((code, file_path))

    def on_audio_recording_warning(self, code: AudioRecordingWarning, detail: str) -> None:
        self.warnings.append((code, detail))

    def on_user_joined(self, uid: str) -> None:
        self.others.append(("joined", uid))

    def on_user_left(self, uid: str, reason: str) -> None:
        self.others.append(("left", uid, reason))

    def on_user_recording(self, uid: str, recording: bool) -> None:
        self.others.append(("recording", uid, recording))

    def on_disconnect(self, reason: str) -> None:
        self.others.append(("disconnected", reason))


class ScriptedCall:
    """An engine, its room, and what it told.

    Args:
        disk: Where recordings go.
    """

    def __init__(self, *, disk: Disk | None = None) -> None:
        self.clock = ScriptedClock()
        self.room = MemoryRoom(self.clock)
        self.engine = RtcEngine(self.room, clock=self.clock, disk=disk)
        self.ear = Ear()
        self.engine.set_event_callback(self.ear)

    async def join(self, local_audio: LocalAudio | None = None) -> None:
        """Join as ``me``."""
        if local_audio is not None:
            assert await self.engine.set_local_audio(local_audio) is ErrorCode.OK
        assert await self.engine.join_channel(None, "standup", "me") is ErrorCode.OK

    async def until_told(self, *codes: AudioRecordingCode) -> None:
        """Wait for what comes from another thread."""
        async with asyncio.timeout(120):
            while tuple(self.ear.codes[-len(codes) :]) != codes:  # noqa: ASYNC110
                await asyncio.sleep(0.001)


@asynccontextmanager
async def joined_call(
    local_audio: LocalAudio | None = None, *, disk: Disk | None = None
) -> AsyncIterator[ScriptedCall]:
    """A call that is joined, with ``bob`` in the room; released in the end."""
    call = ScriptedCall(disk=disk)
    call.room.enter("bob")
    await call.join(local_audio)
    try:
        yield call
    finally:
        await call.engine.release()
