"""A room server, and participants over real WebRTC who can be told apart by their voices."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack

from roomtape.media.local_audio import LocalAudio
from roomtape.rooms.webrtc.room import WebRtcRoom
from roomtape.server.app import RoomServer
from roomtape.types.clock import SystemClock
from support.room_listener import RoomEar, likeness, speaking, voice


class Member:
    """A participant of the test."""

    def __init__(self, uid: str, room: WebRtcRoom, ear: RoomEar, audio: LocalAudio | None) -> None:
        self.uid = uid
        self.room = room
        self.ear = ear
        self.audio = audio

    def break_off(self) -> None:
        """Cut the WebSocket, as a failing network does."""
        signalling = self.room._signalling
        assert signalling is not None
        assert signalling._ws is not None
        signalling._ws.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class Meeting:
    """A server, and those who join rooms there; all leave at the end."""

    def __init__(self, server: RoomServer, stack: AsyncExitStack) -> None:
        self.server = server
        self._stack = stack

    @property
    def port(self) -> int:
        return int(self.server.url.rsplit(":", 1)[1])

    async def join(
        self,
        uid: str,
        *,
        audio: LocalAudio | None = None,
        silent: bool = False,
        token: str | None = None,
    ) -> Member:
        if audio is None and not silent:
            audio = speaking(uid, 30)
        room, ear = WebRtcRoom(self.server.url), RoomEar()
        if audio is not None:
            audio.start(SystemClock())
            self._stack.push_async_callback(audio.stop)
        await room.join(token=token, channel="standup", uid=uid, listener=ear, local_audio=audio)
        self._stack.push_async_callback(room.leave)
        return Member(uid, room, ear, audio)


async def assert_hears(listener: Member, speaker: str) -> None:
    """From now on, ``listener`` hears ``speaker``, and nobody else in its place."""
    ear = listener.ear
    start = len(ear.frames[speaker])
    await ear.until_heard(speaker, 1.0)
    heard = ear.pcm(speaker, start)
    # Not on the event loop, which all participants of these tests share.
    assert await asyncio.to_thread(likeness, heard, voice(speaker, 30)) > 0.8
    assert await asyncio.to_thread(likeness, heard, voice("nobody", 30)) < 0.2
