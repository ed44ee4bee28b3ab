"""The end that a bot's speech is pushed into, as fast as it is made."""

from __future__ import annotations

import asyncio

from ...audio.downmix import mixed_down
from ...audio.playout.queue import PlayoutQueue
from ...audio.playout.track import PlayoutTrack
from ...audio.session import RecordingSession
from ...media.door import Door, Pushed, WholeNumber
from ...types import NS_PER_S
from ...types.clock import Clock
from .participant import Participant
from .stand_in import StandIn

MOST_QUEUED_S = 600.0
_WITHDRAWN_HZ = 8000


class PlayoutSource(Participant):
    """A participant whose speech is there before it is heard: a bot. Made by
    :meth:`roomtape.AudioRecorder.add_playout`.

    What is pushed is heard from now on, at the pace of speech, behind what was pushed before; and
    so it is recorded: push, and hand the same audio to your transport. When the caller interrupts,
    :meth:`clear` withdraws what was not heard yet. :meth:`push`, :meth:`clear` and the properties
    are thread-safe and never block.

    Audio that is heard before the recording starts or after it has ended, or that its position
    leaves out, is not recorded; :attr:`pending_s` and :meth:`wait` are as true then.
    """

    _under_way_ns = 0  # it is pushed before it is heard

    def __init__(
        self, name: str, *, local: bool, clock: Clock, max_queued_s: float = MOST_QUEUED_S
    ) -> None:
        super().__init__(name, local=local, clock=clock)
        if not 0 < max_queued_s <= 86400:
            raise ValueError(f"max_queued_s is {max_queued_s}; it must be above 0, at most 86400")
        self._max_queued_s = max_queued_s
        self._queue = PlayoutQueue(round(max_queued_s * NS_PER_S), clock.now_ns)
        self._door = Door()
        self._waiting: set[asyncio.Future[None]] = set()

    def push(
        self, data: Pushed, sample_rate: WholeNumber | None = None, *, channels: int | None = None
    ) -> None:
        """Say this after what was pushed before. A push that comes less than 10 ms after the end of
        the one before goes on where that ended.

        Args:
            data, sample_rate, channels: See :meth:`Source.push`. It is copied.

        Raises:
            ValueError: It cannot be taken as audio, or more than ``max_queued_s`` would wait.
                Nothing of it is said then.
        """
        try:
            taken = self._door.take(data, sample_rate, channels)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        with self._gate:
            if self._closed or not len(taken.pcm):
                return
            pcm = mixed_down(taken.pcm)
            instead = self._instead(len(pcm), taken.sample_rate)
            pushed = self._queue.push(pcm if instead is None else instead, taken.sample_rate)
            if instead is not None and pushed:
                self._count_silenced(len(pcm), taken.sample_rate)
        if not pushed:
            raise ValueError(
                f"{self.name}: {self.pending_s:.1f} s of speech wait already, and at most "
                f"{self._max_queued_s:g} s may: wait(), clear(), or a larger max_queued_s"
            )

    def clear(self) -> float:
        """Withdraw what has not been heard yet: nothing of it is in the recording. What was heard
        by now stays.

        Returns:
            How many seconds that was.
        """
        cleared_ns = self._queue.clear()
        self._door.forget()
        for waiting in tuple(self._waiting):
            try:
                waiting.get_loop().call_soon_threadsafe(_wake, waiting)
            except RuntimeError:  # its loop has ended, and it with it
                continue
        return cleared_ns / NS_PER_S

    @property
    def pending_s(self) -> float:
        """How many seconds are still to be heard."""
        return self._queue.pending_ns / NS_PER_S

    async def wait(self) -> None:
        """Return when all that was pushed has been heard, or was withdrawn; at once, if nothing
        waits. On any event loop."""
        while self._queue.pending_ns:
            cleared: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(cleared)
            asleep = asyncio.ensure_future(self._clock.sleep_until(self._queue.end_ns))
            try:
                await asyncio.wait((cleared, asleep), return_when=asyncio.FIRST_COMPLETED)
            finally:
                asleep.cancel()
                self._waiting.discard(cleared)

    def _withdraw(self, stand_in: StandIn) -> None:
        # It goes on to be said, and is something else in the recording.
        samples = self._queue.clear() * _WITHDRAWN_HZ // NS_PER_S
        self._queue.push(stand_in.of(0, samples, _WITHDRAWN_HZ), _WITHDRAWN_HZ)

    def close(self) -> None:
        """Nothing more will be pushed. What waits is still heard, and can still be withdrawn."""
        super().close()

    def disconnect(self) -> None:
        super().disconnect()
        self._queue.detach()

    def _let_in(self, session: RecordingSession, joined_ns: int) -> PlayoutTrack | None:
        track = PlayoutTrack(
            self.name,
            local=self.local,
            joined_ns=joined_ns,
            queue=self._queue,
            origin_ns=self._start_ns,
        )
        if session.let_in(track):
            return track
        self._queue.detach()
        return None


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
