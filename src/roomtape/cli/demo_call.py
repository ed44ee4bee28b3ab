"""A call of four on one machine, recorded in five ways and checked against what was spoken.

Real servers, real WebRTC, real files: what the demo shows is what a user gets. Each
:class:`Scene` is one recording; as in the SDK, starting one finishes the one before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from ..analysis.alignment import Match, find_voice
from ..analysis.inspect import inspect_file
from ..analysis.plot import Lane, plot_lanes
from ..engine import RtcEngine
from ..media.local_audio import decode_mono
from ..media.pushed_audio import PushedAudio
from ..media.voices import VOICE_RATE_HZ, VOICES, load_voice
from ..rooms import WebRtcRoom
from ..server.app import RoomServer
from ..types import (
    NS_PER_S,
    AudioRecordingConfiguration,
    AudioRecordingPosition,
    ErrorCode,
    RecordingReport,
)
from ..types.clock import Clock, SystemClock
from ..types.errors import RoomtapeError
from .lag import Lag

RECORDER = "dave"
"""Who records; the other voices only talk."""

_ROOM = "demo"
_TRIES = 3
_BUSY_S = 0.1
"""Who is kept waiting for so long may be wrong for that reason."""
_PRESENT_SCORE = 0.25
"""Above it, a voice is there: measured, voices that are there score 0.4 to 1.0 ..."""
_ABSENT_SCORE = 0.15
"""... and those that are not, below 0.1."""
_TOLERANCE_S = 0.1


@dataclass(frozen=True, slots=True)
class Scene:
    """One recording.

    Attributes:
        file_name: Where to.
        seconds: How long it runs.
        lines: Who begins to speak at which second. A voice speaks for 7 to 9 seconds.
        sample_rate, position, cycle_time: As in the configuration.
    """

    file_name: str
    seconds: float
    lines: tuple[tuple[str, float], ...]
    sample_rate: int = 48000
    position: AudioRecordingPosition = AudioRecordingPosition.MIXED_RECORDING_AND_PLAYBACK
    cycle_time: int = 0


SCENES = (
    Scene("mixed.wav", 20, (("alice", 0.5), ("bob", 4.0), (RECORDER, 7.5), ("carol", 10.5))),
    Scene("mixed.aac", 14, (("bob", 0.5), ("carol", 2.5), (RECORDER, 4.5)), sample_rate=32000),
    Scene(
        "local.wav",
        13,
        (("alice", 0.5), (RECORDER, 3.0)),
        position=AudioRecordingPosition.RECORDING,
    ),
    Scene(
        "remote.aac",
        14,
        (("carol", 0.5), (RECORDER, 1.5), ("alice", 3.5)),
        sample_rate=44100,
        position=AudioRecordingPosition.MIXED_PLAYBACK,
    ),
    # alice speaks before the last ten seconds begin: she must not be in the file.
    Scene("last10.wav", 20.5, (("alice", 0.3), ("bob", 11.5)), sample_rate=16000, cycle_time=10),
)


@dataclass(frozen=True, slots=True)
class VoiceCheck:
    """Whether a voice is where it should be.

    Attributes:
        voice: Whose.
        expected_s: Where it should begin in the file; None if it must not be there.
        match: Where it was found.
    """

    voice: str
    expected_s: float | None
    match: Match

    @property
    def heard(self) -> bool:
        return self.match.score >= (_ABSENT_SCORE if self.expected_s is None else _PRESENT_SCORE)

    @property
    def offset_ms(self) -> float:
        return (self.match.offset_s - (self.expected_s or 0)) * 1000

    @property
    def ok(self) -> bool:
        if self.expected_s is None:
            return not self.heard
        return self.heard and abs(self.match.offset_s - self.expected_s) <= _TOLERANCE_S


@dataclass(frozen=True)
class SceneResult:
    """A recording, and how it compares with what was spoken."""

    path: Path
    duration_s: float
    expected_s: float
    spoken: dict[str, float]
    """When each voice began, in seconds from sample 0 of the file."""
    checks: tuple[VoiceCheck, ...]
    report: RecordingReport
    damage: tuple[str, ...]
    busy: str = ""
    """What the machine may have to do with it, in words."""

    @property
    def faults(self) -> list[str]:
        """What is wrong, in words."""
        faults = [f"damaged: {words}" for words in self.damage]
        if abs(self.duration_s - self.expected_s) > _TOLERANCE_S:
            faults.append(f"it is {self.duration_s:.2f} s long instead of {self.expected_s:.2f} s")
        for check in self.checks:
            if check.ok:
                continue
            if check.expected_s is None:
                faults.append(f"{check.voice} is heard but must not be")
            elif not check.heard:
                faults.append(f"{check.voice} is missing (match {check.match.score:.2f})")
            else:
                faults.append(f"{check.voice} is {check.offset_ms:+.0f} ms off")
        return faults


async def run_demo(out: Path, *, say: Callable[[str], object]) -> list[SceneResult]:
    """Hold the call and record it into ``out``.

    Args:
        out: Made if need be. Files of an earlier demo are replaced.
        say: Is told what happens.

    Raises:
        RoomtapeError: Something could not be started. (What is *wrong* is in the results.)
    """
    _clear(out)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(RoomServer("127.0.0.1", 0))
        say(f"room server on {server.url}")
        mouths = {name: PushedAudio() for name in VOICES}
        engines: dict[str, RtcEngine] = {}
        for name in VOICES:
            engine = await stack.enter_async_context(RtcEngine(WebRtcRoom(server.url)))
            engines[name] = engine
            await engine.set_local_audio(mouths[name])
            if await engine.join_channel(None, _ROOM, name) is not ErrorCode.OK:
                raise RoomtapeError(f"{name} cannot join: {engine.last_error}")
            say(f"{name} joined")
        # Let everybody's connection to everybody be set up before the first word.
        await clock.sleep_until(clock.now_ns() + 3 * NS_PER_S)
        return [await _try(scene, out, engines[RECORDER], mouths, clock, say) for scene in SCENES]


async def _try(
    scene: Scene,
    out: Path,
    engine: RtcEngine,
    mouths: dict[str, PushedAudio],
    clock: Clock,
    say: Callable[[str], object],
) -> SceneResult:
    """Play a scene; again, if what is wrong with it may be the machine's doing."""
    for left in reversed(range(_TRIES)):
        async with Lag(clock) as lag:
            result = await _play(scene, out, engine, mouths, clock, say)
        if not result.faults or lag.worst_s < _BUSY_S:
            return result
        busy = f"this machine is busy: it kept the call waiting for {lag.worst_s:.2f} s"
        if not left:
            return replace(result, busy=busy)
        say(f"{busy}; once more")
        for name in VOICES:
            mouths[name].clear()
        result.path.unlink(missing_ok=True)
    raise AssertionError("a scene is tried at least once")


