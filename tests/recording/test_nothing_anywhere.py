"""No sample that must not be recorded is anywhere: random decisions, and every byte on the disk
searched; what is on the disk at any moment, what is recovered of it, and what a kill leaves.

``ROOMTAPE_EXAMPLES=1000`` tries a thousand of each.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration, Forgotten, RoomtapeError
from roomtape.storage.recover import recover
from roomtape.types.clock import ScriptedClock
from support.examples import examples
from support.processes import SUPPORT
from support.program import roomtape_environment
from support.readers import read_all
from support.secret_bands import MOST_EPOCHS, QUIET, SECRET, band, holds, who_holds

RATE = 16000
STEP = RATE // 10
NAMES = ("alice", "bob", "carol")
LEAST_BYTES = 1000
"""FFmpeg does not take a frame or two for a file."""
LOUD = 2500
"""Only bob is, and a decoder lets a tone overshoot."""
ACTS = [
    *("exclude", "include", "mask", "unmask", "agree", "agree", "withdraw"),
    *("pause", "resume", "resume", "save", "promote", "demote", "crash"),
    *("forget", "forget what is being saved", "speak", "speak"),
]


class Script:
    """One random recording; bob is the one who is forgotten."""

    def __init__(self, directory: Path, seed: int, *, suffix: str = "wav") -> None:
        self.directory = directory
        self.suffix = suffix
        self.chance = chance = random.Random(seed)
        self.clock = ScriptedClock()
        options: dict[str, Any] = {"cycle_time": chance.choice([0, 10])}
        if chance.random() < 0.5:
            options["stems"] = directory / "stems"
        if not options["cycle_time"] and chance.random() < 0.3:
            options["split_s"] = 2
        if chance.random() < 0.3:
            options["channels"] = 2
        if chance.random() < 0.3:
            options["consent"] = "required"
        config = AudioRecordingConfiguration(directory / f"a.{suffix}", sample_rate=RATE, **options)
        self.recorder = AudioRecorder(config, clock=self.clock)
        self.said = self.epoch = self.number = 0
        self.gone: dict[int, set[str]] = {}
        """What was forgotten, and the files in which it may still be."""
        self.places: list[tuple[Path, dict[int, set[str]]]] = []
        self.tasks: list[asyncio.Future[Any]] = []

    async def run(self) -> None:
        await self.recorder.start()
        self.sources = {name: self.recorder.add_source(name) for name in NAMES}
        for self.number in range(30):
            await self.decide()
            for _ in range(self.chance.randrange(1, 8)):
                await self.speak()
        await self.recorder.stop()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.places.append((self.directory, self.gone))

    async def decide(self) -> None:
        recorder, name = self.recorder, self.chance.choice(NAMES)
        act = self.chance.choice(ACTS)
        match act:
            case "pause":
                recorder.pause(self.chance.choice(["silence", "tone", "skip"]))
            case "resume":
                recorder.resume()
            case "forget":
                await self.forget()
            case "save":
                path = self.directory / f"part-{self.number}.{self.suffix}"
                self.begin(recorder.save(path, last_s=3, then_s=self.chance.choice([0, 0, 1])))
            case "forget what is being saved":
                path = self.directory / f"running-{self.number}.{self.suffix}"
                self.begin(recorder.save(path, last_s=3, then_s=1))
                await self.speak()
                await self.forget()
            case "promote":
                path = self.directory / f"live-{self.number}.{self.suffix}"
                self.begin(recorder.promote(path))
            case "demote":
                self.begin(recorder.demote(10))
            case "crash":  # what a kill at this moment would leave
                copy = self.directory.with_name(f"{self.directory.name}-{self.number}")
                shutil.copytree(self.directory, copy)
                self.places.append((copy, {value: {*files} for value, files in self.gone.items()}))
            case "speak":
                pass
            case _:
                getattr(recorder, act)(name)

    def begin(self, work: Any) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    async def forget(self) -> None:
        if self.epoch == MOST_EPOCHS - 1:
            return  # he has nothing else to say
        await asyncio.sleep(0)  # what was begun has begun
        forgotten = await self.recorder.forget("bob")
        assert isinstance(forgotten, Forgotten)
        files = {str(Path(each).relative_to(self.directory)) for each in forgotten.still_in}
        self.gone[band(self.epoch)] = files | self.gone.get(band(self.epoch), set())
        self.check()
        self.epoch += 1

    def check(self) -> None:
        for value, allowed in self.gone.items():
            assert_gone(self.directory, value, allowed)

    async def speak(self) -> None:
        for name, source in self.sources.items():
            out = self.recorder._discretion.in_place_of(name) is not None
            allowed = band(self.epoch) if name == "bob" else QUIET
            source.push(np.full(STEP, SECRET if out else allowed, np.int16), RATE, self.said)
        self.said += STEP
        await self.clock.advance(0.1)


class AacScript(Script):
    """Searched by ear: right after bob is forgotten, nobody else can have been loud."""

    def __init__(self, directory: Path, seed: int) -> None:
        super().__init__(directory, seed, suffix="aac")
        self.scratch = directory.with_name("scratch")

    def check(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        shutil.copytree(self.directory, self.scratch)
        recover_all(self.scratch)
        allowed = set[str]().union(*self.gone.values())
        for path in self.scratch.rglob("*.aac"):
            name = str(path.relative_to(self.scratch))
            if path.stat().st_size > LEAST_BYTES and not {name, plain_name(name)} & allowed:
                pcm, _ = read_all(path)
                assert not np.any(np.abs(pcm.astype(int)) > LOUD), (name, self.number)


def plain_name(name: str) -> str:
    """What a file was called before its name was taken: ``a.wav`` for ``a.1.wav``."""
    return re.sub(r"\.\d+(?=\.\w+$)", "", name)


def assert_gone(directory: Path, value: int, allowed: set[str]) -> None:
    """It is nowhere but in these files, whose names were taken from some since (``a.1.wav``)."""
    for path in who_holds(directory, value):
        name = str(path.relative_to(directory))
        assert name in allowed or plain_name(name) in allowed, (name, value)


def recover_all(directory: Path) -> None:
    """As a user would after a crash."""
    for ring in [*directory.glob("*.ring")]:
        with suppress(RoomtapeError):  # killed before anything was written
            suffix = ".aac" if ".aac" in ring.suffixes else ".wav"
            recover(ring, directory / f"{ring.name}.recovered{suffix}")


@pytest.mark.parametrize("seed", range(examples(40).max_examples))
async def test_whatever_is_decided(tmp_path: Path, seed: int) -> None:
    directory = tmp_path / "call"
    directory.mkdir()
    script = Script(directory, seed)
    await script.run()
    for place, gone in script.places:
        recover_all(place)
        assert not who_holds(place, SECRET)
        for value, allowed in gone.items():
            assert_gone(place, value, allowed)


@pytest.mark.parametrize("seed", range(examples(20).max_examples))
async def test_whatever_is_decided_of_aac(tmp_path: Path, seed: int) -> None:
    directory = tmp_path / "call"
    directory.mkdir()
    script = AacScript(directory, seed)
    await script.run()


@pytest.mark.realtime
@pytest.mark.parametrize("seed", range(examples(6).max_examples))
def test_whenever_the_process_is_killed(tmp_path: Path, seed: int) -> None:
    directory, chance = tmp_path / "call", random.Random(seed)
    directory.mkdir()
    with subprocess.Popen(
        [sys.executable, str(SUPPORT / "forgetting_recorder.py"), str(directory), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        env={**roomtape_environment(), "PYTHONPATH": str(SUPPORT.parent)},
    ) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            time.sleep(chance.uniform(0, 7))
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        finally:
            process.kill()
            process.wait()
    told = [json.loads(line) for line in lines if line.endswith("\n")]
    assert told
    assert process.returncode == -signal.SIGKILL
    recover_all(directory)
    assert not who_holds(directory, SECRET)
    for each in told:
        if "forgotten" in each:
            allowed = {Path(path).name for path in each["still_in"]}
            assert_gone(directory, each["forgotten"], allowed)


def test_the_search_finds_what_it_is_to_find() -> None:
    for channels in (1, 2):
        for start in (0, 2, 4):
            pcm = np.zeros((400, channels), "<i2")
            pcm[100:140, -1] = band(2) + 40
            data = bytes(start) + pcm.tobytes()
            assert holds(data, band(2))
            assert not holds(data, band(1))
            assert not holds(data, SECRET)
