"""Where pushing threads hand frames over to the mixing thread."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from operator import index
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..types import NS_PER_S, LeftOut, Pcm
from .downmix import mixed_down
from .timing.fast_path import arrivals_of
from .timing.placing.anchor import Arrival

if TYPE_CHECKING:
    from .timing._native import FastPath

Run = tuple[int, list[Arrival]]
"""What came in a row at one rate, and the rate. Of several channels, still."""

RATES_HZ = range(1000, 1 << 20)
MOST_PTS = 1 << 59
"""Timestamps are counted modulo twice this: no sum of a few of them leaves 64 bits."""
_MOST_NS = 1 << 60


class Inbox:
    """What was pushed to one source and is not placed yet.

    There are two ways in: :meth:`offer` is the quick one, :meth:`put` takes the rest. While the
    *fast path* is open (``_native.FastPath``, where the accelerator was built), a frame that is
    offered goes straight into its ring; otherwise it is put into the queue. What holds always:

    * What is in the fast path came before what is in the queue. So whatever is put shuts the
      fast path, and only :meth:`open_fast_path` opens it again, while the queue is empty.
    * Only the fast path that was attached last can be open.
    * After :meth:`close`, nothing is taken.

    Any thread may call :meth:`offer`, :meth:`put`, :meth:`close` and :meth:`discard`; everything
    else belongs to the mixing thread.
    """

    def __init__(self, joined_ns: int) -> None:
        self.offer: Callable[[Any, Any, Any, int, Any], bool] = _refuse
        """``offer(pcm, rate_hz, pts, arrived_ns, gap_is_silence)`` takes a copy of a frame and
        gives True; or False, and then it must be checked and put. It may be given anything. (An
        attribute, so that a push that goes the quick way is one call of C.)"""
        self._lock = Lock()  # never held for longer than a list takes
        self._queue: list[Run] = []
        self._queue_ns = 0
        self._fast_path: FastPath | None = None
        self._fast_rate_hz = 1
        self._closed = False
        self._last_frame_ns = joined_ns
        self._last_timed: bool | None = None
        self._arrived = Counter[int]()  # samples, by rate; the fast path counts its own
        self._refused = defaultdict[int, Counter[LeftOut]](Counter)

    def put(
        self, pcm: Pcm, rate_hz: int, pts: int | None, arrived_ns: int, gap_is_silence: bool
    ) -> None:
        """Take a frame that nobody will write to any more.

        Args:
            pcm: int16, shape ``(frames,)`` or ``(frames, channels)``.
            rate_hz: A frame at a rate that is none of :data:`RATES_HZ` is left out.
            pts: The sender's timestamp. One that is no integer counts as none.
            arrived_ns: From the start of the recording.
            gap_is_silence: What ``pts`` skips was never sent.
        """
        rate_hz = index(rate_hz)
        if rate_hz not in RATES_HZ:
            return
        arrived_ns = min(max(index(arrived_ns), -_MOST_NS), _MOST_NS)
        at = arrived_ns * rate_hz // NS_PER_S
        arrival = Arrival(pcm, at, _bounded(pts), bool(gap_is_silence))
        with self._lock:
            if self._closed:
                return
            if not self._queue or self._queue[-1][0] != rate_hz:
                self._queue.append((rate_hz, []))
            self._queue[-1][1].append(arrival)
            self._arrived[rate_hz] += len(pcm)
            self._queue_ns += len(pcm) * NS_PER_S // rate_hz
            self._last_frame_ns = arrived_ns
            self._last_timed = arrival.pts is not None
            if self._fast_path is not None:
                self._fast_path.open = False

    def refuse(self, samples: int, rate_hz: int, reason: LeftOut) -> None:
        """So many samples came, and are not taken, for this reason. From any thread."""
        with self._lock:
            self._arrived[rate_hz] += samples
            self._refused[rate_hz][reason] += samples

    def arrived(self) -> dict[int, tuple[int, Counter[LeftOut]]]:
        """By rate, how many samples came, and which of them were refused."""
        with self._lock:
            arrived = self._arrived.copy()
            if self._fast_path is not None:
                arrived[self._fast_rate_hz] += self._fast_path.taken
            return {
                rate_hz: (samples, self._refused[rate_hz].copy())
                for rate_hz, samples in arrived.items()
            }

    @property
    def refused_ns(self) -> int:
        """How much audio was refused."""
        with self._lock:
            return sum(
                each.total() * NS_PER_S // rate_hz for rate_hz, each in self._refused.items()
            )

    def waiting(self) -> Counter[int]:
        """By rate, how many samples are here."""
        with self._lock:
            waiting = Counter[int]()
            for rate_hz, arrivals in self._queue:
                waiting[rate_hz] += sum(len(each.pcm) for each in arrivals)
            if self._fast_path is not None:
                waiting[self._fast_rate_hz] += self._fast_path.pushed
            return waiting

    def close(self) -> bool:
        """Take nothing more; what is here can still be taken out. False if it was closed before."""
        with self._lock:
            before, self._closed = self._closed, True
            if self._fast_path is not None:
                self._fast_path.open = False
            return not before

    def discard(self) -> None:
        """Take nothing more, and let go of what is here. From any thread."""
        self.close()
        with self._lock:
            self._queue, self._queue_ns = [], 0
        self.detach()

    def take(self) -> list[Run]:
        """Empty the queue, and what came by the fast path before it; [] if the queue is empty."""
        if not self._queue:
            return []  # nearly always
        with self._lock:
            queue, self._queue, self._queue_ns = self._queue, [], 0
            fast_path = self._fast_path
        if queue and fast_path is not None:
            earlier = arrivals_of(fast_path)
            if earlier and queue[0][0] == self._fast_rate_hz:
                queue[0][1][:0] = earlier
            elif earlier:
                queue.insert(0, (self._fast_rate_hz, earlier))
        return queue

    def attach(self, fast_path: FastPath | None, rate_hz: int) -> None:
        """Another timeline has begun, at ``rate_hz``; its fast path can be opened from now on."""
        self.detach()
        with self._lock:
            self._fast_path, self._fast_rate_hz = fast_path, rate_hz
            self.offer = _refuse if fast_path is None else fast_path.push

    def detach(self) -> None:
        """The timeline is over, and so is its fast path; it holds nothing any more."""
        with self._lock:
            self.offer = _refuse
            if self._fast_path is not None:
                self._fast_path.open = False
                self._last_frame_ns, self._last_timed = self.last_frame_ns, self.last_timed
                self._arrived[self._fast_rate_hz] += self._fast_path.taken
                self._fast_path = None

    def open_fast_path(self) -> None:
        """What is pushed from now on may go the quick way, if nothing else goes before it."""
        fast_path = self._fast_path
        if fast_path is not None and not fast_path.open:
            with self._lock:
                fast_path.open = not self._queue and not self._closed

    def shut_fast_path(self) -> None:
        """What is pushed from now on goes into the queue."""
        fast_path = self._fast_path
        if fast_path is not None:
            fast_path.open = False

    @property
    def fast(self) -> bool:
        """Whether the fast path is open."""
        fast_path = self._fast_path
        return fast_path is not None and fast_path.open

    @property
    def waiting_ns(self) -> int:
        """How much audio waits here. From any thread, about."""
        fast_path, waiting_ns = self._fast_path, self._queue_ns
        if fast_path is not None:
            waiting_ns += fast_path.pushed * NS_PER_S // self._fast_rate_hz
        return waiting_ns

    @property
    def last_frame_ns(self) -> int:
        """When the last frame came; when the source joined, before the first."""
        fast_path = self._fast_path
        if fast_path is None or not fast_path.taken:
            return self._last_frame_ns  # which may lie before the recording
        return max(self._last_frame_ns, fast_path.last_arrived_ns)

    @property
    def last_timed(self) -> bool | None:
        """Whether the last frame had a timestamp; None before the first."""
        fast_path = self._fast_path
        if (
            fast_path is not None
            and fast_path.taken
            and fast_path.last_arrived_ns > self._last_frame_ns
        ):
            return fast_path.last_timed
        return self._last_timed


def not_before(head: int, arrivals: list[Arrival]) -> None:
    """Nobody waited yet for the beginning of a first chunk that is long: it is heard a little
    later, and not lost. What was heard before the recording began is no part of it."""
    first = arrivals[0]
    if first.pts is None and head > 0 and first.at < head:
        arrivals[0] = first._replace(at=head)


def mono(run: list[Arrival]) -> list[Arrival]:
    """The same, with all channels mixed down to one."""
    return [each if each.pcm.ndim == 1 else each._replace(pcm=mixed_down(each.pcm)) for each in run]


def _refuse(_pcm: Any, _rate_hz: Any, _pts: Any, _ns: int, _gap_is_silence: Any) -> bool:
    return False


def _bounded(pts: int | None) -> int | None:
    try:
        pts = None if pts is None else index(pts)
    except TypeError:
        return None
    if pts is None or -MOST_PTS <= pts < MOST_PTS:
        return pts
    return (pts + MOST_PTS) % (2 * MOST_PTS) - MOST_PTS