async def _play(
    scene: Scene,
    out: Path,
    engine: RtcEngine,
    mouths: dict[str, PushedAudio],
    clock: Clock,
    say: Callable[[str], object],
) -> SceneResult:
    config = AudioRecordingConfiguration(
        str(out / scene.file_name),
        sample_rate=scene.sample_rate,
        position=scene.position,
        cycle_time=scene.cycle_time,
    )
    if await engine.start_audio_recording_with_config(config) is not ErrorCode.OK:
        raise RoomtapeError(engine.last_error)
    start_ns = clock.now_ns()
    say(f"recording {scene.file_name} for {scene.seconds:.0f} s")
    spoken: dict[str, float] = {}
    for name, at_s in scene.lines:
        await clock.sleep_until(start_ns + round(at_s * NS_PER_S))
        spoken[name] = (clock.now_ns() - start_ns) / NS_PER_S
        mouths[name].push(load_voice(name), VOICE_RATE_HZ)
        say(f"  {name} speaks")
    await clock.sleep_until(start_ns + round(scene.seconds * NS_PER_S))
    length_s = (clock.now_ns() - start_ns) / NS_PER_S
    await engine.stop_audio_recording()
    report = engine.last_recording_report
    if report is None or report.error:
        raise RoomtapeError(f"{scene.file_name}: {engine.last_error}")
    return await asyncio.to_thread(_check, scene, config.path, report, spoken, length_s)


def _check(
    scene: Scene, path: Path, report: RecordingReport, spoken: dict[str, float], length_s: float
) -> SceneResult:
    inspection = inspect_file(path)
    skipped_s = max(0.0, length_s - scene.cycle_time) if scene.cycle_time else 0.0
    recording = decode_mono(path, scene.sample_rate)
    starts = {name: at_s - skipped_s for name, at_s in spoken.items()}
    checks = []
    for name in VOICES:
        voice = load_voice(name, scene.sample_rate)
        ends_s = starts.get(name, -1.0) + len(voice) / scene.sample_rate
        wanted = {
            AudioRecordingPosition.MIXED_RECORDING_AND_PLAYBACK: True,
            AudioRecordingPosition.RECORDING: name == RECORDER,
            AudioRecordingPosition.MIXED_PLAYBACK: name != RECORDER,
        }[scene.position]
        present = name in starts and wanted and ends_s > 0.5
        match = find_voice(recording, voice, scene.sample_rate)
        checks.append(VoiceCheck(name, starts[name] if present else None, match))
    return SceneResult(
        path=path,
        duration_s=inspection.duration_s,
        expected_s=min(length_s, scene.cycle_time) if scene.cycle_time else length_s,
        spoken=starts,
        checks=tuple(checks),
        report=report,
        damage=tuple(inspection.damage),
    )


def draw_picture(result: SceneResult, png: Path) -> Path:
    """One lane a participant, as spoken, over the mix, as recorded."""
    by_name = {source.name: source for source in result.report.sources}
    lanes = []
    for name in VOICES:
        source = by_name.get(name)
        lanes.append(
            Lane(
                name,
                load_voice(name),
                VOICE_RATE_HZ,
                start_s=result.spoken.get(name, 0.0),
                intervals=source.intervals if source else (),
                note="records" if name == RECORDER else "",
            )
        )
    rate_hz = result.report.sample_rate
    mix = Lane("mix", decode_mono(result.path, rate_hz), rate_hz, note=result.path.name)
    plot_lanes(lanes, mix, png, f"{result.path.name}: who spoke when, and the mix")
    return png


def _clear(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in (*(scene.file_name for scene in SCENES), "mixed.png"):
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise RoomtapeError(f"cannot write to {out}: {(error.strerror or '').lower()}") from None
