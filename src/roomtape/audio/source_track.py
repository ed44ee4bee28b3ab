"""One participant in one recording: frames of any rate and channel count in, mono timelines out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from ..types import NS_PER_S, Interval, IntervalKind, Pcm, SourceReport
from .ledger import Ledger
from .placement import Arrival
from .timeline import Timeline

# pcm, sample_rate, pts, arrived_ns (from the start of the recording), gap_is_silence
_Frame = tuple[Pcm, int, int | None, int, bool]


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
        self._inbox: deque[_Frame] = deque()  # append and popleft are atomic
        self._timelines: list[Timeline] = []
        self._drift_ppm = 0.0
        self.queued_ns = 0
        """How far ahead of the clock audio was pushed, when last looked at."""
        self.last_frame_ns = joined_ns
        """When the last frame came ..."""
        self.last_sound_ns = joined_ns
        """... and the last one that was not digital zero."""
        self.unmuted_ns = joined_ns

    def push(
        self, pcm: Pcm, sample_rate: int, pts: int | None, arrived_ns: int, gap_is_silence: bool
    ) -> None:
        """Take a frame that nobody will write to any more."""
        self._inbox.append((pcm, sample_rate, pts, arrived_ns, gap_is_silence))

    def ingest(self, now_ns: int, head_at: Callable[[int], int]) -> list[Timeline]:
        """Place what was pushed.

        Args:
            now_ns: The clock, from the start of the recording.
            head_at: For a rate, the first position that has not been mixed.

        Returns:
            Timelines that are new, to be mixed from now on.
        """
        frames = [self._inbox.popleft() for _ in range(len(self._inbox))]
        fresh: list[Timeline] = []
        low = 0
        while low < len(frames):
            rate_hz, channels = frames[low][1], frames[low][0].ndim
            high = low
            while (
                high < len(frames)
                and frames[high][1] == rate_hz
                and frames[high][0].ndim == channels
            ):
                high += 1
            timeline = self._timelines[-1] if self._timelines else None
            if timeline is None or timeline.rate_hz != rate_hz:
                timeline = self._next_timeline(rate_hz, head_at(rate_hz), now_ns)
                fresh.append(timeline)
            timeline.ingest(self._arrivals(frames[low:high]), now_ns * rate_hz // NS_PER_S)
            low = high
        if not frames and self._timelines:
            timeline = self._timelines[-1]
            timeline.ingest([], now_ns * timeline.rate_hz // NS_PER_S)
        if self._timelines:
            last = self._timelines[-1]
            self.queued_ns = max(0, last.end * NS_PER_S // last.rate_hz - now_ns)
        self._timelines = [
            each for each in self._timelines if not each.done or each is self._timelines[-1]
        ]
        return fresh

    def set_muted(self, muted: bool, now_ns: int) -> None:
        """The participant muted itself, or no longer: what is missing then is not lost."""
        self.ledger.set_muted(muted, now_ns)
        self.unmuted_ns = now_ns

    def leave(self, now_ns: int) -> None:
        """The participant has left; what was pushed before is still mixed. Thread-safe."""
        if self.left_ns is None:
            self.left_ns = now_ns

    def close(self, now_ns: int) -> None:
        """Nothing more comes: place what is still in doubt."""
        if self._timelines:
            last = self._timelines[-1]
            last.close(now_ns * last.rate_hz // NS_PER_S)

    def report(self, *, start_ns: int, end_ns: int) -> SourceReport:
        """What happened in ``[start_ns, end_ns)`` of the recording, counted from its start."""
        joined_ns = min(max(self.joined_ns, start_ns), end_ns)
        left_ns = min(max(self.left_ns if self.left_ns is not None else end_ns, start_ns), end_ns)
        ledger = self.ledger
        if self._timelines:
            self._drift_ppm = self._timelines[-1].drift_ppm or self._drift_ppm
        absent = tuple(
            Interval(
                IntervalKind.ABSENT, (begin - start_ns) / NS_PER_S, (stop - start_ns) / NS_PER_S
            )
            for begin, stop in ((start_ns, joined_ns), (left_ns, end_ns))
            if stop > begin
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
            drift_ppm=self._drift_ppm,
            reanchored=ledger.reanchored,
            peak_dbfs=float(20 * np.log10(ledger.peak / 32768)) if ledger.peak else -np.inf,
            intervals=ledger.intervals(start_ns=start_ns, end_ns=end_ns) + absent,
        )

    def _next_timeline(self, rate_hz: int, head: int, now_ns: int) -> Timeline:
        not_before = None
        if self._timelines:
            last = self._timelines[-1]
            last.close(now_ns * last.rate_hz // NS_PER_S)
            not_before = last.end * rate_hz // last.rate_hz
            self._drift_ppm = last.drift_ppm or self._drift_ppm
        timeline = Timeline(rate_hz, head=head, ledger=self.ledger, not_before=not_before)
        self._timelines.append(timeline)
        return timeline

    def _arrivals(self, frames: list[_Frame]) -> list[Arrival]:
        mono = frames[0][0].ndim == 1
        arrivals = []
        for pcm, rate_hz, pts, arrived_ns, gap_is_silence in frames:
            arrivals.append(
                Arrival(
                    pcm if mono else _mixed_down(pcm),
                    arrived_ns * rate_hz // NS_PER_S,
                    pts,
                    gap_is_silence,
                )
            )
        self.last_frame_ns = frames[-1][3]
        for pcm, _, _, arrived_ns, _ in reversed(frames):
            if pcm.any():
                self.last_sound_ns = arrived_ns
                break
        return arrivals


def _mixed_down(pcm: Pcm) -> Pcm:
    """The mean of the channels; equal channels come out as they went in."""
    if pcm.shape[1] == 1:
        return pcm[:, 0]
    if pcm.shape[1] == 2:
        # int32 keeps the sum; the shift is exact where left and right are equal.
        mono: Pcm = ((pcm[:, 0].astype(np.int32) + pcm[:, 1]) >> 1).astype(np.int16)
    else:
        mono = np.rint(pcm.mean(axis=1)).astype(np.int16)
    return mono
