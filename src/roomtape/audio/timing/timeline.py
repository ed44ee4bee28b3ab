"""One source at one rate: frames in as they arrive, samples out as they were spoken.

``ingest`` takes frames at any time; ``add_to`` is called in order by the mixer, about half a second
behind the clock. What is missing by then is silence; the ledger has it.

A frame goes to :class:`Placement`, which decides where it belongs, and from there to
:class:`Playout`, which holds it until it is read. While nothing has to be decided, the accelerator
does the work of both (the *fast path*, :mod:`.fast_path`). What holds then:

* What is in the fast path is in neither of the two. It is handed over whole, and taken back whole
  before anything is decided, so that each rule about time is written once, in Python.
* The books of what was read are put off. Whoever asks the ledger calls :meth:`keep_books` before.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Samples, add
from ..discretion.curtain import Curtain
from ..ledger import Ledger
from .books import Books
from .fast_path import FAR_AHEAD_S, Left, arrivals_of, fast_path
from .placing.anchor import Arrival
from .placing.placement import Placement
from .playout import PATIENCE_S, QUIET_PEAK, TOLERANCE_S, Playout

if TYPE_CHECKING:
    from ._native import FastPath

logger = logging.getLogger(__name__)

_NEVER = -1 << 60
"""Before every position."""


class Timeline:
    """One source at one rate. Times and positions are samples on the room grid.

    Not thread-safe, but for :meth:`abandon` and :attr:`level`. Call ``ingest`` and
    ``ingest_pushed`` with a clock that does not go back, ``add_to`` with rising positions, and
    ``close`` once; afterwards only ``add_to``, until it is :attr:`done`.

    Args:
        rate_hz: The sample rate of everything ingested and read.
        head: The first position that will be read.
        ledger: Where losses are written down.
        not_before: The source's audio at another rate ends at this position.
        name: The source, for the log.
        curtain: What is behind it is read, and heard by nobody.
    """

    def __init__(
        self,
        rate_hz: int,
        *,
        head: int,
        ledger: Ledger,
        not_before: int | None = None,
        name: str = "",
        curtain: Curtain | None = None,
    ) -> None:
        self.rate_hz = rate_hz
        self._head = head  # while it is not on the fast path, which has its own
        self._name = name
        self._curtain = curtain or Curtain()
        self._books = Books(rate_hz, ledger)
        self._placement = Placement(rate_hz, not_before=not_before, name=name)
        self._playout = Playout(rate_hz, head=head, books=self._books, name=name)
        self.fast_path: FastPath | None = fast_path(rate_hz)
        """What may be pushed to, instead of ingesting it, while it is open. It is None where there
        is no accelerator, and when it is closed."""
        self.active: FastPath | None = None
        """The fast path, while it has what waits."""
        self._written = 0  # the books of the fast path are kept up to here
        self._closed = self._abandoned = False

    @property
    def on_fast_path(self) -> bool:
        """Whether nothing has to be decided, and the accelerator does the work."""
        return self.active is not None

    @property
    def head(self) -> int:
        """Where it is read next."""
        active = self.active
        return self._head if active is None else active.head

    @property
    def steady(self) -> FastPath | None:
        """The fast path, while it has what waits and all of it is heard."""
        return None if self._abandoned or self._curtain.used else self.active

    @property
    def drift_ppm(self) -> float:
        """How much faster the sender's clock runs than ours; 0 until it is known."""
        return self._playout.drift.drift_ppm

    @property
    def level(self) -> int:
        """The peak of the last tenth of a second that was read, 0 to 32768."""
        active = self.active
        return self._books.level if active is None else active.level

    @property
    def end(self) -> int:
        """Where the last sample that was placed is heard to end, be it read or not."""
        active = self.active
        return self._playout.end if active is None else active.ready_end + self._playout.offset

    @property
    def waiting(self) -> int:
        """How many samples came and are not read: placed, or on probation."""
        waiting = self._placement.waiting
        if self.active is None:
            return waiting + self._playout.waiting
        self._note_unsent(self.active)
        start = self.head - self._playout.offset
        return waiting + self._playout.ever_sent(start, self.active.ready_end)

    @property
    def done(self) -> bool:
        """Nothing but silence will follow: closed, and everything was read; or abandoned."""
        return self._abandoned or (self._closed and self._playout.empty)

    def ingest(self, arrivals: list[Arrival], now: int) -> None:
        """Take in what has come. ``now`` is the clock's position."""
        self._leave_fast_path("frames that need a decision")
        for run in self._placement.feed(arrivals):
            self._playout.insert(run)
        self._settle(now)

    def ingest_pushed(self, now: int) -> bool:
        """Take in what was pushed to :attr:`fast_path`.

        Returns:
            Whether all is as it was: on the fast path, and not far ahead of the clock.
        """
        left: int = Left.ODD if self.active is None else Left.MORE
        while left == Left.MORE and self.active is not None:
            self._note_unsent(self.active)
            placed = self.active.place(now)
            if placed is None:
                return True
            left, delay = placed
            if delay is not None:
                self._note_delays(self.active)
                self._playout.drift.add(*delay)
                self._expect(self.active)
        if left != Left.ODD:
            return left == Left.NOTHING
        self.ingest([] if self.fast_path is None else arrivals_of(self.fast_path), now)
        self._enter_fast_path(now)
        return False

    def close(self, now: int) -> None:
        """No more will come: place what is on probation, and release the fast path."""
        self._leave_fast_path("the end")
        self._settle(now, force=True)
        self._closed = True
        if self.fast_path is not None:
            self.fast_path.release()
            self.fast_path = None

    def abandon(self) -> None:
        """It is done at once. From any thread; afterwards, ``add_to`` does nothing."""
        self._abandoned = True

    def add_to(self, total: Samples, stop: int) -> None:
        """Add the samples from the last ``stop`` to this one to ``total``."""
        if self._abandoned:
            return
        hidden = self._curtain.hidden(self.rate_hz, self.head, stop)
        if hidden:
            read = np.zeros_like(total)
            self._add_to(read, stop)
            total[hidden:] += read[hidden:]
        else:
            self._add_to(total, stop)

    def _add_to(self, total: Samples, stop: int) -> None:
        start = self.head
        if self.active is not None:
            if stop - self._playout.offset <= self.active.ready_end:
                if not self.active.add_to(total):
                    self._look(start, stop)
                return
            self._leave_fast_path("nothing waits")
        self._head = stop
        pcm = self._playout.read(start, stop)
        self._placement.set_playout_offset(self._playout.offset)
        if pcm is not None:
            add(total, pcm)

    def keep_books(self) -> None:
        """Write down what was read; on the fast path, that is put off."""
        self._write_heard()

    def _settle(self, now: int, *, force: bool = False) -> None:
        for run in self._placement.settle(now, force=force):
            self._playout.insert(run)
        counts = self._placement.take_counts()
        if counts is not None:
            self._books.count(counts)

    # -- the fast path ------------------------------------------------------------------------

    def _enter_fast_path(self, now: int) -> None:
        """Hand over what waits, if nothing has to be decided."""
        next_frame = self._placement.undisputed()
        if self.fast_path is None or next_frame is None or self._closed:
            return
        seen = now if next_frame.last_at is None else max(now, next_frame.last_at)
        ends = next_frame.pts + next_frame.anchor + self._playout.offset
        if ends - seen > FAR_AHEAD_S * self.rate_hz:
            return  # all of it would be copied, and back again with the next push
        handed = self._playout.hand_over(next_frame, self._placement.epoch, self.head)
        if handed is None:
            return
        position, pcm = handed
        pts, anchor, last_at = next_frame
        self.fast_path.begin(pcm, position, pts, anchor, self._playout.offset, last_at)
        self._expect(self.fast_path)
        self.active = self.fast_path
        self._written = self.head
        logger.debug("%s, %.3f s: on the fast path", self._name, now / self.rate_hz)

    def _leave_fast_path(self, why: str) -> None:
        """Take everything back."""
        active = self.active
        if active is None:
            return
        self.keep_books()
        self._note_delays(active)
        self.active, self._head = None, active.head
        placed_end = active.ready_end
        kept, read, position, next_pts, last_at = active.end()
        pcm = np.frombuffer(kept, np.int16)
        sent = self._playout.take_back(position, pcm, read, placed_end)
        self._placement.resume(next_pts, last_at, sent)
        logger.debug("%s, %.3f s: off the fast path: %s", self._name, self.head / self.rate_hz, why)

    def _expect(self, active: FastPath) -> None:
        """Say what would change nothing, so that it need not be told."""
        window_end = self._playout.drift.window_end
        calm_until = self._playout.drift.calm_until(self.head, TOLERANCE_S * self.rate_hz)
        active.expect(_NEVER if window_end is None else window_end, calm_until)

    def _look(self, start: int, stop: int) -> None:
        """At what was just read, and what was read and not written down before."""
        heard = self._write_heard()
        quiet = all(peak <= QUIET_PEAK for end, peak in heard if end > start)
        error = self._playout.drift.delay(stop)
        least_s = TOLERANCE_S if quiet else PATIENCE_S
        if error is not None and abs(error) >= least_s * self.rate_hz:
            self._leave_fast_path("a clock to be followed")
            self._playout.follow_drift(stop, quiet=quiet)
            self._placement.set_playout_offset(self._playout.offset)

    def _note_unsent(self, active: FastPath) -> None:
        for start, stop in active.unsent():
            self._playout.never_sent(start, stop)

    def _note_delays(self, active: FastPath) -> None:
        for at, delay in active.delays():
            self._playout.drift.add(at, delay)

    def _write_heard(self) -> list[tuple[int, int]]:
        """Write down what was read on the fast path, and give it: where each block ends, and its
        peak."""
        blocks: list[tuple[int, int]] = []
        if self.active is not None:
            self._note_unsent(self.active)
            blocks = self.active.heard()
        if blocks:
            start, self._written = self._written, blocks[-1][0]
            offset = self._playout.offset
            self._playout.was_read(start - offset, self._written - offset)
            self._books.heard(start, blocks)
        return blocks
