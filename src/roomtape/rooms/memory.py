"""A room without a network: scripted participants on whatever clock there is.

For tests, examples and dry runs. With a :class:`~roomtape.types.clock.ScriptedClock` an hour passes
in seconds, and the same each time::

    clock = ScriptedClock()
    room = MemoryRoom(clock)
    engine = RtcEngine(room, clock=clock)
    await engine.join_channel(None, "standup", "me")
    room.enter("bob")
    room.speak("bob", pcm, 48000)       # in real time of the clock, 20 ms frames
    await clock.advance(10)
"""

from __future__ import annotations

import asyncio

from ..media.local_audio import LocalAudio
from ..types import NS_PER_S, AudioFrame, Pcm
from ..types.clock import Clock
from ..types.errors import RoomRefusedError
from .base import Room, RoomListener

_FRAME_NS = NS_PER_S // 50


class MemoryRoom(Room):
    """Participants enter, speak and go as the script says; nothing is sent anywhere.

    Args:
        clock: Sets the pace at which participants speak.
        refuse: Why joining fails, if it shall.
    """

    def __init__(self, clock: Clock, *, refuse: str = "") -> None:
        self._clock = clock
        self._refuse = refuse
        self._listener: RoomListener | None = None
        self._present: dict[str, set[asyncio.Task[None]]] = {}
        self._pts: dict[str, int] = {}
        self.recording = False
        """Whether the local user said that it records."""
        self.asks = False
        """Whether the local user asks for consent."""
        self.local_agrees: bool | None = None
        """Whether it agrees itself to be recorded; it may not have said."""
        self.muted = False
        """Whether the local user said that it is muted."""
        self.local_audio: LocalAudio | None = None
        """What the local user publishes."""

    async def join(
        self,
        *,
        token: str | None,
        channel: str,
        uid: str,
        listener: RoomListener,
        local_audio: LocalAudio | None,
    ) -> None:
        del token, channel, uid
        if self._refuse:
            raise RoomRefusedError(self._refuse)
        self._listener = listener
        self.local_audio = local_audio
        for present in self._present:
            listener.on_participant_joined(present)

    async def leave(self) -> None:
        self._close("left")

    async def publish(self, local_audio: LocalAudio | None) -> None:
        self.local_audio = local_audio

    async def set_muted(self, muted: bool) -> None:
        self.muted = muted

    async def set_recording(self, recording: bool) -> None:
        self.recording = recording

    async def ask_consent(self, asks: bool) -> None:
        self.asks = asks

    async def say_consent(self, agrees: bool) -> None:
        self.local_agrees = agrees

    # -- the script ---------------------------------------------------------------------------

    def enter(self, uid: str) -> None:
        """Somebody comes in."""
        self._present[uid] = set()
        if self._listener is not None:
            self._listener.on_participant_joined(uid)

    def exit(self, uid: str, reason: str = "left") -> None:
        """Somebody goes."""
        for task in self._present.pop(uid, set()):
            task.cancel()
        if self._listener is not None:
            self._listener.on_participant_left(uid, reason)

    def speak(self, uid: str, pcm: Pcm, sample_rate: int, *, timed: bool = True) -> None:
        """Say ``pcm`` from now on, in real time.

        Args:
            uid: Somebody who has entered.
            pcm: int16, shape ``(frames,)`` or ``(frames, channels)``.
            sample_rate: Hz.
            timed: Give the frames timestamps.
        """
        task = asyncio.get_running_loop().create_task(self._speak(uid, pcm, sample_rate, timed))
        self._present[uid].add(task)
        task.add_done_callback(self._present[uid].discard)

    def send(self, uid: str, frame: AudioFrame, *, track: str = "audio") -> None:
        """Hand over one frame right now, as it is."""
        if self._listener is not None:
            self._listener.on_audio(uid, track, frame)

    def mute(self, uid: str, muted: bool) -> None:
        """Somebody mutes itself, or no longer."""
        if self._listener is not None:
            self._listener.on_muted(uid, "audio", muted)

    def agree(self, uid: str, agrees: bool = True) -> None:
        """Somebody says whether it agrees to be recorded."""
        if self._listener is not None:
            self._listener.on_participant_consent(uid, agrees)

    def lose(self, reason: str = "the connection was lost") -> None:
        """The room is gone for good."""
        self._close(reason)

    async def _speak(self, uid: str, pcm: Pcm, sample_rate: int, timed: bool) -> None:
        start_ns = self._clock.now_ns()
        frame_samples = sample_rate * _FRAME_NS // NS_PER_S
        # The sender's clock is ours: what is said later stands later on it, too.
        first_pts = start_ns * sample_rate // NS_PER_S
        for low in range(0, len(pcm), frame_samples):
            await self._clock.sleep_until(start_ns + low * NS_PER_S // sample_rate)
            pts = first_pts + low if timed else None
            self.send(
                uid,
                AudioFrame(
                    pcm[low : low + frame_samples], sample_rate, pts, gap_is_silence=low == 0
                ),
            )

    def _close(self, reason: str) -> None:
        for tasks in self._present.values():
            for task in tasks:
                task.cancel()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.on_closed(reason)
