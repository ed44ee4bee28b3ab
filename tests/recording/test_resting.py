"""Where nothing happens, little is done: silence is not encoded, and beats are left out. What is
recorded is the same."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.audio import aac
from roomtape.audio.timing.playout import SPEECH_BLOCK_S
from roomtape.recording import scheduler
from roomtape.recording.sources.source import Source
from roomtape.types import Interval
from roomtape.types.clock import ScriptedClock
from support.readers import read_all
from support.signals import noise, speech

FRAME_HZ = 50
VOICES = ("alice", "bob", "carol")


class Turn(NamedTuple):
    """Somebody speaks for a while, and may send digital silence for a while after it.

    Attributes:
        at: In frames from the START, as everything here.
        frames: How long.
        hush: How many silent frames come then.
        rate_hz: Of all of them.
    """

    who: int
    at: int
    frames: int
    hush: int
    rate_hz: int


def script(dice: random.Random, rates_hz: tuple[int, ...]) -> tuple[list[Turn], int]:
    """Turns of two or three people with long pauses between them, and when it ends."""
    people = dice.choice([2, 3])
    turns, at = [], dice.randrange(0, 400)
    for _ in range(dice.randrange(2, 6)):
        frames = dice.choice([1, 2, 7, 40, 130])
        hush = dice.choice([0, 0, 3, 60])
        turns.append(Turn(dice.randrange(people), at, frames, hush, dice.choice(rates_hz)))
        at += frames + hush + dice.choice([0, 13, 70, 333, 700])
    return turns, at + dice.randrange(0, 300)


async def record(
    path: Path, turns: list[Turn], ends: int, **config: object
) -> tuple[list[object], list[Interval]]:
    """Play it. What was told, and what the report says of each source; and its intervals."""
    clock = ScriptedClock()
    told: list[object] = []
    recorder = AudioRecorder(
        AudioRecordingConfiguration(path, **config),
        on_event=lambda event: told.append(event.code),
        clock=clock,
    )
    await recorder.start()
    sources: dict[int, Source] = {}
    for tick in range(ends):
        for turn in turns:
            since = tick - turn.at
            if not 0 <= since < turn.frames + turn.hush:
                continue
            if turn.who not in sources:
                sources[turn.who] = recorder.add_source(VOICES[turn.who])
            frame = turn.rate_hz // FRAME_HZ
            said = speech(VOICES[turn.who], 3.0, turn.rate_hz)[since * frame :][:frame]
            pcm = said if since < turn.frames else np.zeros(frame, np.int16)
            sources[turn.who].push(pcm, turn.rate_hz, tick * frame, gap_is_silence=True)
        await clock.advance(1 / FRAME_HZ)
    report = await recorder.stop()
    told += [(each.name, each.lost_s, each.late_s, each.samples) for each in report.sources]
    return told, [interval for each in report.sources for interval in each.intervals]


def assert_alike(one: list[Interval], other: list[Interval]) -> None:
    """The same, but for where the tenths of a second begin in which speech is looked for."""
    assert [each.kind for each in one] == [each.kind for each in other]
    for mine, theirs in zip(one, other, strict=True):
        assert abs(mine.start_s - theirs.start_s) <= SPEECH_BLOCK_S
        assert abs(mine.end_s - theirs.end_s) <= SPEECH_BLOCK_S


def never_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_SETTLES", 1 << 60)
    monkeypatch.setattr(aac, "_SETTLES", 1 << 60)


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_recorded_is_the_same(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dice = random.Random(seed)
    rate_hz = dice.choice([16000, 32000, 44100, 48000])
    turns, ends = script(dice, (rate_hz,))
    suffix = dice.choice([".wav", ".aac"])
    config = {"sample_rate": rate_hz, "channels": dice.choice([1, 1, 2])}
    paths = [tmp_path / f"{name}{suffix}" for name in ("resting", "never")]
    told, intervals = await record(paths[0], turns, ends, **config)
    never_rest(monkeypatch)
    never_told, never_intervals = await record(paths[1], turns, ends, **config)
    assert told == never_told
    assert_alike(intervals, never_intervals)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_resampled_is_the_same_within_one(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    turns, ends = script(random.Random(seed), (16000, 48000, 8000))
    paths = [tmp_path / f"{name}.wav" for name in ("resting", "never")]
    told, intervals = await record(paths[0], turns, ends, sample_rate=32000)
    never_rest(monkeypatch)
    never_told, never_intervals = await record(paths[1], turns, ends, sample_rate=32000)
    assert told == never_told
    assert_alike(intervals, never_intervals)
    one, other = (read_all(path)[0].astype(int) for path in paths)
    assert len(one) == len(other)
    assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize("after_s", [3.0, 3.1, 3.3, 3.5, 3.7, 3.9, 4.02])
async def test_no_kill_costs_more_than_a_second_of_sound(after_s: float, tmp_path: Path):
    """Nobody has said anything for long when somebody begins to speak."""
    clock, path = ScriptedClock(), tmp_path / "a.wav"
    recorder = AudioRecorder(AudioRecordingConfiguration(path, sample_rate=16000), clock=clock)
    await recorder.start()
    source = recorder.add_source("alice")
    await clock.advance(after_s)
    said = noise(1, 3.0, 16000)
    for at in range(0, len(said), 320):
        source.push(said[at : at + 320], 16000)
        await clock.advance(0.02)
        on_disk = np.frombuffer(path.read_bytes(), np.int16, offset=0)
        heard = np.flatnonzero(on_disk == said[0])  # where the first of it stands, if it does
        spoken_s = (at + 320) / 16000
        kept_s = (len(on_disk) - heard[-1]) / 16000 if len(heard) else 0.0
        assert spoken_s - kept_s <= 1.0
    await recorder.stop()


@pytest.mark.parametrize("after_s", [6.05, 6.3, 6.5, 6.9])
async def test_a_save_is_done_as_soon_as_ever(
    after_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def took_s(name: str) -> float:
        clock, saved = ScriptedClock(), tmp_path / f"{name} saved.wav"
        config = AudioRecordingConfiguration(tmp_path / f"{name}.wav", sample_rate=16000)
        recorder = AudioRecorder(config, clock=clock)
        await recorder.start()
        recorder.add_source("alice")
        await clock.advance(after_s)
        asked = asyncio.ensure_future(recorder.save(saved, last_s=3))
        steps = 0
        while not saved.exists():
            await clock.advance(0.02)
            steps += 1
        await asked
        assert len(read_all(saved)[0]) == 3 * 16000
        await recorder.stop()
        return steps * 0.02

    resting_s = await took_s("resting")
    never_rest(monkeypatch)
    assert resting_s <= await took_s("never") + 0.2
