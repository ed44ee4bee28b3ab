"""One participant in one recording: frames of any rate and channel count in, mono timelines out."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from ..types import NS_PER_S, FrameOrigin, Interval, IntervalKind, Pcm, SourceReport
from .downmix import mixed_down
from .ledger import STALL_NS, Ledger
from .timing.anchor import Arrival
from .timing.timeline import Timeline

if TYPE_CHECKING:
    from .timing._native import FastPath

_SHORTEST_NS = NS_PER_S // 50
"""Whoever was there at the start came a few microseconds after it: nobody was absent then."""


class SourceTrack:
    """A participant's audio on its way into the mix.

    :meth:`push`, :meth:`set_muted` and :meth:`leave` may be called from any thread; everything
    else belongs to the mixing thread. A change of the sample rate begins a new :class:`Timeline`
    behind the old one.

    Args:
        name: The participant.
        local: What the local user publishes.
        joined_ns: When it was added, from the start of the recording.
    """

    def __init__(self, name: str, *, local: bool, joined_ns: int) -> None:
        self.name = name
        self.local = local
        self.ledger = Ledger()
        self.joined_ns = joined_ns
        self.left_ns: int | None = None
        self._lock = Lock()  # over the inbox; never held for longer than a list takes
        self._inbox: list[tuple[int, list[Arrival]]] = []  # what came in a row at one rate
        self._inbox_ns = 0
        self._timeline: Timeline | None = None
        self._timed: bool | None = None  # whether the last frame had a timestamp
        self._drift_ppm = 0.0
        self._said_until_ns = 0  # at rates before this one
        self._looked_ns = 0
        self._last_frame_ns = joined_ns
        self.unmuted_ns = joined_ns
        self._error = ""
        self.stream: FastPath | None = None
        """Takes most of what is pushed, quicker than :meth:`push`, which takes the rest."""

    def push(
        self, pcm: Pcm, sample_rate: int, pts: int | None, arrived_ns: int, gap_is_silence: bool
    ) -> None:
        """Take a frame that nobody will write to any more; ignored after :meth:`leave`."""
        arrival = Arrival(pcm, arrived_ns * sample_rate // NS_PER_S, pts, gap_is_silence)
        with self._lock:
            if self.left_ns is None:
                if not self._inbox or self._inbox[-1][0] != sample_rate:
                    self._inbox.append((sample_rate, []))
                self._inbox[-1][1].append(arrival)
                self._inbox_ns += len(pcm) * NS_PER_S // sample_rate
                self._last_frame_ns = arrived_ns
                if self.stream is not None:
                    self.stream.open = False  # what comes next comes behind this one

    def count_origin(
        self, origin: FrameOrigin, samples: int, sample_rate: int, left_out: int
    ) -> None:
        """How what was just pushed came; from the thread that pushes."""
        duration_ns = samples * NS_PER_S // sample_rate
        if origin is FrameOrigin.RESENT:
            self.ledger.resent_ns += duration_ns
        elif origin is FrameOrigin.FEC:
            self.ledger.fec_ns += duration_ns
        self.ledger.left_out_ns += left_out * NS_PER_S // sample_rate

    @property
    def last_frame_ns(self) -> int:
        """When the last frame came."""
        return max(self._last_frame_ns, self.stream.last_arrived_ns if self.stream else 0)

    @property
    def last_sound_ns(self) -> int:
        """Until when something else than digital silence was heard."""
        if self._timeline is not None:
            self._timeline.keep_books()
        return max(self.joined_ns, self.ledger.last_sound_ns)

    @property
    def level(self) -> int:
        """The peak of the last tenth of a second that was mixed, 0 to 32768; from any thread."""
        timeline = self._timeline
        return self.ledger.level if timeline is None else timeline.level

    @property
    def queued_ns(self) -> int:
        """How far ahead of the clock audio was pushed, when last looked at."""
        timeline = self._timeline
        return 0 if timeline is None else max(0, _end_ns(timeline) - self._looked_ns)

    @property
    def waiting_ns(self) -> int:
        """How much audio waits here: pushed and not looked at yet, or ahead of the clock."""
        pushed_ns = 0
        if self._timeline is not None and self.stream is not None:
            pushed_ns = self.stream.pushed * NS_PER_S // self._timeline.rate_hz
        return self._inbox_ns + pushed_ns + self.queued_ns

    def ingest(self, now_ns: int, head_at: Callable[[int], int]) -> list[Timeline]:
        """Place what was pushed.

        Args:
            now_ns: The clock, from the start of the recording.
            head_at: For a rate, the first position that has not been mixed.

        Returns:
            Timelines that are new, to be mixed from now on.
        """
        fresh: list[Timeline] = []
        self._looked_ns = now_ns
        if self._inbox:
            fresh = self._ingest_inbox(now_ns, head_at)
        elif self._timeline is not None:
            now = now_ns * self._timeline.rate_hz // NS_PER_S
            if self._timeline.ingest_pushed(now):
                return fresh  # nearly always
        if self.stream is not None:
            self._open_or_close(self.stream, now_ns)
        return fresh

    def set_muted(self, muted: bool, now_ns: int) -> None:
        """The participant muted itself, or no longer: what is missing then is not lost."""
        self.ledger.set_muted(muted, now_ns)
        self.unmuted_ns = now_ns

    def leave(self, now_ns: int) -> None:
        """The participant has left; what was pushed before is still mixed. Thread-safe."""
        with self._lock:
            if self.left_ns is None:
                self.left_ns = now_ns
            if self.stream is not None:
                self.stream.open = False

    def fail(self, reason: str, now_ns: int) -> None:
        """It cannot be recorded any further: let go of what it has, and take nothing more."""
        self.leave(now_ns)
        self._error = self._error or reason
        self._timeline = self.stream = None

    def close(self, now_ns: int) -> None:
        """Nothing more comes: place what is still in doubt. The mixer keeps what it has to read."""
        last, self._timeline = self._timeline, None
        if last is not None:
            last.close(now_ns * last.rate_hz // NS_PER_S)
            self._said_until_ns = max(self._said_until_ns, _end_ns(last))
            self._drift_ppm = last.drift_ppm or self._drift_ppm

    def report(self, *, start_ns: int, end_ns: int) -> SourceReport:
        """What happened in ``[start_ns, end_ns)`` of the recording, counted from its start."""
        joined_ns = min(max(self.joined_ns, start_ns), end_ns)
        left_ns = min(max(self.left_ns if self.left_ns is not None else end_ns, start_ns), end_ns)
        ledger = self.ledger
        said_until_ns = self._said_until_ns
        if self._timeline is not None:
            self._timeline.keep_books()
            self._drift_ppm = self._timeline.drift_ppm or self._drift_ppm
            said_until_ns = max(said_until_ns, _end_ns(self._timeline))
        quiet = [(IntervalKind.ABSENT, start_ns, joined_ns), (IntervalKind.ABSENT, left_ns, end_ns)]
        # Without timestamps, a pause in the pushes is a pause and nothing else.
        if self._last_was_timed() is not False and not ledger.muted:
            quiet_ns = max(said_until_ns, self.last_frame_ns, joined_ns, self.unmuted_ns)
            if left_ns - quiet_ns >= STALL_NS:
                quiet.insert(0, (IntervalKind.STALLED, quiet_ns, left_ns))
        intervals = tuple(
            Interval(kind, (begin - start_ns) / NS_PER_S, (stop - start_ns) / NS_PER_S)
            for kind, begin, stop in quiet
            if stop - begin >= _SHORTEST_NS
        )
        return SourceReport(
            name=self.name,
            local=self.local,
            joined_s=(joined_ns - start_ns) / NS_PER_S,
            left_s=(left_ns - start_ns) / NS_PER_S,
            received_s=ledger.received_ns / NS_PER_S,
            lost_s=ledger.lost_ns / NS_PER_S,
            late_s=ledger.late_ns / NS_PER_S,
            duplicate_s=ledger.duplicate_ns / NS_PER_S,
            resent_s=ledger.resent_ns / NS_PER_S,
            fec_s=ledger.fec_ns / NS_PER_S,
            left_out_s=ledger.left_out_ns / NS_PER_S,
            drift_ppm=self._drift_ppm,
            reanchored=ledger.reanchored,
            peak_dbfs=float(20 * np.log10(ledger.peak / 32768)) if ledger.peak else -np.inf,
            intervals=ledger.intervals(start_ns=start_ns, end_ns=end_ns) + intervals,
            error=self._error,
        )

    def _ingest_inbox(self, now_ns: int, head_at: Callable[[int], int]) -> list[Timeline]:
        with self._lock:
            inbox, self._inbox, self._inbox_ns = self._inbox, [], 0
        fresh: list[Timeline] = []
        if self._timeline is not None:
            # It is older: the stream was closed when the first one came to the inbox.
            _prepend(self._timeline.rate_hz, self._timeline.take_pushed(), inbox)
        for rate_hz, run in inbox:
            if self._timeline is None or self._timeline.rate_hz != rate_hz:
                self._timeline = self._next_timeline(rate_hz, head_at(rate_hz), now_ns)
                self.stream = self._timeline.stream
                fresh.append(self._timeline)
            self._timeline.ingest(_mono(run), now_ns * rate_hz // NS_PER_S)
            self._timed = run[-1].pts is not None
        return fresh

    def _open_or_close(self, stream: FastPath, now_ns: int) -> None:
        """What is pushed from now on may go the quick way, if nothing else goes before it."""
        # A mixer that has fallen behind is no reason: it needs the quick way most.
        behind_ns = max(0, self.last_frame_ns - now_ns)
        if self.queued_ns - behind_ns > NS_PER_S:
            stream.open = False  # a bot that pushes ahead; on the long way, that is bounded
        elif not stream.open:
            with self._lock:
                stream.open = not self._inbox and self.left_ns is None

    def _last_was_timed(self) -> bool | None:
        if self.stream is not None and self.stream.last_arrived_ns > self._last_frame_ns:
            return self.stream.last_timed
        return self._timed

    def _next_timeline(self, rate_hz: int, head: int, now_ns: int) -> Timeline:
        not_before = None
        last = self._timeline
        if last is not None:
            self.close(now_ns)
            not_before = max(last.end, last.head) * rate_hz // last.rate_hz
        return Timeline(rate_hz, head=head, ledger=self.ledger, not_before=not_before)


def _end_ns(timeline: Timeline) -> int:
    return timeline.end * NS_PER_S // timeline.rate_hz


def _prepend(rate_hz: int, arrivals: list[Arrival], inbox: list[tuple[int, list[Arrival]]]) -> None:
    """Put ``arrivals`` before what came in a row at one rate."""
    if arrivals and inbox[0][0] == rate_hz:
        inbox[0][1][:0] = arrivals
    elif arrivals:
        inbox.insert(0, (rate_hz, arrivals))


def _mono(run: list[Arrival]) -> list[Arrival]:
    return [each if each.pcm.ndim == 1 else each._replace(pcm=mixed_down(each.pcm)) for each in run]
