"""What happened to a source, and when: the book that its report is written from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..types import NS_PER_S, Interval, IntervalKind

_MOST = 2000
"""Intervals of one kind. Past it, the nearest neighbours become one."""

STALL_NS = NS_PER_S
"""What is missing for so long is a stall."""

_JOIN_NS = dict.fromkeys(IntervalKind, 1000000) | {
    IntervalKind.SPOKE: NS_PER_S // 2  # a breath does not end a sentence
}

_SILENT_PEAK = 2
"""Opus below 64 kbit/s makes steps of one of digital zero (measured with libopus); no microphone
is as quiet."""
_SPEECH_PEAK = 104  # -50 dBFS


class _Intervals:
    """Stretches of nanoseconds in the order in which they end; near ones are joined."""

    def __init__(self, join_ns: int) -> None:
        self._spans: list[tuple[int, int]] = []
        self._join_ns = join_ns

    def add(self, start_ns: int, end_ns: int) -> None:
        if end_ns <= start_ns:
            return
        if self._spans and 0 <= start_ns - self._spans[-1][1] <= self._join_ns:
            self._spans[-1] = (self._spans[-1][0], end_ns)
            return
        self._spans.append((start_ns, end_ns))
        while len(self._spans) > _MOST:
            self._join_ns *= 2
            self._spans = _joined(sorted(self._spans), self._join_ns)

    def sorted(self) -> list[tuple[int, int]]:
        return _joined(sorted(self._spans), self._join_ns)

    def outside(self, start_ns: int, end_ns: int) -> Iterator[tuple[int, int]]:
        """The parts of ``[start_ns, end_ns)`` that are in none of them."""
        for start, stop in self.sorted():
            if stop > start_ns and start < end_ns:
                if start > start_ns:
                    yield start_ns, start
                start_ns = stop
        if start_ns < end_ns:
            yield start_ns, end_ns


def _joined(spans: Iterable[tuple[int, int]], gap_ns: int) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start - joined[-1][1] <= gap_ns:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


class Ledger:
    """Totals, exact, and intervals, bounded, of one source. Times are nanoseconds from sample 0."""

    def __init__(self) -> None:
        self._intervals = {kind: _Intervals(join_ns) for kind, join_ns in _JOIN_NS.items()}
        self._muted_since_ns: int | None = None
        self.received_ns = 0
        self.lost_ns = 0
        self.late_ns = 0
        self.duplicate_ns = 0
        self.resent_ns = 0
        self.fec_ns = 0
        self.left_out_ns = 0
        self.reanchored = 0
        self.peak = 0
        """The largest absolute sample, 0 to 32768 ..."""
        self.level = 0
        """... and that of the last tenth of a second that was mixed."""
        self.last_sound_ns = 0
        """Until when something else than digital silence was mixed, or came too late for it."""

    def note(self, kind: IntervalKind, start_ns: int, end_ns: int) -> None:
        self._intervals[kind].add(start_ns, end_ns)

    def heard(self, rate_hz: int, start: int, blocks: list[tuple[int, int]]) -> None:
        """Write down how loud it was.

        Args:
            rate_hz: Of the positions.
            start: The position at which the first block begins.
            blocks: Where each ends, the next one's start, and its largest absolute sample.
        """
        self.level = blocks[-1][1]
        self.peak = max(self.peak, *[peak for _, peak in blocks])
        last = spoken_from = None
        for stop, peak in blocks:
            if peak > _SILENT_PEAK:
                last = stop
            if peak >= _SPEECH_PEAK:
                if spoken_from is None:
                    spoken_from = start
            elif spoken_from is not None:
                self._spoke(rate_hz, spoken_from, start)
                spoken_from = None
            start = stop
        if spoken_from is not None:
            self._spoke(rate_hz, spoken_from, start)
        if last is not None:
            self.last_sound_ns = max(self.last_sound_ns, last * NS_PER_S // rate_hz)

    def _spoke(self, rate_hz: int, start: int, stop: int) -> None:
        start_ns, stop_ns = start * NS_PER_S // rate_hz, stop * NS_PER_S // rate_hz
        self.note(IntervalKind.SPOKE, start_ns, stop_ns)

    def lost(self, start_ns: int, end_ns: int) -> None:
        """Silence stands for audio in ``[start_ns, end_ns)``, except where the source was muted."""
        for start, end in self._unmuted(start_ns, end_ns):
            self.lost_ns += end - start
            stalled = end - start >= STALL_NS
            self.note(IntervalKind.STALLED if stalled else IntervalKind.LOST, start, end)

    def set_muted(self, muted: bool, now_ns: int) -> None:
        if muted and self._muted_since_ns is None:
            self._muted_since_ns = now_ns
        elif not muted and self._muted_since_ns is not None:
            self.note(IntervalKind.MUTED, self._muted_since_ns, now_ns)
            self._muted_since_ns = None

    @property
    def muted(self) -> bool:
        return self._muted_since_ns is not None

    def _unmuted(self, start_ns: int, end_ns: int) -> Iterator[tuple[int, int]]:
        if self._muted_since_ns is not None:
            end_ns = min(end_ns, self._muted_since_ns)
        return self._intervals[IntervalKind.MUTED].outside(start_ns, end_ns)

    def intervals(self, *, start_ns: int, end_ns: int) -> tuple[Interval, ...]:
        """All of them, cut to ``[start_ns, end_ns)`` and counted from ``start_ns``."""
        if self._muted_since_ns is not None:
            self.note(IntervalKind.MUTED, self._muted_since_ns, end_ns)
            self._muted_since_ns = end_ns
        return tuple(
            Interval(
                kind,
                (max(begin, start_ns) - start_ns) / NS_PER_S,
                (min(stop, end_ns) - start_ns) / NS_PER_S,
            )
            for kind in IntervalKind
            for begin, stop in self._intervals[kind].sorted()
            if stop > start_ns and begin < end_ns
        )
