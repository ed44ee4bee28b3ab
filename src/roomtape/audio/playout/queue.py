"""What a bot has handed over and not said yet."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from ...types import NS_PER_S, LeftOut, Pcm

_BRIDGED_NS = NS_PER_S // 100
"""Who pushes at the very pace of speech is a little late now and then; that is no pause yet."""


@dataclass(slots=True)
class _Run:
    """Samples in a row, at one rate."""

    start_ns: int
    """When the first of them is heard; it may have been let go."""
    rate_hz: int
    pieces: deque[Pcm] = field(default_factory=deque)
    first: int = 0
    """How many samples stood before those that are kept."""
    count: int = 0
    """Those that were let go included."""

    @property
    def end_ns(self) -> int:
        return self.start_ns - -self.count * NS_PER_S // self.rate_hz

    def let_go_before(self, sample: int) -> None:
        """Let go of whole pieces that end by ``sample``."""
        while self.pieces and self.first + len(self.pieces[0]) <= sample:
            self.first += len(self.pieces.popleft())

    def cut_at(self, sample: int) -> int:
        """Let go of everything from ``sample`` on. Gives how much that was."""
        surplus = cut = self.count - max(sample, self.first)
        while surplus > 0:
            piece = self.pieces.pop()
            surplus -= len(piece)
            if surplus < 0:
                self.pieces.append(piece[:-surplus])
        self.count -= cut
        return cut


@dataclass(slots=True)
class _Tally:
    """Samples at one rate, since they are read."""

    arrived: int = 0
    read: int = 0
    refused: int = 0
    cleared: int = 0


class PlayoutQueue:
    """Each piece is heard right behind the one before, or from now on where nothing waits.

    Times are nanoseconds on one clock. Any thread may call
    :meth:`push`, :meth:`clear` and the questions; :meth:`attach`, :meth:`read` and :meth:`detach`
    belong to one reader, who comes by every now and then, and never reads what is still to be
    heard. While there is none, what was heard is let go of.

    Args:
        most_ns: How much may wait.
        now_ns: What time it is; it does not go back. It is asked with the lock held: who pushes
            and is kept from it by others must not push into what was read meanwhile.
    """

    def __init__(self, most_ns: int, now_ns: Callable[[], int]) -> None:
        self._most_ns = most_ns
        self._now_ns = now_ns
        self._lock = Lock()  # never held for longer than a few pieces take
        self._runs: deque[_Run] = deque()
        self._end_ns = 0
        self._origin_ns: int | None = None  # the reader's
        self._over = False
        self._tallies = defaultdict[int, _Tally](_Tally)

    @property
    def end_ns(self) -> int:
        """When the last of what was pushed so far has been heard."""
        return self._end_ns

    @property
    def pending_ns(self) -> int:
        """How much is still to be heard."""
        return max(0, self._end_ns - self._now_ns())

    def push(self, pcm: Pcm, rate_hz: int) -> bool:
        """Say ``pcm``, mono, after what waits already. It is copied.

        Returns:
            Whether there is room for it; if not, nothing was done.
        """
        # In pieces, so that what was heard of it can be let go of.
        pieces = [pcm[low : low + rate_hz].copy() for low in range(0, len(pcm), rate_hz)]
        with self._lock:
            now_ns = self._now_ns()
            ends_ns = max(now_ns, self._end_ns) + len(pcm) * NS_PER_S // rate_hz
            counted = self._origin_ns is not None and not self._over
            tally = self._tallies[rate_hz] if counted else _Tally()
            tally.arrived += len(pcm)
            if ends_ns - now_ns > self._most_ns:
                tally.refused += len(pcm)
                return False
            start_ns = self._end_ns if now_ns - self._end_ns <= _BRIDGED_NS else now_ns
            if self._over:
                self._end_ns = _Run(start_ns, rate_hz, count=len(pcm)).end_ns
                return True
            run = self._runs[-1] if self._runs else None
            # Where a run was cut, it ends within a sample of the time.
            if run is None or run.rate_hz != rate_hz or start_ns - run.end_ns > NS_PER_S // rate_hz:
                run = _Run(start_ns, rate_hz)
                self._runs.append(run)
            run.pieces += pieces
            run.count += len(pcm)
            self._end_ns = run.end_ns
            if self._origin_ns is None:
                self._forget(now_ns)
        return True

    def clear(self) -> int:
        """Withdraw what is to be heard from now on; what was heard stays. Gives how much that
        was."""
        with self._lock:
            now_ns = self._now_ns()
            cleared_ns = max(0, self._end_ns - now_ns)
            for rate_hz, samples in self._cut(now_ns).items():
                self._tallies[rate_hz].cleared += samples
            self._end_ns = min(self._end_ns, now_ns)
            return cleared_ns

    # -- the reader -----------------------------------------------------------------------------

    def attach(self, origin_ns: int) -> None:
        """From now on what was heard is kept until it was read; positions count from
        ``origin_ns``. Once."""
        with self._lock:
            self._origin_ns = origin_ns
            self._tallies.clear()
            for run in self._runs:
                heard = (origin_ns - run.start_ns) * run.rate_hz // NS_PER_S
                self._tallies[run.rate_hz].arrived += max(0, run.count - max(heard, run.first))

    def end(self, now_ns: int) -> None:
        """Nothing that is heard later will be read; only the time of it is kept. Any number of
        times."""
        with self._lock:
            self._cut(now_ns)
            self._over = True

    def arrived(self) -> dict[int, tuple[int, Counter[LeftOut]]]:
        """By rate, how many samples came since it is read, and what of them will not be."""
        with self._lock:
            return {
                rate_hz: (
                    tally.arrived,
                    +Counter({LeftOut.TOO_MUCH: tally.refused, LeftOut.CLEARED: tally.cleared}),
                )
                for rate_hz, tally in self._tallies.items()
            }

    def unread(self) -> Counter[int]:
        """By rate, how many samples came and were neither read nor withdrawn."""
        with self._lock:
            return Counter(
                {
                    rate_hz: tally.arrived - tally.read - tally.refused - tally.cleared
                    for rate_hz, tally in self._tallies.items()
                }
            )

    def detach(self) -> None:
        """It is read no more. Any number of times, from any thread."""
        with self._lock:
            self._over, self._origin_ns = True, None
            self._runs.clear()

    @property
    def rates_hz(self) -> list[int]:
        """Of what waits to be read, in order."""
        with self._lock:
            return list(dict.fromkeys(run.rate_hz for run in self._runs if run.pieces))

    @property
    def over(self) -> bool:
        """Whether nothing more will come to be read."""
        return self._over

    def read(self, rate_hz: int, start: int, stop: int) -> list[tuple[int, Pcm]]:
        """What is heard in ``[start, stop)`` at ``rate_hz``, in order: positions and samples. It
        need not be kept any longer; do not write to it."""
        found: list[tuple[int, Pcm]] = []
        with self._lock:
            origin_ns = self._origin_ns
            if origin_ns is None:
                return found
            for run in self._runs:
                if run.rate_hz != rate_hz:
                    continue
                begin = (run.start_ns - origin_ns) * rate_hz // NS_PER_S
                if begin >= stop:
                    break
                at = begin + run.first
                for piece in run.pieces:
                    low, high = max(start - at, 0), min(stop - at, len(piece))
                    if low < high:
                        found.append((at + low, piece[low:high]))
                        self._tallies[rate_hz].read += high - low
                    at += len(piece)
                    if at >= stop:
                        break
                run.let_go_before(stop - begin)
            self._drop_empty()
        return found

    # -- with the lock --------------------------------------------------------------------------

    def _cut(self, now_ns: int) -> Counter[int]:
        """Let go of what is heard from ``now_ns`` on. Gives how many samples that was, by rate."""
        cut = Counter[int]()
        while self._runs and self._runs[-1].start_ns >= now_ns:
            run = self._runs.pop()
            cut[run.rate_hz] += run.cut_at(0)
        if self._runs and self._runs[-1].end_ns > now_ns:
            run = self._runs[-1]
            cut[run.rate_hz] += run.cut_at((now_ns - run.start_ns) * run.rate_hz // NS_PER_S)
        return cut

    def _forget(self, now_ns: int) -> None:
        """Nobody reads: what was heard by now is gone."""
        for run in self._runs:
            run.let_go_before((now_ns - run.start_ns) * run.rate_hz // NS_PER_S)
        self._drop_empty()

    def _drop_empty(self) -> None:
        while self._runs and not self._runs[0].pieces:
            self._runs.popleft()
