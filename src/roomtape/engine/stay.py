"""One stay in a room: from joining it to leaving or losing it."""

from __future__ import annotations

from collections.abc import Callable

from ..media.local_audio import LocalAudio
from ..types import AudioFrame
from ..types.clock import Clock
from .callback import ChannelEventCallback
from .membership import Membership

Tell = Callable[[Callable[[ChannelEventCallback], object]], None]


class Stay:
    """Takes down what happens in the room (it is the room's listener), and who is there. What a
    room says of one stay never touches another: each has members of its own.

    Call :meth:`end` once it is left or lost, any number of times: it hears nothing after that.

    Args:
        uid: The local user.
        tell: Calls the user's callback.
        on_local_muted: Called when the local audio was muted, or no longer.
        on_lost: Called once if the room is gone for good; :attr:`lost` says why.
    """

    def __init__(
        self,
        uid: str,
        *,
        tell: Tell,
        on_local_muted: Callable[[Stay, bool], None],
        on_lost: Callable[[Stay], None],
    ) -> None:
        self.uid = uid
        self.members = Membership()
        self.lost = ""
        """Why the room is gone for good; empty while it is there."""
        self._tell = tell
        self._on_local_muted = on_local_muted
        self._on_lost = on_lost
        self._ended = False
        self._local: LocalAudio | None = None
        self._unsubscribe: Callable[[], object] | None = None

    @property
    def going_on(self) -> bool:
        """Whether it is neither lost nor ended."""
        return not self.lost and not self._ended

    def publish(
        self, local: LocalAudio | None, clock: Clock, *, voice: LocalAudio | None = None
    ) -> None:
        """What the local user is heard with from now on; it is started here. The ``voice`` in it
        says whether it is muted, if that is something else."""
        self._forget_local()
        if local is None:
            return
        self._local = local
        self.members.set_local(self.uid)
        speaks = voice or local
        self.members.local_muted(speaks.muted)
        unsubscribe = (
            local.subscribe(self.members.local_audio),
            speaks.subscribe(lambda _: None, self._local_muted),
        )
        self._unsubscribe = lambda: [each() for each in unsubscribe]
        local.start(clock)

    async def stop_publishing(self) -> None:
        """The local user is heard no more."""
        local = self._local
        self._forget_local()
        if local is not None:
            await local.stop()

    async def end(self) -> None:
        """It is over."""
        self._ended = True
        self.members.clear()
        await self.stop_publishing()

    def _forget_local(self) -> None:
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()
        self._local = None
        self.members.set_local(None)

    def _local_muted(self, muted: bool) -> None:
        self.members.local_muted(muted)
        self._on_local_muted(self, muted)

    # -- the room's listener --------------------------------------------------------------------

    def on_participant_joined(self, uid: str) -> None:
        if not self._ended:
            self.members.joined(uid)
            self._tell(lambda to: to.on_user_joined(uid))

    def on_participant_left(self, uid: str, reason: str) -> None:
        if not self._ended:
            self.members.left(uid)
            self._tell(lambda to: to.on_user_left(uid, reason))

    def on_participant_recording(self, uid: str, recording: bool) -> None:
        if not self._ended:
            self._tell(lambda to: to.on_user_recording(uid, recording))

    def on_participant_consent(self, uid: str, agrees: bool) -> None:
        if not self._ended:
            self.members.consent(uid, agrees)
            self._tell(lambda to: to.on_user_consent(uid, agrees))

    def on_audio(self, uid: str, track: str, frame: AudioFrame) -> None:
        self.members.audio(uid, track, frame)

    def on_muted(self, uid: str, track: str, muted: bool) -> None:
        self.members.muted(uid, track, muted)

    def on_track_ended(self, uid: str, track: str) -> None:
        self.members.track_ended(uid, track)

    def on_closed(self, reason: str) -> None:
        if not self._ended and not self.lost:
            self.lost = reason or "the room was closed"
            self._on_lost(self)
