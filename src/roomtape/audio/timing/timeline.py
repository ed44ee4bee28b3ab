"""One source at one rate: frames in as they arrive, samples out as they were spoken.

``ingest`` takes frames at any time; ``add_to`` is called in order by the mixer, about half a second
behind the clock. What is missing by then is silence; the ledger has it.

Positions in the buffer follow the sender's clock; the room hears them ``shift`` samples later. A
sender's clock that runs away changes ``shift`` a little at a time (:mod:`.varispeed`), or at
once where there is silence to take it from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ...types import NS_PER_S, IntervalKind, Pcm
from ..arrays import Samples, add, block_peaks, joined
from ..ledger import Ledger
from .anchor import Arrival
from .drift import DriftTracker
from .fast_path import FAR_AHEAD_S, SPEECH_BLOCK_S, arrivals_of, fast_path
from .holes import Holes, Stretch
from .placed import Placed
from .placement import Placement
from .sample_buffer import SampleBuffer
from .varispeed import AFTER, BEFORE, Slew, interpolate

if TYPE_CHECKING:
    from ._native import FastPath

_CONTEXT = 2 * (BEFORE + AFTER)
_TOLERANCE_S = 0.005
"""Drift is made up for in a pause when it has grown to this ..."""
_PATIENCE_S = 0.01
"""... and in the midst of speech when it has grown to this; below, the samples stay untouched."""
_GENTLE = 2000
"""One sample in 2000 bends the pitch by 0.05 % ..."""
_FASTER = 1250
"""... and one in 1250 by 0.08 %, for a placement that is far off."""
_FAR_OFF_S = 0.03
_LONGEST_SLEW_S = 10
_QUIET_PEAK = 16  # -66 dBFS: what a codec makes of silence


class Timeline:
    """See the module's text. Not thread-safe; times and positions are on the room grid.

    Args:
        rate_hz: The sample rate of everything ingested and read.
        head: The first position that will be read.
        ledger: Where losses are written down.
        not_before: The source's audio at another rate ends at this position.
    """

    def __init__(
        self, rate_hz: int, *, head: int, ledger: Ledger, not_before: int | None = None
    ) -> None:
        self.rate_hz = rate_hz
        self._ledger = ledger
        self._placement = Placement(rate_hz, not_before=not_before)
        self._buffer = SampleBuffer(head)
        self._drift = DriftTracker(rate_hz)
        self._epoch = 0
        self._block = round(SPEECH_BLOCK_S * rate_hz)
        self.head = self._placed_end = head  # where it is read next
        self._shift = 0
        self._slew: Slew | None = None
        self._context = np.zeros(_CONTEXT, np.int16)  # what was read last from the buffer
        self._holes = Holes()
        self._begun = False
        self._closed = self._abandoned = False
        self._counted = (0, 0)
        self._received = 0
        self._unsent_until = head  # what is read as zeros before this was never sent
        self.fast_path = fast_path(rate_hz)
        """What may be pushed to, instead of ingesting it, while it is open."""
        self._steady = False  # then the stream has what is in the buffer otherwise ...
        self._written = 0  # ... and the books are kept up to here

    @property
    def drift_ppm(self) -> float:
        return self._drift.drift_ppm

    @property
    def level(self) -> int:
        """The peak of the last tenth of a second that was read."""
        if self._steady and self.fast_path is not None:
            return self.fast_path.level
        return self._ledger.level

    @property
    def end(self) -> int:
        """Behind the last sample that was placed, be it read or not."""
        if self._steady and self.fast_path is not None:
            return self.fast_path.ready_end + self._shift
        return self._placed_end + self._shift

    @property
    def done(self) -> bool:
        """Closed, and everything was read."""
        return self._abandoned or (self._closed and self._buffer.next_start is None)

    def ingest(self, arrivals: list[Arrival], now: int) -> None:
        """Take in what has come. ``now`` is the clock's position."""
        self._end_steady()
        self._insert(self._placement.feed(arrivals))
        self._insert(self._placement.settle(now))
        self._count()

    def ingest_pushed(self, now: int) -> bool:
        """Take in what was pushed to :attr:`stream`.

        Returns:
            Whether all is as it was: steady, and not far ahead of the clock.
        """
        if self._steady and self.fast_path is not None:
            placed = self.fast_path.place(now)
            if placed is None:
                return True
            left, at, delay = placed
            if delay is not None:
                self._drift.add(at, delay - self._shift)
                self._expect(self.fast_path)
            if not left:
                return False
        self.ingest(arrivals_of(self.fast_path) if self.fast_path is not None else [], now)
        self._begin_steady(now)
        return False

    def close(self, now: int) -> None:
        """No more will come."""
        self._end_steady()
        self._insert(self._placement.settle(now, force=True))
        self._count()
        self._closed = True
        if self.fast_path is not None:
            self.fast_path.release()
            self.fast_path = None

    def abandon(self) -> None:
        """It is done at once, from any thread: it is not read any more, nor asked."""
        self._abandoned = True

    def add_to(self, total: Samples, stop: int) -> None:
        """Add the samples from the last ``stop`` to this one to ``total``."""
        if self._abandoned:
            return
        if self._steady and self.fast_path is not None:
            if stop - self._shift <= self.fast_path.ready_end:
                start, self.head = self.head, stop
                if not self.fast_path.add_to(total):
                    self._look(start, stop)
                return
            self._end_steady()
        pcm = self._read(stop)
        if pcm is not None:
            add(total, pcm)

    def keep_books(self) -> None:
        """Write down what was read; while it is steady, that is put off."""
        self._write_heard()

    def _read(self, stop: int) -> Pcm | None:
        pieces: list[tuple[int, Pcm | None]] = []
        while self.head < stop:
            start, end = self.head, stop
            if self._slew is None:
                piece = self._input(start - self._shift, end - self._shift)
            else:
                end = min(stop, self._slew.end)
                piece = self._warped(self._slew, start, end)
                if end == self._slew.end:
                    self._set_shift(self._slew.after)
                    self._slew = None
            self.head = end
            pieces.append((end - start, piece))
        pcm = joined(pieces)
        peak = 0 if pcm is None else self._listen(pcm, stop)
        if pcm is None:
            self._ledger.level = 0
        self._follow_drift(stop, quiet=peak <= _QUIET_PEAK)
        return pcm

    # -- while all is as it should be ---------------------------------------------------------

    def _begin_steady(self, now: int) -> None:
        decided = self._placement.steady
        calm = (
            self._slew is None and not self._holes.is_open and self._epoch == self._placement.epoch
        )
        if self.fast_path is None or decided is None or not (calm and self._begun) or self._closed:
            return
        next_pts, anchor, last_at = decided
        seen = now if last_at is None else max(now, last_at)
        if next_pts + anchor + self._shift - seen > FAR_AHEAD_S * self.rate_hz:
            return  # all of it would be copied, and back again with the next push
        head = self._buffer.head
        read_ahead = head != self.head - self._shift  # for what was warped last
        if head < 0 or read_ahead or self._buffer.end != next_pts + anchor:
            return
        gap = (self._buffer.next_start or head) - head
        if gap and (gap > self.rate_hz or not self._holes.silent_before(head + gap)):
            return
        pcm = self._buffer.whole(gap)
        if pcm is not None:
            self._unsent_until = max(self._unsent_until, head + gap)
            self.fast_path.begin(pcm, head, next_pts, anchor, self._shift, last_at)
            self._expect(self.fast_path)
            self._steady = True
            self._written = self.head

    def _expect(self, stream: FastPath) -> None:
        """Say what would change nothing."""
        window_end, low = self._drift.indifferent or (0, 0)
        calm_until = self._drift.calm_until(self.head, _TOLERANCE_S * self.rate_hz)
        stream.expect(window_end, low, calm_until)

    def _end_steady(self) -> None:
        if not self._steady or self.fast_path is None:
            return
        self.keep_books()
        self._steady = False
        self._placed_end = self.fast_path.ready_end
        kept, read, head, next_pts, last_at = self.fast_path.end()
        pcm = np.frombuffer(kept, np.int16)
        self._placement.resume(next_pts, last_at, pcm)
        self._buffer = SampleBuffer(head)
        self._buffer.insert(head, pcm[read:])
        self._remember(pcm[:read])

    def _look(self, start: int, stop: int) -> None:
        """At what was just read, and what was read and not written down before."""
        heard = self._write_heard()
        quiet = all(peak <= _QUIET_PEAK for end, peak in heard if end > start)
        error = self._drift.delay(stop)
        least_s = _TOLERANCE_S if quiet else _PATIENCE_S
        if error is not None and abs(error) >= least_s * self.rate_hz:
            self._end_steady()
            self._follow_drift(stop, quiet=quiet)

    def _write_heard(self) -> list[tuple[int, int]]:
        """Write down what was read while it was steady, and give it: where each block ends, and
        its peak."""
        blocks = self.fast_path.heard() if self._steady and self.fast_path is not None else []
        if blocks:
            start, self._written = self._written, blocks[-1][0]
            self._receive(start - self._shift, self._written - self._shift)
            self._ledger.heard(self.rate_hz, start, blocks)
        return blocks

    # -- otherwise ----------------------------------------------------------------------------

    def _insert(self, placed: Iterable[Placed]) -> None:
        for run in placed:
            end = run.start + len(run.pcm)
            if run.start < self._buffer.head:
                gap_is_silence = run.gap_is_silence
                self._lose(self._holes.came_late(run.start, end, gap_is_silence=gap_is_silence))
            elif run.gap_is_silence:
                self._holes.never_sent_before(run.start)
            early = max(0, min(-run.start, len(run.pcm)))  # before the recording began
            inserted = self._buffer.insert(run.start + early, run.pcm[early:])
            self._placed_end = max(self._placed_end, end)
            self._ledger.duplicate_ns += self._ns(inserted.covered)
            if inserted.late:
                self._ledger.late_ns += self._ns(inserted.late)
                self._ledger.last_sound_ns = max(self._ledger.last_sound_ns, self._ns(run.at))
                first = run.start + early + self._shift
                self._ledger.note(
                    IntervalKind.LATE, self._ns(first), self._ns(first + inserted.late)
                )
            if self._placement.epoch != self._epoch:
                self._epoch = self._placement.epoch
                self._drift.restart()
            if run.delay is not None:
                # The tracker's delays are against what will be heard when the slew is done.
                shift = self._shift if self._slew is None else self._slew.after
                self._drift.add(run.at, run.delay - shift)
            self._begun = True

    def _lose(self, stretches: list[Stretch]) -> None:
        for start, stop in stretches:
            self._ledger.lost(self._ns(start + self._shift), self._ns(stop + self._shift))

    def _take(self, stop: int) -> Pcm | None:
        """The next samples of the buffer; its holes go to the ledger."""
        begin = start = self._buffer.head
        pcm, holes = self._buffer.read(stop)
        if not self._begun:
            return None
        # Counted here and not when it comes: what waits when the recording ends is not in it.
        for first, end in [*holes, (stop, stop)]:
            if first > start:
                self._receive(start, first)
            start = end
        self._lose(self._holes.read(begin, stop, holes, self._buffer.next_start))
        return pcm

    def _warped(self, slew: Slew, start: int, stop: int) -> Pcm | None:
        whole, phase = slew.input_positions(start, stop)
        first = int(whole[0]) - BEFORE
        samples = self._input(first, int(whole[-1]) + AFTER + 1)
        return None if samples is None else interpolate(samples, first, whole, phase)

    def _input(self, start: int, stop: int) -> Pcm | None:
        """``[start, stop)`` of the buffer, which may reach back a little into what was read."""
        seen = self._buffer.head - start
        fresh = self._take(stop) if stop > self._buffer.head else None
        if seen == 0:
            self._remember(fresh)
            return fresh
        old = self._context[len(self._context) - seen :][: stop - start]
        if stop - start <= seen:
            return old if old.any() else None
        self._remember(fresh)
        if fresh is None:
            if not old.any():
                return None
            fresh = np.zeros(stop - start - len(old), np.int16)
        return np.concatenate([old, fresh])

    def _remember(self, fresh: Pcm | None) -> None:
        if fresh is None:
            if self._context.any():
                self._context = np.zeros(_CONTEXT, np.int16)
        elif len(fresh) >= _CONTEXT:
            self._context = fresh[-_CONTEXT:]
        else:
            self._context = np.concatenate([self._context, fresh])[-_CONTEXT:]

    def _follow_drift(self, position: int, *, quiet: bool) -> None:
        """Correct the shift where the sender's clock has run away."""
        error = self._drift.delay(position)
        if error is None:
            return
        shift = self._shift if self._slew is None else self._slew.after
        change = round(error)
        if quiet:
            if abs(error) < _TOLERANCE_S * self.rate_hz:
                change = 0
            if shift + change != self._shift and self._jump(position, shift + change):
                self._drift.moved(change)
        elif self._slew is None and abs(error) >= _PATIENCE_S * self.rate_hz:
            pace = _FASTER if abs(error) > _FAR_OFF_S * self.rate_hz else _GENTLE
            most = _LONGEST_SLEW_S * self.rate_hz // pace
            change = max(-most, min(most, change))
            self._slew = Slew(position, abs(change) * pace, shift, shift + change)
            self._drift.moved(change)

    def _jump(self, position: int, shift: int) -> bool:
        """Correct all at once, if only silence shrinks or grows by it: nobody hears that."""
        head = position - shift
        if self._buffer.peak(head) > _QUIET_PEAK:
            return False
        if head > self._buffer.head:
            self._buffer.read(head)
        else:
            self._holes.never_sent_before(self._buffer.head)
            self._buffer.head = head
        self._holes.end_at(head)
        self._slew = None
        self._set_shift(shift)
        return True

    def _set_shift(self, shift: int) -> None:
        self._shift = shift
        self._placement.shifted(shift)

    def _listen(self, pcm: Pcm, stop: int) -> int:
        """Write down how loud it was; give the peak."""
        start, blocks = stop - len(pcm), block_peaks(pcm, self._block)
        self._ledger.heard(self.rate_hz, start, [(start + end, peak) for end, peak in blocks])
        return max(peak for _, peak in blocks)

    def _count(self) -> None:
        duplicates, strays = self._placement.duplicate_samples, self._placement.stray_samples
        self._ledger.duplicate_ns += self._ns(duplicates - self._counted[0])
        self._ledger.late_ns += self._ns(strays - self._counted[1])
        self._counted = (duplicates, strays)
        self._ledger.reanchored += self._placement.reanchored
        self._placement.reanchored = 0

    def _receive(self, start: int, stop: int) -> None:
        start = max(start, self._unsent_until)
        if start < stop:
            before, self._received = self._received, self._received + stop - start
            self._ledger.received.add(
                self._ns(start + self._shift),
                self._ns(stop + self._shift),
                self._ns(self._received) - self._ns(before),
            )

    def _ns(self, samples: int) -> int:
        return samples * NS_PER_S // self.rate_hz
