"""People who are recorded with stems, twice: once to be turned (live, cyclic again), once not."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np

from roomtape import AudioRecorder, AudioRecordingConfiguration, RecordingReport
from roomtape.types import Pcm, RecordingEvent
from roomtape.types.clock import ScriptedClock
from support.readers import read_all
from support.saved_parts import FRAME
from support.signals import noise

RATE = 16000
COMPLETE_S = 2.5
"""A demotion is complete then: the stems come a second at once, and the mix half a second late."""


class Call:
    """People who are recorded twice with a stem of each: to be turned, and, to compare with, live
    from the beginning to the end."""

    def __init__(self, directory: Path, suffix: str, *, disk: Any = None, **how: Any) -> None:
        self.clock = ScriptedClock()
        self.events: list[RecordingEvent] = []
        self.suffix = suffix
        self.place = directory / "call"
        self.whole, self.recorder = (
            AudioRecorder(
                AudioRecordingConfiguration(
                    directory / name / f"call.{suffix}",
                    sample_rate=RATE,
                    stems=directory / name / "stems",
                    **config,
                ),
                on_event=listener,
                clock=self.clock,
                disk=on,
            )
            for name, config, listener, on in (
                ("whole", {"channels": how.get("channels", 1)}, None, None),
                ("call", how, self.events.append, disk),
            )
        )
        self.there: dict[str, list[Any]] = {}
        self.voices: dict[str, Pcm] = {}

    async def start(self) -> None:
        for each in (self.whole, self.recorder):
            each.path.parent.mkdir(parents=True, exist_ok=True)
            await each.start()

    def join(self, name: str) -> None:
        self.voices[name] = noise(len(self.voices), 3, RATE) // 8
        self.there[name] = [
            each.add_source(name, local=name == "me") for each in (self.whole, self.recorder)
        ]

    def leave(self, name: str) -> None:
        for source in self.there.pop(name):
            source.close()

    async def talk(self, seconds: float) -> None:
        """In steps of 0.1 s."""
        for _ in range(round(seconds * 10)):
            at = round(self.clock.now_ns() / 1e9 * RATE)
            for name, sources in self.there.items():
                said = self.voices[name][np.arange(at, at + RATE // 10) % (3 * RATE)]
                for source in sources:
                    source.push(said, RATE, at)
            await self.clock.advance(0.1)

    async def demote(self, cycle_time: int | None = None) -> RecordingReport:
        return await self.answer(self.recorder.demote(cycle_time))

    async def answer(self, asked: Coroutine[Any, Any, RecordingReport]) -> RecordingReport:
        """While they talk on."""
        task = asyncio.ensure_future(asked)
        await asyncio.sleep(0)
        await self.talk(COMPLETE_S)
        return await asyncio.wait_for(task, 60)

    async def stop(self) -> tuple[RecordingReport, RecordingReport]:
        return await self.whole.stop(), await self.recorder.stop()

    @property
    def codes(self) -> list[Any]:
        return [each.code for each in self.events]


def plain(stem: str | Path) -> str:
    """Whose it is: ``002-bob`` for ``002-bob-003.wav``."""
    return "-".join(Path(stem).stem.split("-")[:2])


def check_part(report: RecordingReport, whole: RecordingReport, *, projects: bool = True) -> None:
    """The stems of one file are the whole recording's, at its samples, and sum to it."""
    suffix = Path(report.file_path).suffix
    wholes = {plain(each): Path(each) for each in whole.stems}
    mix, _ = read_all(report.file_path)
    first = round(report.skipped_s * RATE)
    lead = FRAME if suffix == ".aac" else 0  # a decoder needs a frame to begin
    summed = np.zeros(len(mix), int)
    for stem in report.stems:
        ours, _ = read_all(stem)
        theirs, _ = read_all(wholes.pop(plain(stem)))
        assert len(ours) == len(mix), stem
        near = np.abs(ours[lead:].astype(int) - theirs[first + lead : first + len(ours)])
        assert near.max(initial=0) <= (1 if lead else 0), stem
        summed += ours
    for left in wholes.values():  # of whom nothing is in this file
        theirs, _ = read_all(left)
        assert not theirs[first + 2 * lead : first + len(mix) - 2 * lead].any(), left
    if suffix == ".wav":
        one = mix.astype(int) if mix.ndim == 1 else mix.astype(int).sum(axis=1)
        assert np.abs(summed - one).max(initial=0) <= (1 if mix.ndim == 1 else 2)
    assert {source.stem for source in report.sources if source.stem} == {*report.stems}
    if report.stems:
        for project in map(Path, report.projects):
            assert project.stem == Path(report.file_path).stem
            named = [line for line in project.read_text().splitlines() if suffix in line.lower()]
            for stem in report.stems:
                assert any(f'"{Path(stem).name}"' in line for line in named), project
    if projects:
        assert len(report.projects) == (2 if report.stems else 0)
