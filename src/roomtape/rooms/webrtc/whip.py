"""Speaks WebRTC for the WHIP endpoint of the room server: who calls becomes a participant.

For each caller there is a call with it, which only listens, and a seat in the room like anybody's,
which publishes what is heard. So the members of the room know nothing of WHIP, and the server's
tokens, names and bounds hold for callers as for everybody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import numpy as np
from aiortc import RTCIceServer

from ...media.local_audio import FRAME_SAMPLES, LOCAL_RATE_HZ, LocalAudio
from ...server.whip.publishing import Caller
from ...types import AudioFrame, Pcm
from ...types.clock import Clock
from ...types.errors import OfferError
from ..rtp.bounds import Excess, MediaBounds
from ..rtp.receive import Incoming, RemoteAudio
from ..rtp.send import PacketTrack
from .call import Call
from .room import WebRtcRoom

logger = logging.getLogger(__name__)

ANSWER_WITHIN_S = 10.0
CONNECT_WITHIN_S = 15.0
_RESTART_S = 5.0
"""A jump of timestamps by more is a new stream."""


class WhipCalls:
    """Makes a :class:`WhipCall` of each caller (``roomtape.server.whip.publishing``)."""

    async def publish(self, caller: Caller, on_over: Callable[[], None]) -> WhipCall:
        call = WhipCall(caller, on_over)
        try:
            await call.begin()
        except BaseException:
            await call.close()
            raise
        return call


class WhipCall:
    """One caller. Call :meth:`begin` once; then, at any time and any number of times,
    :meth:`close`. It closes by itself when the caller does not connect, hangs up, or is gone, and
    when the room is lost.

    Attributes:
        answer: The session description for the caller.
        over: It has ended.
    """

    def __init__(self, caller: Caller, on_over: Callable[[], None]) -> None:
        self.answer = ""
        self.over = False
        self._caller = caller
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._audio = RelayedAudio()
        self._room = WebRtcRoom(caller.url)
        self._tracks: list[RemoteAudio] = []
        self._call = Call(
            "whip",
            track=PacketTrack(),
            ice_servers=[
                RTCIceServer(each["urls"], each.get("username"), each.get("credential"))
                for each in caller.ice_servers
            ],
            loopback=caller.loopback,
            on_incoming=self._listen,
            on_state=self._changed,
            excess=Excess(caller.uid),
            bounds=MediaBounds(tracks=1),
            codecs=("opus",),
        )
        self._deadline: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Answer, and join the room.

        Raises:
            OfferError: The offer cannot be answered.
            RoomError: The room cannot be joined.
        """
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                self.answer = await self._call.answer(self._caller.offer)
        except Exception as error:  # aiortc raises whatever it runs into
            logger.debug("an offer cannot be answered", exc_info=error)
            raise OfferError(
                f"the offer cannot be answered ({error or type(error).__name__}): it must have "
                "audio in Opus"
            ) from None
        caller = self._caller
        await self._room.join(
            token=caller.token,
            channel=caller.room,
            uid=caller.uid,
            listener=_RoomGone(self._end),
            local_audio=self._audio,
        )
        if not self._call.connected:
            self._deadline = self._loop.call_later(CONNECT_WITHIN_S, self._end)
        if self._call.over:
            self._end()

    async def add_candidate(self, candidate: str) -> None:
        """One more address of the caller; empty: there are no more."""
        if not self.over:
            await self._call.add_candidate(candidate)

    async def close(self) -> None:
        """Hang up, and leave the room."""
        self._end()
        assert self._closing is not None
        await asyncio.wait([self._closing])

    def _end(self) -> None:
        if self._closing is None:
            self.over = True
            if self._deadline is not None:
                self._deadline.cancel()
            self._closing = self._loop.create_task(self._close())

    async def _close(self) -> None:
        try:
            for track in self._tracks:
                track.close()
            await self._room.leave()
            await self._call.close()
        finally:
            self._on_over()

    def _listen(self, incoming: Incoming) -> None:
        self._tracks.append(RemoteAudio(incoming, self._audio.hear, self._end))

    def _changed(self, call: Call) -> None:
        if call.connected and self._deadline is not None:
            self._deadline.cancel()
        if call.over:
            self._end()


class RelayedAudio(LocalAudio):
    """Publishes what is heard elsewhere, as it comes: nothing waits for its turn. What is missing
    on the way here is a gap, as a pause is."""

    def __init__(self) -> None:
        super().__init__()
        self._next: int | None = None  # the timestamp expected
        self._rest: Pcm = np.zeros(0, np.int16)  # less than a frame

    def hear(self, frame: AudioFrame) -> None:
        """One frame, at 48 kHz, with its timestamp. What comes behind a later one is left out."""
        if frame.pts is None or not len(frame.pcm):
            return
        gap = 0 if self._next is None else frame.pts - self._next
        if abs(gap) > _RESTART_S * LOCAL_RATE_HZ:
            gap = FRAME_SAMPLES  # another stream: a short pause
        if gap < 0:
            return
        self._next = frame.pts + len(frame.pcm)
        if gap and len(self._rest):
            filled = min(gap, FRAME_SAMPLES - len(self._rest))
            self._say(np.zeros(filled, np.int16))
            gap -= filled
        if gap and len(self._rest):  # the gap ends within the frame
            gap = 0
        self._pts += gap
        self._say(frame.pcm)

    def _say(self, pcm: Pcm) -> None:
        pcm = np.concatenate([self._rest, pcm])
        whole = len(pcm) - len(pcm) % FRAME_SAMPLES
        for start in range(0, whole, FRAME_SAMPLES):
            self._emit(pcm[start : start + FRAME_SAMPLES])
        self._rest = pcm[whole:]

    async def _run(self, clock: Clock) -> None:  # noqa: ARG002
        await asyncio.Event().wait()  # whoever is heard sets the pace


class _RoomGone:
    """Listens to a room for nothing but its end."""

    def __init__(self, on_closed: Callable[[], None]) -> None:
        self._on_closed = on_closed

    def on_participant_joined(self, uid: str) -> None: ...
    def on_participant_left(self, uid: str, reason: str) -> None: ...
    def on_participant_recording(self, uid: str, recording: bool) -> None: ...

    def on_participant_consent(self, uid: str, agrees: bool) -> None: ...
    def on_audio(self, uid: str, track: str, frame: AudioFrame) -> None: ...
    def on_muted(self, uid: str, track: str, muted: bool) -> None: ...
    def on_track_ended(self, uid: str, track: str) -> None: ...

    def on_closed(self, reason: str) -> None:  # noqa: ARG002
        self._on_closed()
