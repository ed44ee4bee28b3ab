"""Placed samples on their way out: read in order at the pace of our clock.

Positions in the buffer follow the sender's clock; the room hears them :attr:`Playout.offset`
samples later. A sender's clock that runs away changes the offset a little at a time
(:mod:`.varispeed`), or at once where there is silence to take it from.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np

from ...types import LeftOut, Pcm
from ..arrays import block_peaks, joined
from .books import Books
from .drift import DriftTracker
from .holes import Holes, Stretch
from .placing.anchored_stream import REORDER_S, NextFrame
from .placing.placed import Placed
from .sample_buffer import SampleBuffer
from .varispeed import AFTER, BEFORE, Slew, warped

logger = logging.getLogger(__name__)

SPEECH_BLOCK_S = 0.1
"""Whether somebody speaks is looked at in blocks of this length."""
_CONTEXT = 2 * (BEFORE + AFTER)
TOLERANCE_S = 0.005
"""Drift is made up for in a pause when it has grown to this ..."""
PATIENCE_S = 0.01
"""... and in the midst of speech when it has grown to this; below, the samples stay untouched."""
_GENTLE = 2000
"""One sample in 2000 bends the pitch by 0.05 % ..."""
_FASTER = 1250
"""... and one in 1250 by 0.08 %, for a placement that is far off."""
_FAR_OFF_S = 0.03
_LONGEST_SLEW_S = 10
QUIET_PEAK = 16
"""-66 dBFS: what a codec makes of silence."""


class Playout:
    """One timeline's samples between placing and mixing. All numbers are samples at ``rate_hz``.

    Insert at any time; read in order. Not thread-safe.

    Args:
        rate_hz: The sample rate.
        head: The first position that will be read.
        books: Where what was read, and what was missing, is written down.
        name: The source, for the log.
    """

    def __init__(self, rate_hz: int, *, head: int, books: Books, name: str = "") -> None:
        self._rate_hz = rate_hz
        self._books = books
        self._name = name
        self._buffer = SampleBuffer(head)
        self._holes = Holes()
        self._block = round(SPEECH_BLOCK_S * rate_hz)
        self._slew: Slew | None = None
        self._context = np.zeros(_CONTEXT, np.int16)  # what was read last from the buffer
        self._begun = False
        self._epoch = 0
        self._placed_end = head
        self._unsent: list[Stretch] = []  # what of that which was handed over was never sent
        self.offset = 0
        """What stands at ``p`` in the buffer is heard at ``p + offset``."""
        self.drift = DriftTracker(rate_hz)
        """How far the sender's clock has run away, by what was inserted."""

    @property
    def end(self) -> int:
        """Where the last sample that was placed is heard to end, be it read or not."""
        return self._placed_end + self.offset

    @property
    def empty(self) -> bool:
        """Nothing waits to be read."""
        return self._buffer.next_start is None

    @property
    def waiting(self) -> int:
        """How many samples wait to be read."""
        return self._buffer.waiting()

    def insert(self, run: Placed) -> None:
        """Take in what was placed; what comes too late, or comes twice, is written down."""
        end = run.start + len(run.pcm)
        if run.start < self._buffer.head:
            gap_is_silence = run.gap_is_silence
            self._lose(self._holes.came_late(run.start, end, gap_is_silence=gap_is_silence))
        elif run.gap_is_silence:
            self._holes.never_sent_before(run.start)
        early = max(0, min(-run.start, len(run.pcm)))  # before the recording began
        inserted = self._buffer.insert(run.start + early, run.pcm[early:])
        self._placed_end = max(self._placed_end, end)
        if early:
            self._books.left_out(LeftOut.BEFORE_START, early)
        if inserted.covered:
            self._books.covered(inserted.covered)
        if inserted.late:
            self._books.late(run.start + early + self.offset, inserted.late, run.at)
        if run.epoch != self._epoch:
            self._epoch = run.epoch
            self.drift.restart()
        if run.delay is not None:
            # The tracker's delays are against what will be heard when the slew is done.
            offset = self.offset if self._slew is None else self._slew.after
            self.drift.add(run.at, run.delay - offset)
        self._begun = True

    def read(self, start: int, stop: int) -> Pcm | None:
        """What is heard in ``[start, stop)``, shape ``(stop - start,)``; None for silence. The
        array may be a view of what was inserted: do not write to it."""
        pieces: list[tuple[int, Pcm | None]] = []
        while start < stop:
            end = stop
            if self._slew is None:
                piece = self._input(start - self.offset, end - self.offset)
            else:
                end = min(stop, self._slew.end)
                piece = self._warped(self._slew, start, end)
                if end == self._slew.end:
                    self.offset = self._slew.after
                    self._slew = None
            pieces.append((end - start, piece))
            start = end
        pcm = joined(pieces)
        peak = 0
        if pcm is None:
            self._books.silent()
        else:
            blocks = block_peaks(pcm, self._block)
            first = stop - len(pcm)
            self._books.heard(first, [(first + end, peak) for end, peak in blocks])
            peak = max(peak for _, peak in blocks)
        self.follow_drift(stop, quiet=peak <= QUIET_PEAK)
        return pcm

    # -- handing over to somebody else --------------------------------------------------------

    def hand_over(self, next_frame: NextFrame, epoch: int, head: int) -> tuple[int, Pcm] | None:
        """Give all that waits, and the position of its first sample, if it has no hole and ends
        where ``next_frame`` begins; None if anything is to be decided first.

        Args:
            next_frame: What comes next.
            epoch: The anchor's.
            head: The position that is heard next.
        """
        position = self._buffer.head
        calm = self._slew is None and self._epoch == epoch
        read_ahead = position != head - self.offset  # for what was warped last
        end = next_frame.pts + next_frame.anchor
        if not (calm and self._begun) or position < 0 or read_ahead or self._buffer.end != end:
            return None
        pieces: list[tuple[int, Pcm | None]] = []
        gaps: list[Stretch] = []
        for start, pcm in self._buffer.pieces():
            if start > position:
                gaps.append((position, start))
                pieces.append((start - position, None))
            pieces.append((len(pcm), pcm))
            position = start + len(pcm)
        in_a_gap = bool(gaps) and gaps[0][0] == self._buffer.head
        if self._holes.is_open and not in_a_gap:
            return None
        for start, stop in gaps:
            if stop - start > self._rate_hz or not self._holes.silent_before(stop):
                return None
        whole = joined(pieces) if pieces else None
        if whole is None:
            return None
        begun = self._holes.take_open()
        if begun is not None:
            gaps[0] = (begun, gaps[0][1])
        self._unsent = gaps
        return self._buffer.head, whole

    def never_sent(self, start: int, stop: int) -> None:
        """Of what was handed over, the zeros at ``[start, stop)`` of the buffer are our own."""
        self._unsent.append((start, stop))

    def ever_sent(self, start: int, stop: int) -> int:
        """How many of the samples at ``[start, stop)`` of the buffer are no zeros of our own."""
        return sum(end - first for first, end in self._sent(start, stop))

    def take_back(
        self, position: int, pcm: Pcm, read: int, placed_end: int
    ) -> list[tuple[int, Pcm]]:
        """Go on with what was handed over.

        Args:
            position: Of the first sample that waits.
            pcm: Those that were read last, and then those that wait.
            read: How many were read.
            placed_end: Behind the last sample.

        Returns:
            What of ``pcm`` was sent: positions and samples, in order.
        """
        self._placed_end = placed_end
        self._buffer = SampleBuffer(position)
        self._remember(pcm[:read])
        begin = position - read
        stretches = self._sent(begin, begin + len(pcm))
        sent = [(start, pcm[start - begin : stop - begin]) for start, stop in stretches]
        for start, piece in sent:
            self._buffer.insert(start, piece)
        for start, stop in self._unsent:
            if stop > position:
                self._holes.never_sent_before(stop)
                if start < position:
                    self._holes.goes_on_from(start, position)
        self._unsent = []
        return sent

    def was_read(self, start: int, stop: int) -> None:
        """``[start, stop)`` of the buffer was there and was read, here or by whom it was handed
        over to."""
        for first, end in self._sent(start, stop):
            self._books.received(first + self.offset, end + self.offset)
        if self._unsent:
            kept = stop - REORDER_S * self._rate_hz
            self._unsent = [each for each in self._unsent if each[1] > kept]

    def _sent(self, start: int, stop: int) -> Iterator[Stretch]:
        """``[start, stop)`` of the buffer without what was never sent."""
        for first, end in self._unsent:
            if start < end and first < stop:
                if start < first:
                    yield start, first
                start = end
        if start < stop:
            yield start, stop

    # -- the sender's clock -------------------------------------------------------------------

    def follow_drift(self, position: int, *, quiet: bool) -> None:
        """Correct the offset where the sender's clock has run away.

        Args:
            position: Where it is heard next.
            quiet: What was heard last was silence.
        """
        error = self.drift.delay(position)
        if error is None:
            return
        offset = self.offset if self._slew is None else self._slew.after
        change = round(error)
        if quiet:
            if abs(error) < TOLERANCE_S * self._rate_hz:
                change = 0
            if offset + change != self.offset and self._jump(position, offset + change):
                self.drift.moved(change)
        elif self._slew is None and abs(error) >= PATIENCE_S * self._rate_hz:
            pace = _FASTER if abs(error) > _FAR_OFF_S * self._rate_hz else _GENTLE
            most = _LONGEST_SLEW_S * self._rate_hz // pace
            change = max(-most, min(most, change))
            self._slew = Slew(position, abs(change) * pace, offset, offset + change)
            self._log_correction(position, "in the midst of speech", self._slew.after)
            self.drift.moved(change)

    def _jump(self, position: int, offset: int) -> bool:
        """Correct all at once, if only silence shrinks or grows by it: nobody hears that."""
        head = position - offset
        if self._buffer.peak(head) > QUIET_PEAK:
            return False
        if head > self._buffer.head:
            self._books.left_out(LeftOut.CLOCK, self._buffer.waiting(head))
            begin = self._buffer.head
            _, holes = self._buffer.read(head)  # the last of which may end before it
            self._lose(self._holes.read(begin, head, holes, self._buffer.next_start))
        else:
            self._holes.never_sent_before(self._buffer.head)
            self._buffer.head = head
        self._holes.end_at(head)
        self._slew = None
        self._log_correction(position, "in a pause", offset)
        self.offset = offset
        return True

    def _log_correction(self, position: int, where: str, offset: int) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "%s, %.3f s: clock %+.1f ppm off, corrected %s: heard %+d samples later, not %+d",
                *(self._name, position / self._rate_hz, self.drift.drift_ppm, where),
                *(offset, self.offset),
            )

    # -- reading ------------------------------------------------------------------------------

    def _lose(self, stretches: list[Stretch]) -> None:
        self._books.lost(stretches, self.offset)

    def _take(self, stop: int) -> Pcm | None:
        """The next samples of the buffer; its holes go to the books."""
        begin = start = self._buffer.head
        pcm, holes = self._buffer.read(stop)
        if not self._begun:
            return None
        # Counted here and not when it comes: what waits when the recording ends is not in it.
        for first, end in holes:
            self.was_read(start, first)
            start = end
        self.was_read(start, stop)
        lost = self._holes.read(begin, stop, holes, self._buffer.next_start)
        if lost:
            self._lose(lost)
        return pcm

    def _warped(self, slew: Slew, start: int, stop: int) -> Pcm | None:
        first = slew.input_of(start) - BEFORE
        samples = self._input(first, slew.input_of(stop - 1) + AFTER + 1)
        return None if samples is None else warped(samples, first, slew, start, stop)

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
