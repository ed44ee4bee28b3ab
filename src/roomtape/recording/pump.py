"""The part of a recording that runs beside the event loop: mixing, and looking at what goes wrong.

A tick may come on any thread of the pool, but only one at a time. What it has to tell goes to the
callbacks, on that thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock

from ..audio.session import RecordingSession
from ..clock import Clock
from ..types import NS_PER_S
from .disk_writer import DiskWriter
from .health import HealthCheck, Snapshot, Warnings
from .scheduler import Stage

logger = logging.getLogger(__name__)

_WATCH_NS = NS_PER_S
_MOST_BACKLOG_S = 60
"""A disk that hangs for longer ends the recording: the audio must not fill the memory."""


class Pump:
    """From the session to the disk writer, tick by tick.

    Args:
        session, writer: What is mixed, and where it goes.
        clock: For how long the disk has been busy.
        start_ns: When the recording began, on the clock.
        cycle_s: Of a cyclic recording; 0 for a live one.
        on_warnings: Told when in the recording, and what is new.
        on_failure: Told, once, why the recording cannot go on.
    """

    def __init__(
        self,
        session: RecordingSession,
        writer: DiskWriter,
        *,
        clock: Clock,
        start_ns: int,
        cycle_s: int,
        on_warnings: Callable[[int, Warnings], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._session = session
        self._writer = writer
        self._clock = clock
        self._start_ns = start_ns
        self._cycle_s = cycle_s
        self._on_warnings = on_warnings
        self._on_failure = on_failure
        self._watch = HealthCheck()
        self._watched_ns = 0
        self._lock = Lock()
        self._over = False
        self._encoded: list[bytes] = []

    def tick(self, until_ns: int) -> Stage:
        """Mix what has come by ``until_ns`` on the clock. The next stage encodes it, and the one
        after that writes it."""
        self._guarded(lambda: self._session.mix(until_ns - self._start_ns))
        return self._encode

    def _encode(self) -> Stage:
        def work() -> None:
            self._encoded += self._session.encode()

        self._guarded(work)
        return self._write

    def _write(self) -> None:
        def work() -> None:
            units, self._encoded = self._encoded, []
            self._writer.write(units)
            self._look()

        self._guarded(work)

    def _guarded(self, work: Callable[[], None]) -> None:
        with self._lock:
            if self._over:
                return
            try:
                work()
            except Exception as error:
                logger.exception("mixing failed")
                self._fail(f"internal error: {error!r}")

    def finish(self, now_ns: int) -> None:
        """Mix all up to ``now_ns`` of the recording, and write it; nothing comes after it."""
        with self._lock:
            self._over = True
            self._writer.write(self._encoded + self._session.finish(now_ns))

    def stop(self) -> None:
        """Mix no more. A tick that is running is waited for."""
        with self._lock:
            self._over = True

    def _look(self) -> None:
        now_ns = self._clock.now_ns() - self._start_ns
        if now_ns - self._watched_ns < _WATCH_NS:
            return
        self._watched_ns = now_ns
        session, writer = self._session, self._writer
        backlog_s = writer.backlog_samples / session.rate_hz
        progress = session.progress
        snapshot = Snapshot(
            now_ns=now_ns,
            sources=[track for track in session.sources if track.left_ns is None],
            mixed_samples=progress.mixed_samples,
            limited_samples=progress.limited_samples,
            disk_busy_ns=writer.busy_ns(self._clock.now_ns()),
            backlog_s=backlog_s,
            free_bytes=writer.free_bytes,
            bytes_per_s=session.encoder.bytes_per_s,
            cycle_s=self._cycle_s,
        )
        warnings = self._watch.look(snapshot)
        if warnings:
            self._on_warnings(now_ns, warnings)
        if backlog_s > _MOST_BACKLOG_S:
            self._fail(
                f"the disk has not kept up: {backlog_s:.0f} s of audio wait in memory, more than "
                f"the {_MOST_BACKLOG_S} s allowed"
            )

    def _fail(self, reason: str) -> None:
        self._over = True
        self._on_failure(reason)
