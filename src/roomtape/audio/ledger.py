"""What happened to a source, and when: the book that its report is written from."""

from __future__ import annotations

from ..types import NS_PER_S, Interval, IntervalKind
from .account import Account, Total
from .discretion.sound import Sound
from .intervals import Intervals
from .mutes import Mutes

STALL_NS = NS_PER_S
"""What is missing for so long is a stall."""

_JOIN_NS = dict.fromkeys(IntervalKind, 1000000) | {
    IntervalKind.SPOKE: NS_PER_S // 2  # a breath does not end a sentence
}

_SILENT_PEAK = 2
"""Opus below 64 kbit/s makes steps of one of digital zero (measured with libopus); no microphone
is as quiet."""
_SPEECH_PEAK = 104  # -50 dBFS


class Ledger:
    """Totals, exact, and intervals, bounded, of one source. Times are nanoseconds from sample 0.

    :meth:`set_muted` may be called from any thread; everything else belongs to the mixing thread.
    """

    def __init__(self) -> None:
        self._intervals: dict[IntervalKind, Intervals] = {}  # of what there was
        self._mutes = Mutes()
        self.accounts: dict[int, Account] = {}
        """What became of each sample, by rate."""
        self._lost = Total(NS_PER_S)
        self.resent_ns = 0
        self.fec_ns = 0
        self.dropped_packets = 0
        self.lost_somewhere_ns = 0
        self.loss_positions = True
        """Whether it is known where something was lost."""
        self.reanchored = 0
        self.peak = 0
        """The largest absolute sample, 0 to 32768 ..."""
        self.level = 0
        """... and that of the last tenth of a second that was mixed."""
        self.sound = Sound()
        """When it was not digital silence, so that it can be found again."""
        self.last_sound_ns = 0
        """Until when something else than digital silence was mixed, or came too late for it."""

    def note(self, kind: IntervalKind, start_ns: int, end_ns: int) -> None:
        """``[start_ns, end_ns)`` was of this kind."""
        intervals = self._intervals.get(kind)
        if intervals is None:
            intervals = self._intervals.setdefault(kind, Intervals(_JOIN_NS[kind]))
        intervals.add(start_ns, end_ns)

    def heard(self, rate_hz: int, start: int, blocks: list[tuple[int, int]]) -> None:
        """Write down how loud it was.

        Args:
            rate_hz: Of the positions.
            start: The position at which the first block begins.
            blocks: Where each ends, the next one's start, and its largest absolute sample.
        """
        self.level = blocks[-1][1]
        self.peak = max(self.peak, *[peak for _, peak in blocks])
        first = last = spoken_from = None
        for stop, peak in blocks:
            if peak > _SILENT_PEAK:
                first = start if first is None else first
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
        if first is not None and last is not None:
            end_ns = last * NS_PER_S // rate_hz
            self.sound.add(first * NS_PER_S // rate_hz, end_ns)
            self.sounded(end_ns)

    def account(self, rate_hz: int) -> Account:
        """That of one rate."""
        if rate_hz not in self.accounts:
            self.accounts[rate_hz] = Account(rate_hz)
        return self.accounts[rate_hz]

    @property
    def late_ns(self) -> int:
        """How much came too late."""
        return sum(each.late * NS_PER_S // each.rate_hz for each in self.accounts.values())

    def sounded(self, at_ns: int) -> None:
        """Something came, or was heard, that is no digital silence, or may be none."""
        self.last_sound_ns = max(self.last_sound_ns, at_ns)

    def _spoke(self, rate_hz: int, start: int, stop: int) -> None:
        start_ns, stop_ns = start * NS_PER_S // rate_hz, stop * NS_PER_S // rate_hz
        self.note(IntervalKind.SPOKE, start_ns, stop_ns)

    def lost(self, start_ns: int, end_ns: int) -> None:
        """Silence stands for audio in ``[start_ns, end_ns)``, except where the source was muted."""
        for start, end in self._mutes.outside(start_ns, end_ns):
            self._lost.add(start, end)
            stalled = end - start >= STALL_NS
            self.note(IntervalKind.STALLED if stalled else IntervalKind.LOST, start, end)

    def lost_ns(self, end_ns: int) -> int:
        """What was lost before ``end_ns``."""
        return min(self._lost.until(end_ns), max(0, end_ns))

    def set_muted(self, muted: bool, now_ns: int) -> None:
        """The source muted itself, or no longer."""
        over = self._mutes.set(muted, now_ns)
        if over is not None:
            self.note(IntervalKind.MUTED, *over)

    @property
    def muted(self) -> bool:
        """Whether the source is muted now."""
        return self._mutes.muted

    @property
    def unlisted_ns(self) -> int:
        """What :meth:`intervals` leaves out because there was too much of it."""
        return sum(each.left_out_ns for each in tuple(self._intervals.values()))

    def intervals(self, *, start_ns: int, end_ns: int) -> tuple[Interval, ...]:
        """All of them, cut to ``[start_ns, end_ns)`` and counted from ``start_ns``."""
        goes_on = self._mutes.last_ns(end_ns)
        if goes_on is not None:
            self.note(IntervalKind.MUTED, *goes_on)
        return tuple(
            Interval(
                kind,
                (max(begin, start_ns) - start_ns) / NS_PER_S,
                (min(stop, end_ns) - start_ns) / NS_PER_S,
            )
            for kind in IntervalKind
            if kind in self._intervals
            for begin, stop in self._intervals[kind].listed()
            if stop > start_ns and begin < end_ns
        )
