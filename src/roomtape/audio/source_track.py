"""One participant in one recording: frames of any rate and channel count in, mono timelines out."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

import numpy as np

from ..types import (
    NS_PER_S,
    FrameOrigin,
    Interval,
    IntervalKind,
    LeftOut,
    Pcm,
    SampleCounts,
    SourceReport,
)
from .discretion.curtain import Curtain
from .inbox import Inbox, mono, not_before
from .ledger import STALL_NS, Ledger
from .mixing.mixer import Voice
from .timing.fast_path import FAR_AHEAD_S
from .timing.timeline import Timeline

if TYPE_CHECKING:
    from .timing._native import FastPath

logger = logging.getLogger(__name__)

_SHORTEST_NS = NS_PER_S // 50
"""Whoever was there at the start came a few microseconds after it: nobody was absent then."""


class SourceTrack:
    """A participant's audio on its way into the mix.

    Frames come by :attr:`inbox`. :meth:`push`, :meth:`set_muted`, :meth:`leave` and :meth:`fail`
    may be called from any thread; everything else belongs to the mixing thread, which calls
    :meth:`ingest` every now and then, and :meth:`close` and :meth:`report` at the end. A change of
    the sample rate begins a new :class:`Timeline` behind the old one.

    Args:
        name: The participant.
        local: What the local user publishes.
        joined_ns: When it was added, from the start of the recording.
        expects_silence: That nothing comes for long is no fault of anybody's.
    """

    def __init__(
        self, name: str, *, local: bool, joined_ns: int, expects_silence: bool = False
    ) -> None:
        self.name = name
        self.local = local
        self.expects_silence = expects_silence
        self.ledger = Ledger()
        self.curtain = Curtain()
        """What is behind it is not mixed."""
        self.inbox = Inbox(joined_ns)
        """Where frames come in."""
        self.joined_ns = joined_ns
        self.left_ns: int | None = None
        """When it left, or failed; nothing comes after it."""
        self.error = ""
        """Why it failed; empty if it did not."""
        self.silenced = False
        """Silence comes in place of what it says. From the thread that decides it ..."""
        self.silenced_ns = 0
        """... and so much came so; from the thread that pushes."""
        self.timestamps_off = ""
        """What is wrong with the timestamps that come, in words; empty while nothing is. From the
        thread that pushes."""
        self.chunk_ns = 0
        """How long after it was heard the beginning of a chunk may come. From the thread that
        pushes."""
        self._lock = Lock()  # over how it ends
        self._timeline: Timeline | None = None
        self._timelines = WeakSet[Timeline]()  # it, and those that the mixer still reads
        self._drift_ppm = 0.0
        self._said_until_ns = 0  # at rates before this one
        self._looked_ns = 0
        self._over = False  # nothing is mixed any more
        self.unmuted_ns = joined_ns

    def push(
        self, pcm: Pcm, sample_rate: int, pts: int | None, arrived_ns: int, gap_is_silence: bool
    ) -> None:
        """Take a frame that nobody will write to any more; ignored after :meth:`leave`.

        Args:
            pcm: int16, shape ``(frames,)`` or ``(frames, channels)``.
            sample_rate: Hz.
            pts: The sender's timestamp, in samples, or None.
            arrived_ns: When it came, from the start of the recording.
            gap_is_silence: What ``pts`` skips was never sent.
        """
        self.inbox.put(pcm, sample_rate, pts, arrived_ns, gap_is_silence)

    def count_origin(
        self,
        origin: FrameOrigin,
        samples: int,
        sample_rate: int,
        left_out: int,
        dropped_packets: int = 0,
    ) -> None:
        """How what was just pushed came; from the thread that pushes."""
        duration_ns = samples * NS_PER_S // sample_rate
        if origin is FrameOrigin.RESENT:
            self.ledger.resent_ns += duration_ns
        elif origin is FrameOrigin.FEC:
            self.ledger.fec_ns += duration_ns
        if left_out:
            self.inbox.refuse(left_out, sample_rate, LeftOut.TOO_FAST)
        self.ledger.dropped_packets += dropped_packets

    def count_loss(self, samples: int, sample_rate: int) -> None:
        """So much was lost, nobody knows where; from the thread that pushes."""
        self.ledger.lost_somewhere_ns += samples * NS_PER_S // sample_rate
        self.ledger.loss_positions = False

    @property
    def settled(self) -> bool:
        """It has left, and nothing of it is to be read any more."""
        return self.left_ns is not None and self._timeline is None and not self._timelines

    @property
    def last_frame_ns(self) -> int:
        """When the last frame came."""
        return self.inbox.last_frame_ns

    @property
    def last_sound_ns(self) -> int:
        """Until when something else than digital silence was heard."""
        self.keep_books()
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
        return self.inbox.waiting_ns + self.queued_ns

    @property
    def nothing_waits(self) -> bool:
        """Whether all that was pushed is mixed, and it is still there; between two mixes."""
        if self.inbox.waiting_ns or self.left_ns is not None:
            return False
        return self._timeline is None or not self._timeline.waiting

    def keep_books(self) -> None:
        """Write into the ledger what was mixed; that is put off while nothing happens."""
        timeline = self._timeline
        if timeline is not None:
            timeline.keep_books()

    def look(self, now_ns: int) -> FastPath | None:
        """It is looked at now: :meth:`ingest` follows, or in its place what was pushed to this is
        placed, if all of that is as it should be."""
        self._looked_ns = now_ns
        timeline = self._timeline
        return None if timeline is None else timeline.active

    def ingest(self, now_ns: int, head_at: Callable[[int], int]) -> Sequence[Voice]:
        """Place what was pushed; after :meth:`look`.

        Args:
            now_ns: The clock, from the start of the recording.
            head_at: For a rate, the first position that has not been mixed.

        Returns:
            Timelines that are new, to be mixed from now on.
        """
        fresh: list[Timeline] = []
        runs, timeline = self.inbox.take(), self._timeline
        if not runs and timeline is not None:
            now = now_ns * timeline.rate_hz // NS_PER_S
            if timeline.ingest_pushed(now):
                return fresh  # nearly always
        for rate_hz, arrivals in runs:
            if timeline is None or timeline.rate_hz != rate_hz:
                head = head_at(rate_hz)
                timeline = self._next_timeline(timeline, rate_hz, head, now_ns)
                fresh.append(timeline)
                not_before(head, arrivals)
            timeline.ingest(mono(arrivals), now_ns * rate_hz // NS_PER_S)
        self._open_or_shut(now_ns)
        return fresh

    def set_muted(self, muted: bool, now_ns: int) -> None:
        """The participant muted itself, or no longer: what is missing then is not lost."""
        self.ledger.set_muted(muted, now_ns)
        self.unmuted_ns = now_ns

    def leave(self, now_ns: int) -> None:
        """The participant has left; what was pushed before is still mixed. Thread-safe."""
        self.inbox.close()
        with self._lock:
            if self.left_ns is None:
                self.left_ns = now_ns  # whoever sees it may be sure that nothing more comes

    def fail(self, reason: str, now_ns: int) -> None:
        """This source cannot go on; nothing else is concerned. What was mixed of it stays.

        Its timelines are done at once, also those that the mixer only reads on, and nothing is
        asked of them any more. Thread-safe; the second time, nothing happens.

        Args:
            reason: In words, for the report.
            now_ns: From the start of the recording.
        """
        self.inbox.discard()
        with self._lock:
            if self.error:
                return
            self.error = reason or "it failed"
            self.left_ns = now_ns if self.left_ns is None else self.left_ns
            self._timeline = None
            for timeline in tuple(self._timelines):
                timeline.abandon()
        logger.debug("%s failed at %d ns: %s", self.name, now_ns, self.error)
        self.ledger.level = 0

    def close(self, now_ns: int) -> None:
        """Nothing more comes: place what is on probation, and let go of everything that the
        report does not need. The mixer keeps what it has to read."""
        self.inbox.close()
        self._count_unheard(self.inbox.waiting())
        self._let_go(self._timeline, now_ns)
        self.inbox.discard()

    def end(self) -> None:
        """Nothing is mixed any more: what waits is not heard. The second time, nothing happens."""
        if self._over or self.error:
            return
        self.inbox.close()
        self.keep_books()
        self._count_unheard(self._waiting())
        self._over = True

    def _arrived(self) -> dict[int, tuple[int, Counter[LeftOut]]]:
        """By rate, how many samples came, and which of them were not taken."""
        return self.inbox.arrived()

    def _waiting(self) -> Counter[int]:
        """By rate, how many samples came and are not read."""
        if self._over:
            return Counter()
        waiting = self.inbox.waiting()
        for timeline in tuple(self._timelines):
            waiting[timeline.rate_hz] += timeline.waiting
        return waiting

    def _count_unheard(self, waiting: Counter[int]) -> None:
        for rate_hz, samples in (+waiting).items():
            self.ledger.account(rate_hz).unheard += samples

    def report(self, *, start_ns: int, end_ns: int) -> SourceReport:
        """What happened in ``[start_ns, end_ns)`` of the recording, counted from its start."""
        joined_ns = min(max(self.joined_ns, start_ns), end_ns)
        left_ns = min(max(self.left_ns if self.left_ns is not None else end_ns, start_ns), end_ns)
        ledger, timeline = self.ledger, self._timeline
        said_until_ns = self._said_until_ns
        self.keep_books()
        if timeline is not None:
            self._drift_ppm = timeline.drift_ppm or self._drift_ppm
            said_until_ns = max(said_until_ns, _end_ns(timeline))
        quiet = [(IntervalKind.ABSENT, start_ns, joined_ns), (IntervalKind.ABSENT, left_ns, end_ns)]
        # Without timestamps, a pause in the pushes is a pause and nothing else.
        paused = self.expects_silence or self.inbox.last_timed is False
        if not paused and not ledger.muted:
            quiet_ns = max(said_until_ns, self.last_frame_ns, joined_ns, self.unmuted_ns)
            if left_ns - quiet_ns >= STALL_NS:
                quiet.insert(0, (IntervalKind.STALLED, quiet_ns, left_ns))
        intervals = tuple(
            Interval(kind, (begin - start_ns) / NS_PER_S, (stop - start_ns) / NS_PER_S)
            for kind, begin, stop in quiet
            if stop - begin >= _SHORTEST_NS
        )
        samples = self._samples(end_ns)
        left_out = {
            reason: _seconds((each.rate_hz, each.left_out.get(reason, 0)) for each in samples)
            for reason in LeftOut
            if any(reason in each.left_out for each in samples)
        }
        return SourceReport(
            name=self.name,
            local=self.local,
            joined_s=(joined_ns - start_ns) / NS_PER_S,
            left_s=(left_ns - start_ns) / NS_PER_S,
            received_s=_seconds((each.rate_hz, each.placed) for each in samples),
            lost_s=(ledger.lost_ns(end_ns) + ledger.lost_somewhere_ns) / NS_PER_S,
            late_s=_seconds((each.rate_hz, each.late) for each in samples),
            duplicate_s=_seconds((each.rate_hz, each.duplicate) for each in samples),
            resent_s=ledger.resent_ns / NS_PER_S,
            fec_s=ledger.fec_ns / NS_PER_S,
            left_out_s=sum(left_out.values()),
            drift_ppm=self._drift_ppm,
            reanchored=ledger.reanchored,
            peak_dbfs=float(20 * np.log10(ledger.peak / 32768)) if ledger.peak else -np.inf,
            intervals=ledger.intervals(start_ns=start_ns, end_ns=end_ns) + intervals,
            unlisted_s=ledger.unlisted_ns / NS_PER_S,
            error=self.error,
            silenced_s=self.silenced_ns / NS_PER_S,
            arrived_s=_seconds((each.rate_hz, each.arrived) for each in samples),
            after_end_s=_seconds((each.rate_hz, each.after_end) for each in samples),
            left_out=left_out,
            samples=samples,
            dropped_packets=ledger.dropped_packets,
            loss_positions=ledger.loss_positions,
        )

    def _samples(self, end_ns: int) -> tuple[SampleCounts, ...]:
        """What became of all that came, by rate."""
        waiting = self._waiting()
        return tuple(
            self.ledger.account(rate_hz).summed_up(
                *(arrived, refused, waiting[rate_hz]),
                end=end_ns * rate_hz // NS_PER_S,
                failed=bool(self.error),
            )
            for rate_hz, (arrived, refused) in sorted(self._arrived().items())
            if arrived
        )

    def _open_or_shut(self, now_ns: int) -> None:
        """May what is pushed from now on go the quick way?"""
        # A mixer that has fallen behind is no reason against it: it needs the quick way most.
        behind_ns = max(0, self.last_frame_ns - now_ns)
        if self.queued_ns - behind_ns > FAR_AHEAD_S * NS_PER_S:
            self.inbox.shut_fast_path()  # a bot that pushes ahead; in the queue, that is bounded
        else:
            self.inbox.open_fast_path()

    def _next_timeline(
        self, last: Timeline | None, rate_hz: int, head: int, now_ns: int
    ) -> Timeline:
        not_before = None
        if last is not None:
            self._let_go(last, now_ns)
            not_before = max(last.end, last.head) * rate_hz // last.rate_hz
            logger.debug(
                "%s goes on at %d Hz after %d Hz, from sample %d on",
                *(self.name, rate_hz, last.rate_hz, not_before),
            )
        timeline = Timeline(
            rate_hz,
            head=head,
            ledger=self.ledger,
            not_before=not_before,
            name=self.name,
            curtain=self.curtain,
        )
        with self._lock:
            if self.error:  # from another thread, just now
                timeline.abandon()
            else:
                self._timeline = timeline
                self._timelines.add(timeline)
                self.inbox.attach(timeline.fast_path, rate_hz)
        return timeline

    def _let_go(self, timeline: Timeline | None, now_ns: int) -> None:
        """Nothing more comes to ``timeline``."""
        if timeline is not None:
            timeline.close(now_ns * timeline.rate_hz // NS_PER_S)
            self._timeline = None
            self.inbox.detach()
            self._said_until_ns = max(self._said_until_ns, _end_ns(timeline))
            self._drift_ppm = timeline.drift_ppm or self._drift_ppm


def _seconds(samples: Iterable[tuple[int, int]]) -> float:
    """So many samples at each rate; exact, and rounded once."""
    counts = list(samples)
    together_hz = math.lcm(*(rate_hz for rate_hz, _ in counts))
    return sum(count * (together_hz // rate_hz) for rate_hz, count in counts) / together_hz


def _end_ns(timeline: Timeline) -> int:
    return timeline.end * NS_PER_S // timeline.rate_hz
