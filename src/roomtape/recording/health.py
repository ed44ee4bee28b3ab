"""What a running recording suffers from, told while something can still be done about it.

A :class:`HealthCheck` is shown the state of a recording about once a second and answers with the
warnings that are new. Each is given once, and again only after it had gone away.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..audio.source_track import SourceTrack
from ..types import NS_PER_S, AudioRecordingWarning

Warnings = list[tuple[AudioRecordingWarning, str]]

_QUIET_NS = 10 * NS_PER_S
_AHEAD_NS = NS_PER_S // 5
"""A frame that has just come ends a little after now; what is further ahead was pushed by a program
and is still to be heard."""
_WINDOW_NS = 10 * NS_PER_S
_LIMITED_SHARE = 0.5
_LATE_NS = NS_PER_S
_LEFT_OUT_NS = NS_PER_S
_SLOW_DISK_NS = 2 * NS_PER_S
_LOW_DISK_S = 600
_LOW_DISK_BYTES = 32 << 20


class Snapshot(NamedTuple):
    """The state of a recording.

    Attributes:
        now_ns: From the start of the recording.
        sources: Those that are in it now.
        mixed_samples, limited_samples: So far.
        disk_busy_ns: For how long the disk has been at one call.
        backlog_s: Audio that waits for the disk.
        free_bytes: On the disk; None if not known.
        bytes_per_s: What a second of the recording takes.
        cycle_s: A cyclic recording takes no more while it runs, but to finish it so many seconds
            of it are written once more; 0 for a live one.
    """

    now_ns: int
    sources: Iterable[SourceTrack]
    mixed_samples: int
    limited_samples: int
    disk_busy_ns: int
    backlog_s: float
    free_bytes: int | None
    bytes_per_s: int
    cycle_s: int = 0


class _Missing(NamedTuple):
    """What did not come into the recording of one source."""

    late_ns: int
    left_out_ns: int
    dropped_packets: int

    @classmethod
    def of(cls, source: SourceTrack) -> _Missing:
        ledger = source.ledger
        return cls(ledger.late_ns, source.inbox.refused_ns, ledger.dropped_packets)

    def since(self, before: _Missing) -> _Missing:
        return _Missing(*(now - then for now, then in zip(self, before, strict=True)))


_NOTHING_MISSING = _Missing(0, 0, 0)


class HealthCheck:
    """Is shown one recording about once a second; gives each warning once, and again only after
    what it tells of had gone away."""

    def __init__(self) -> None:
        self._standing: set[tuple[AudioRecordingWarning, int]] = set()
        self._window_start: Snapshot | None = None
        self._missing_before: dict[int, _Missing] = {}
        self._limiting = False
        self._missing: dict[int, _Missing] = {}
        self._sound_ns: dict[int, int] = {}

    def look(self, snapshot: Snapshot) -> Warnings:
        """The warnings that are new."""
        self._roll_window(snapshot)
        found: list[tuple[AudioRecordingWarning, int, str]] = []
        for source in snapshot.sources:
            found += self._look_at(source, snapshot.now_ns)
        if self._limiting:
            found.append(
                (
                    AudioRecordingWarning.LIMITING,
                    0,
                    "the mix exceeded full scale for most of the last 10 s; it is turned down",
                )
            )
        if snapshot.disk_busy_ns >= _SLOW_DISK_NS or snapshot.backlog_s * NS_PER_S >= _SLOW_DISK_NS:
            found.append(
                (
                    AudioRecordingWarning.SLOW_DISK,
                    0,
                    f"the disk has been busy for {snapshot.disk_busy_ns / NS_PER_S:.1f} s; "
                    f"{snapshot.backlog_s:.1f} s of audio wait in memory",
                )
            )
        found += _look_at_space(snapshot)
        new = [each for each in found if each[:2] not in self._standing]
        self._standing = {each[:2] for each in found}
        return [(code, detail) for code, _, detail in new]

    def _roll_window(self, snapshot: Snapshot) -> None:
        start = self._window_start
        if start is not None and snapshot.now_ns - start.now_ns < _WINDOW_NS:
            return
        if start is not None:
            mixed = snapshot.mixed_samples - start.mixed_samples
            limited = snapshot.limited_samples - start.limited_samples
            self._limiting = mixed > 0 and limited > _LIMITED_SHARE * mixed
        missing = {id(source): _Missing.of(source) for source in snapshot.sources}
        if start is not None:
            self._missing = {
                each: now.since(self._missing_before.get(each, _NOTHING_MISSING))
                for each, now in missing.items()
            }
        self._missing_before = missing
        self._window_start = snapshot

    def _look_at(
        self, source: SourceTrack, now_ns: int
    ) -> list[tuple[AudioRecordingWarning, int, str]]:
        found: list[tuple[AudioRecordingWarning, int, str]] = []
        told = source.expects_silence or source.silenced or source.ledger.muted
        quiet_is_odd = not told
        if quiet_is_odd and source.queued_ns < _AHEAD_NS:
            quiet_since = max(source.last_frame_ns, source.unmuted_ns)
            if now_ns - quiet_since >= _QUIET_NS:
                found.append(
                    (
                        AudioRecordingWarning.NO_AUDIO,
                        id(source),
                        f"{source.name} is not muted but has sent nothing for 10 s",
                    )
                )
            elif now_ns - self._silent_since(source, now_ns) >= _QUIET_NS:
                found.append(
                    (
                        AudioRecordingWarning.SILENT_AUDIO,
                        id(source),
                        f"{source.name} is not muted but has sent only digital silence for 10 s",
                    )
                )
        return found + self._look_at_missing(source)

    def _look_at_missing(self, source: SourceTrack) -> list[tuple[AudioRecordingWarning, int, str]]:
        missing, found = self._missing.get(id(source), _NOTHING_MISSING), []
        if missing.late_ns >= _LATE_NS:
            words = (
                f"{missing.late_ns / NS_PER_S:.1f} s of {source.name}'s audio of the last 10 s "
                "came too late to be recorded"
            )
            found.append((AudioRecordingWarning.LATE_AUDIO, id(source), words))
        if missing.left_out_ns >= _LEFT_OUT_NS:
            words = (
                f"{missing.left_out_ns / NS_PER_S:.1f} s of {source.name}'s audio of the last 10 s "
                "came faster than it can have been spoken, and was left out"
            )
            found.append((AudioRecordingWarning.AUDIO_LEFT_OUT, id(source), words))
        if missing.dropped_packets:
            words = (
                f"this machine was too busy to take {missing.dropped_packets} packets of "
                f"{source.name}'s in the last 10 s, and dropped them"
            )
            found.append((AudioRecordingWarning.PACKETS_DROPPED, id(source), words))
        if source.timestamps_off:
            words = f"{source.name}: {source.timestamps_off}"
            found.append((AudioRecordingWarning.TIMESTAMPS, id(source), words))
        return found

    def _silent_since(self, source: SourceTrack, now_ns: int) -> int:
        """When it was last heard, or unmuted. What was known before is good enough while it is
        not long ago: a source that is asked must write its books first."""
        known_ns = self._sound_ns.get(id(source), 0)
        if now_ns - known_ns >= _QUIET_NS:
            known_ns = self._sound_ns[id(source)] = source.last_sound_ns
        return max(known_ns, source.unmuted_ns)


def _look_at_space(snapshot: Snapshot) -> list[tuple[AudioRecordingWarning, int, str]]:
    if snapshot.free_bytes is None:
        return []
    free = f"{snapshot.free_bytes / (1 << 20):.1f} MiB are free"
    if snapshot.cycle_s:
        needed = snapshot.cycle_s * snapshot.bytes_per_s
        if snapshot.free_bytes >= needed:
            return []
        detail = f"{free}: finishing this recording may take {needed / (1 << 20):.1f} MiB"
        return [(AudioRecordingWarning.LOW_DISK_SPACE, 0, detail)]
    needed = max(_LOW_DISK_BYTES, _LOW_DISK_S * snapshot.bytes_per_s)
    if snapshot.free_bytes >= needed:
        return []
    left_min = snapshot.free_bytes / snapshot.bytes_per_s / 60
    detail = f"{free}: enough for {left_min:.1f} min of this recording"
    return [(AudioRecordingWarning.LOW_DISK_SPACE, 0, detail)]
