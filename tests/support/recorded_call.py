"""A real call over a bad network, recorded by a real engine, and what became of it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pytest

from roomtape import (
    AudioRecordingCode,
    AudioRecordingConfiguration,
    ChannelEventCallback,
    RecordingReport,
    RtcEngine,
    SourceReport,
)
from roomtape.media.pushed_audio import PushedAudio
from roomtape.media.voices import VOICES
from roomtape.rooms import Room, WebRtcRoom
from roomtape.types import NS_PER_S, AudioRecordingWarning, IntervalKind, Pcm
from roomtape.types.clock import SystemClock

from .lag import Lag, measured_lag
from .readers import read_all
from .relay import Relay, Way
from .signals import offset_of, speech

RATE_HZ = 48000
_PATIENCE_S = 120.0
_PIECE_S = 0.5
_SEARCH_S = 0.5
_AUDIBLE = 300.0  # the root mean square of a piece in which somebody speaks
_ALIKE = 0.7
_TRIES = 3


@cache
def talk() -> Pcm:
    """Half a minute of speech that does not repeat."""
    return np.concatenate([speech(name) for name in VOICES])


class Told(ChannelEventCallback):
    """Remembers what an engine told, and when."""

    def __init__(self) -> None:
        self.recording: list[tuple[AudioRecordingCode, str]] = []
        self.warnings: list[AudioRecordingWarning] = []
        self.members: list[tuple[str, str, float]] = []
        self.started_ns = 0
        self._changed = asyncio.Event()

    def on_audio_recording(self, code: AudioRecordingCode, file_path: str) -> None:
        if code is AudioRecordingCode.START:
            self.started_ns = time.monotonic_ns()
        self.recording.append((code, file_path))

    def on_audio_recording_warning(self, code: AudioRecordingWarning, detail: str) -> None:
        self.warnings.append(code)

    def on_user_joined(self, uid: str) -> None:
        self._note("joined", uid)

    def on_user_left(self, uid: str, reason: str) -> None:
        self._note("left", uid)

    def _note(self, what: str, uid: str) -> None:
        at_s = (time.monotonic_ns() - self.started_ns) / NS_PER_S if self.started_ns else 0.0
        self.members.append((what, uid, at_s))
        self._changed.set()

    def times_s(self, what: str, uid: str) -> list[float]:
        """When in the recording somebody joined or left."""
        return [at_s for known, who, at_s in self.members if (known, who) == (what, uid)]

    async def until(self, what: str, uid: str, *, times: int = 1) -> None:
        """Wait until somebody has joined or left."""
        async with asyncio.timeout(_PATIENCE_S):
            while len(self.times_s(what, uid)) < times:
                self._changed.clear()
                await self._changed.wait()


@dataclass
class Speaker:
    """A participant who says :func:`talk` as soon as it has joined.

    Attributes:
        way: The network from it to the recorder.
    """

    uid: str
    room: WebRtcRoom
    audio: PushedAudio
    way: Way


@dataclass
class Recorded:
    """A finished recording.

    Attributes:
        wall_s: From START to the call of stop.
        report, told: Of the engine.
        marks_s: When in the recording the test did something.
        counts: Of the relay, while the recording ran.
        lag: What the machine cost the scene.
    """

    wall_s: float
    report: RecordingReport
    told: Told
    marks_s: list[float]
    counts: dict[str, int] = field(default_factory=dict)
    lag: Lag = field(default_factory=Lag)

    def within(self, seconds: float) -> float:
        """The tolerance of a test, and what the machine cost."""
        return seconds + self.lag.worst_s

    @cached_property
    def pcm(self) -> Pcm:
        """The file, as every reader reads it. Slow: not while calls run."""
        pcm, rate_hz = read_all(self.report.file_path)
        assert rate_hz == RATE_HZ
        return pcm

    def stays(self, uid: str) -> list[SourceReport]:
        """What the report says of one participant, one entry a stay."""
        return [source for source in self.report.sources if source.name == uid]

    def intervals(self, uid: str, kind: IntervalKind) -> list[tuple[float, float]]:
        """The stretches of one kind, over all stays."""
        return [
            (each.start_s, each.end_s)
            for stay in self.stays(uid)
            for each in stay.intervals
            if each.kind is kind
        ]


class RecordingClient:
    """An engine that records a room, and what it tells."""

    def __init__(self, url: str, channel: str, *, room: Room | None = None, uid: str = "") -> None:
        self.told = Told()
        self.engine = RtcEngine(room or WebRtcRoom(url))
        self.engine.set_event_callback(self.told)
        self._channel = channel
        self._uid = uid or f"{channel}-recorder"
        self._marks_s: list[float] = []

    async def __aenter__(self) -> Self:
        """Join."""
        await self._ok(self.engine.join_channel(None, self._channel, self._uid))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.engine.release()

    async def start(self, path: Path) -> None:
        await self._ok(
            self.engine.start_audio_recording_with_config(
                AudioRecordingConfiguration(path, sample_rate=RATE_HZ, report=True)
            )
        )

    @property
    def now_s(self) -> float:
        """The time in the recording."""
        return (time.monotonic_ns() - self.told.started_ns) / NS_PER_S

    def mark(self) -> None:
        """Remember this moment."""
        self._marks_s.append(self.now_s)

    @staticmethod
    def counted(way: Way) -> dict[str, int]:
        counts = ("came", "lost", "copied", "overtaken", "dropped", "resent")
        return {what: way.total(what) for what in counts}

    async def stop(self) -> Recorded:
        wall_s = self.now_s
        await self._ok(self.engine.stop_audio_recording())
        report = self.engine.last_recording_report
        assert report is not None
        return Recorded(wall_s, report, self.told, self._marks_s)

    async def _ok(self, call: Awaitable[int]) -> None:
        code = await call
        assert code == 0, f"{code}: {self.engine.last_error}"


async def speak(
    relay: Relay, channel: str, uid: str, stack: AsyncExitStack, *, said: Pcm | None = None
) -> Speaker:
    """Join ``channel`` over the relay; leaves with ``stack``."""
    audio, room = PushedAudio(), WebRtcRoom(relay.url)
    audio.push(talk() if said is None else said)
    stack.push_async_callback(audio.stop)
    stack.push_async_callback(room.leave)
    audio.start(SystemClock())
    await room.join(token=None, channel=channel, uid=uid, listener=_Deaf(), local_audio=audio)
    return Speaker(uid, room, audio, relay.way(uid, f"{channel}-recorder"))


async def until_flowing(way: Way, packets: int = 50) -> None:
    """Wait until so many more packets have come to the relay."""
    target = way.total("came") + packets
    async with asyncio.timeout(_PATIENCE_S):
        while way.total("came") < target:  # noqa: ASYNC110 (counters tell nobody)
            await asyncio.sleep(0.01)


Harm = Callable[[Speaker, "RecordingClient"], Awaitable[None]]
"""Does harm while the recording runs."""


async def record_call(
    relay: Relay, channel: str, directory: Path, harm: Harm, together: asyncio.Barrier
) -> Recorded:
    """Record one speaker while ``harm`` is done, until that returns.

    The recording starts when all who wait at ``together`` are connected: connecting is hard work.
    """
    async with RecordingClient(relay.url, channel) as client, AsyncExitStack() as stack:
        speaker = await speak(relay, channel, channel, stack)
        await until_flowing(speaker.way)
        await together.wait()
        await client.start(directory / f"{channel}.wav")
        before = client.counted(speaker.way)
        await harm(speaker, client)
        after = client.counted(speaker.way)
        recorded = await client.stop()
        recorded.counts = {what: after[what] - before[what] for what in after}
        return recorded


@dataclass(frozen=True)
class Piece:
    """Half a second of a recording.

    Attributes:
        at_s: Where it begins.
        off_s: How much later than its place it stands.
        likeness: With what was said.
    """

    at_s: float
    off_s: float
    likeness: float


def pieces(
    pcm: Pcm, said: Pcm, *, start_s: float = 0.2, lost: Sequence[tuple[float, float]] = ()
) -> list[Piece]:
    """Cut a recording of one voice into pieces, and find each in what was said.

    The place of all is that of the first two seconds from ``start_s`` on, which must be
    undisturbed. Pieces in which nobody is heard, or half of which was ``lost`` (from and to, in
    seconds), are left out; in the others, what was lost is not compared.
    """
    first, length = round(start_s * RATE_HZ), round(_PIECE_S * RATE_HZ)
    base_s, likeness = offset_of(pcm[first : first + 2 * RATE_HZ], said, RATE_HZ)
    assert likeness > 0.9, f"the undisturbed start is not what was said ({likeness:.2f})"
    search = round(_SEARCH_S * RATE_HZ)
    arrived = np.ones(len(pcm), np.bool_)
    for from_s, to_s in lost:
        arrived[round(from_s * RATE_HZ) : round(to_s * RATE_HZ)] = False
    found = []
    for low in range(first, len(pcm) - length, length):
        piece = pcm[low : low + length]
        if np.sqrt(np.mean(piece.astype(np.float64) ** 2)) < _AUDIBLE:
            continue
        known = arrived[low : low + length]
        if known.mean() < 0.5:  # too little to recognise it by
            continue
        place = round(base_s * RATE_HZ) + low - first
        around = said[max(0, place - search) : place + length + search]
        offset_s, likeness = offset_of(piece, around, RATE_HZ, known=known)
        off_s = max(0, place - search) / RATE_HZ + offset_s - place / RATE_HZ
        found.append(Piece(low / RATE_HZ, -off_s, likeness))
    return found


def assert_in_place(found: list[Piece], *, at_least: int, within_s: float = 0.020) -> float:
    """Every piece that can be recognised is where it belongs, and nearly all can be.

    Returns:
        The largest deviation, in seconds.
    """
    known = [piece for piece in found if piece.likeness >= _ALIKE]
    assert len(known) >= at_least, f"only {len(known)} of {len(found)} pieces are recognised"
    off = [piece for piece in known if abs(piece.off_s) > within_s]
    assert not off, f"out of place: {off}"
    return max(abs(piece.off_s) for piece in known)


class _Deaf:
    """A room listener that does not listen."""

    def on_participant_joined(self, uid: str) -> None: ...
    def on_participant_left(self, uid: str, reason: str) -> None: ...
    def on_participant_recording(self, uid: str, recording: bool) -> None: ...

    def on_participant_consent(self, uid: str, agrees: bool) -> None: ...
    def on_audio(self, uid: str, track: str, frame: object) -> None: ...
    def on_muted(self, uid: str, track: str, muted: bool) -> None: ...
    def on_track_ended(self, uid: str, track: str) -> None: ...
    def on_closed(self, reason: str) -> None: ...


Scene = Callable[[], Awaitable[dict[str, Recorded]]]
"""Calls that are recorded at the same time, by name."""


@dataclass(frozen=True)
class _Take:
    recorded: dict[str, Recorded]
    lag: Lag


class Takes:
    """A scene that many tests look at, and that is played anew for those that run once more.

    What delays every packet of a scene is a fault that no test asked for. A take in which the
    machine did so until words came too late is played again, a few times; if none is better, the
    best is judged by its lag.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._takes: dict[int, _Take | BaseException] = {}

    def of(self, run: int, lag: Lag) -> dict[str, Recorded]:
        """What a test is to look at.

        Args:
            run: Which run of the test this is, from 1: each has a take of its own. One that
                failed has failed for every test, and is not tried for each of them.
            lag: Of the test; it is told what the machine cost the take.
        """
        if run not in self._takes:
            try:
                self._takes[run] = self._play()
            except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:
                self._takes[run] = error
        take = self._takes[run]
        if isinstance(take, BaseException):
            raise take
        lag.include(take.lag)
        return take.recorded

    def _play(self) -> _Take:
        takes: list[_Take] = []
        while len(takes) < _TRIES:
            with measured_lag() as lag:
                recorded = asyncio.run(_run(self._scene))
            takes.append(_Take(recorded, lag))
            print(f"the machine kept this take waiting for up to {lag.worst_s:.2f} s")  # noqa: T201
            if not lag.late_s:
                break
        best = min(takes, key=lambda take: take.lag.worst_s)
        for each in best.recorded.values():
            each.lag = best.lag
        return best


async def _run(scene: Scene) -> dict[str, Recorded]:
    # A full collection of all that a test session has gathered takes as long as a bad network.
    gc.collect()
    gc.freeze()
    try:
        return await scene()
    finally:
        gc.unfreeze()
