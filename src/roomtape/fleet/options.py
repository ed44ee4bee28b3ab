"""What a worker is told when it starts, checked once and whole."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ..types import AudioRecordingConfiguration, AudioRecordingQuality, Consent
from ..types.clock import usable_cores
from ..types.errors import ConfigurationError

MOST_PATTERN = 300
_MOST_PROCESSES = 256
_MOST_ROOMS = 10_000
ROOMS_A_PROCESS = 12
"""By default; docs/scaling.md has what was measured."""


@dataclass(frozen=True, slots=True)
class Service:
    """A LiveKit service, and the right to do anything in it. Its text never shows the secret."""

    url: str
    key: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """One worker.

    Attributes:
        directory: Where recordings go, one folder a room.
        service: Whose rooms.
        rooms: Patterns (``*``, ``?``, ``[a-z]``), of which a room's name must match one; upper and
            lower case are told apart.
        visible: The name under which the recorder is seen in the room; empty: it is hidden.
        redis: Where the leases are; empty: this worker is the only one.
        redis_prefix: In front of every key there.
        name: The worker, for logs and reports.
        processes: Recorder processes.
        max_rooms: Rooms at a time, in all processes.
        sample_rate, quality, exclude, consent, beep_s: As in a recording's configuration.
        keep_days: Recordings that ended longer ago are removed; 0 keeps all.
        disk_floor_bytes: With less free on the disk, no further room is taken.
        lease_s: A lease that is not renewed for so long is free again.
        list_s: How often rooms are listed.
        drain_s: How long, once told to end, it waits at most for other workers to go on with its
            rooms.
        alone_s: A room in which nobody is for so long is left.
    """

    directory: Path
    service: Service
    rooms: tuple[str, ...] = ("*",)
    visible: str = ""
    redis: str = field(default="", repr=False)
    redis_prefix: str = "roomtape"
    name: str
    processes: int = field(default_factory=usable_cores)
    max_rooms: int = 0
    sample_rate: int = 32000
    quality: AudioRecordingQuality = AudioRecordingQuality.MEDIUM
    exclude: tuple[str, ...] = ()
    consent: Consent = Consent.NOT_ASKED
    beep_s: float | None = None
    keep_days: float = 0.0
    disk_floor_bytes: int = 1 << 30
    lease_s: float = 10.0
    list_s: float = 2.0
    drain_s: float = 20.0
    alone_s: float = 30.0

    def __post_init__(self) -> None:
        _check_service(self.service)
        _between("--processes", self.processes, 1, _MOST_PROCESSES)
        _between("--max-rooms", self.max_rooms, 0, _MOST_ROOMS)
        _between("--keep-days", self.keep_days, 0, 36500)
        _between("--disk-floor", self.disk_floor_bytes, 0, 1 << 60)
        _between("--lease", self.lease_s, 1, 600)
        _between("--list-every", self.list_s, 0.2, 600)
        _between("--drain", self.drain_s, 0, 3600)
        _between("--alone", self.alone_s, 1, 86400)
        for pattern in self.rooms:
            if not 0 < len(pattern) <= MOST_PATTERN:
                raise ConfigurationError(
                    f"--rooms has a pattern of {len(pattern)} characters; it takes 1 to "
                    f"{MOST_PATTERN}"
                )
        if len(self.visible) > MOST_PATTERN:
            raise ConfigurationError(f"--visible takes at most {MOST_PATTERN} characters")
        if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", self.name) is None:
            raise ConfigurationError(
                f"the worker's name is {self.name!r}; it takes 1 to 64 letters, digits, '.', '_' "
                "and '-'"
            )
        # How it is recorded is the recording's to judge.
        AudioRecordingConfiguration(
            self.directory / "room.aac",
            sample_rate=self.sample_rate,
            quality=self.quality,
            exclude=self.exclude,
            consent=self.consent,
            beep_s=self.beep_s,
        ).validate()
        if self.beep_s is not None and not self.visible:
            raise ConfigurationError(
                "--beep needs --visible NAME: who is not seen in a room is not heard there"
            )

    @property
    def limit(self) -> int:
        """How many rooms at a time."""
        return self.max_rooms or ROOMS_A_PROCESS * self.processes

    def wants(self, room: str) -> bool:
        """Whether rooms of this name are to be recorded."""
        return any(fnmatch.fnmatchcase(room, pattern) for pattern in self.rooms)


def _check_service(service: Service) -> None:
    try:
        parts = urlsplit(service.url)
        fine = parts.scheme in ("ws", "wss", "http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        fine = False
    if not fine or "@" in parts.netloc or parts.query:
        raise ConfigurationError(
            "the LiveKit URL is none that can be used: it looks like ws://HOST:7880 or wss://HOST "
            "(LIVEKIT_URL, or --url), without a user, a password or a query"
        )
    if not service.key or not service.secret:
        raise ConfigurationError(
            "no key of the LiveKit service: set LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or name a "
            "file that holds them with --keys-file"
        )


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigurationError(f"{name} is {value:g}; it must be between {low:g} and {high:g}")
