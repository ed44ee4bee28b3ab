"""A bot in one recording: it is recorded as it is heard, not as it is handed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from ...types import LeftOut
from ..arrays import Samples, add, block_peaks
from ..discretion.curtain import Curtain
from ..ledger import Ledger
from ..mixing.mixer import Voice
from ..source_track import SourceTrack
from ..timing.books import Books
from ..timing.playout import SPEECH_BLOCK_S
from .queue import PlayoutQueue


class PlayoutVoice:
    """What a queue has at one rate, for the mixer. There is nothing to be decided about it: where
    it is heard is known before it is."""

    steady = None

    def __init__(
        self, rate_hz: int, head: int, queue: PlayoutQueue, ledger: Ledger, curtain: Curtain
    ) -> None:
        self.rate_hz = rate_hz
        self._head = head
        self._queue = queue
        self._curtain = curtain
        self._books = Books(rate_hz, ledger)
        self._block = round(SPEECH_BLOCK_S * rate_hz)
        self._ended = False

    @property
    def done(self) -> bool:
        return self._ended or (self._queue.over and self.rate_hz not in self._queue.rates_hz)

    def end(self) -> None:
        """It has nothing more to say. From any thread."""
        self._ended = True

    def add_to(self, total: Samples, stop: int) -> None:
        start, self._head = self._head, stop
        seen = start + self._curtain.hidden(self.rate_hz, start, stop)
        found = [] if self._ended else self._queue.read(self.rate_hz, start, stop)
        if not found:
            self._books.silent()
        for at, pcm in found:
            if at + len(pcm) > seen:
                shown = pcm[max(0, seen - at) :]
                end = at - start + len(pcm)
                add(total[end - len(shown) : end], shown)
            blocks = [(at + end, peak) for end, peak in block_peaks(pcm, self._block)]
            self._books.heard(at, blocks)
            self._books.received(at, at + len(pcm))


class PlayoutTrack(SourceTrack):
    """Reads a queue at the pace of speech. Nothing is pushed to it, it is never late, and its
    silence is no fault.

    Args:
        name, local, joined_ns: See :class:`SourceTrack`.
        queue: It is read from now on, and by nobody else.
        origin_ns: When the recording began, on the queue's clock.
    """

    def __init__(
        self, name: str, *, local: bool, joined_ns: int, queue: PlayoutQueue, origin_ns: int
    ) -> None:
        super().__init__(name, local=local, joined_ns=joined_ns, expects_silence=True)
        self._queue = queue
        self._origin_ns = origin_ns
        self._voices: dict[int, PlayoutVoice] = {}
        self._leaving = False
        queue.attach(origin_ns)

    @property
    def last_frame_ns(self) -> int:
        """Until when there is something to be heard."""
        return max(self.joined_ns, self._queue.end_ns - self._origin_ns)

    @property
    def level(self) -> int:
        return self.ledger.level

    @property
    def nothing_waits(self) -> bool:
        return not self._queue.rates_hz and not self._leaving

    def ingest(self, now_ns: int, head_at: Callable[[int], int]) -> Sequence[Voice]:
        """Begin to read at each rate that is new, and end with those that are no more in use."""
        rates = self._queue.rates_hz
        for rate_hz in [each for each in self._voices if each not in rates]:
            self._voices.pop(rate_hz).end()
        fresh = {
            rate_hz: PlayoutVoice(rate_hz, head_at(rate_hz), self._queue, self.ledger, self.curtain)
            for rate_hz in rates
            if rate_hz not in self._voices
        }
        self._voices |= fresh
        if not rates:
            self.ledger.level = 0
            if self._leaving:
                super().leave(min(now_ns, self.last_frame_ns))
        return tuple(fresh.values())

    def leave(self, now_ns: int) -> None:
        """Nothing more is handed over; what waits is still heard. Thread-safe."""
        self._leaving = True
        if self._queue.end_ns - self._origin_ns <= now_ns:
            super().leave(now_ns)

    def fail(self, reason: str, now_ns: int) -> None:
        super().fail(reason, now_ns)
        self._queue.detach()

    def close(self, now_ns: int) -> None:
        """What is heard by now is still mixed; the rest nobody will hear."""
        self._queue.end(now_ns + self._origin_ns)
        super().close(now_ns)

    def _arrived(self) -> dict[int, tuple[int, Counter[LeftOut]]]:
        return self._queue.arrived()

    def _waiting(self) -> Counter[int]:
        return Counter() if self._over else self._queue.unread()
