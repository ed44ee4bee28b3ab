"""audio/level.py: quiet and loud speakers are as loud as each other, and noise is left alone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.audio.arrays import Samples
from roomtape.audio.level import BLOCK_HZ, MOST_GAIN_DB, STEP_DB, TARGET_LUFS, Level, LevelledVoice
from roomtape.types import Pcm
from roomtape.types.clock import ScriptedClock
from support.damage import write_wav
from support.readers import read_all
from support.signals import noise, speech, tone

SETTLED_S = 12


class Said:
    """What somebody says, for a mixer."""

    steady = None

    def __init__(self, pcm: Samples | Pcm, rate_hz: int, head: int = 0) -> None:
        self.rate_hz = rate_hz
        self._pcm = np.concatenate([np.zeros(head, np.float32), pcm.astype(np.float32)])
        self._head = head

    @property
    def done(self) -> bool:
        return self._head >= len(self._pcm)

    def add_to(self, total: Samples, stop: int) -> None:
        total += self._pcm[self._head : stop]
        self._head = stop


def levelled(pcm: Samples | Pcm, rate_hz: int, *, pieces: tuple[int, ...] = (9600,)) -> Samples:
    voice, at, made = LevelledVoice(Said(pcm, rate_hz), Level()), 0, []
    while at < len(pcm):
        count = min(pieces[len(made) % len(pieces)], len(pcm) - at)
        made.append(np.zeros(count, np.float32))
        at += count
        voice.add_to(made[-1], at)
    return np.concatenate(made)


def loudness(samples: Samples, rate_hz: int, folder: Path) -> float:
    """By EBU R 128, in LUFS, as FFmpeg measures it."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("there is no ffmpeg on this machine")
    pcm = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    path = write_wav(folder / "heard.wav", pcm, rate_hz)
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(path)]
    # One channel is heard by two loudspeakers, unless it says so: that would be 3 LU more.
    command += ["-af", "ebur128", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = re.findall(r"I:\s+(-?[\d.]+) LUFS", said)
    return float(found[-1])


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
@pytest.mark.parametrize("name", ["alice", "bob", "carol", "dave"])
def test_quiet_and_loud_speakers_come_together(name: str, rate_hz: int, tmp_path: Path) -> None:
    said = speech(name, 30.0, rate_hz).astype(np.float32)
    usual = loudness(said, rate_hz, tmp_path)
    for wanted in (-39.0, -30.0, -23.0, -15.0, -8.0):
        heard = levelled(said * 10 ** ((wanted - usual) / 20), rate_hz)
        settled = heard[SETTLED_S * rate_hz :] / 4  # which may be above full scale
        assert abs(loudness(settled, rate_hz, tmp_path) + 12.04 - TARGET_LUFS) < 1.5, wanted


def test_what_is_far_off_is_turned_up_by_so_much_and_no_more(tmp_path: Path) -> None:
    said = speech("alice", 30.0, 16000).astype(np.float32)
    quiet = said * 10 ** ((-48.0 - loudness(said, 16000, tmp_path)) / 20)
    heard = levelled(quiet, 16000)
    gain = heard[-16000:][quiet[-16000:] != 0] / quiet[-16000:][quiet[-16000:] != 0]
    assert 20 * np.log10(gain.max()) <= MOST_GAIN_DB + 1e-3
    assert 20 * np.log10(gain.min()) > MOST_GAIN_DB - 1


def test_the_gain_moves_slowly_and_stays_in_pauses(tmp_path: Path) -> None:
    said = speech("bob", 8.0, 16000).astype(np.float32) / 10
    fan = noise(1, 20.0, 16000, dbfs=-60).astype(np.float32)
    heard = levelled(np.concatenate([said, fan]), 16000)
    whole = np.concatenate([said, fan])
    known = np.abs(whole) > 3
    at = np.flatnonzero(known)
    gain_db = 20 * np.log10(heard[known] / whole[known])
    blocks = np.unique(at // 1600)
    gains = np.array([gain_db[at // 1600 == block].mean() for block in blocks])
    assert np.abs(np.diff(gains)[np.diff(blocks) == 1]).max() < 1.2 * STEP_DB
    after = gain_db[at >= len(said) + 1600]
    assert np.ptp(after) < 0.01
    assert after.mean() > 3


@pytest.mark.parametrize("dbfs", [-70, -45, -30])
def test_noise_that_never_stops_is_not_turned_up(dbfs: float) -> None:
    fan = noise(2, 20.0, 16000, dbfs=dbfs)
    assert np.array_equal(levelled(fan, 16000), fan)


def test_in_how_many_pieces_it_comes_makes_no_difference() -> None:
    said = speech("carol", 9.0, 48000).astype(np.float32) / 8
    whole = levelled(said, 48000)
    for pieces in ((480,), (9600, 1, 4799), (48000,), (100_000,)):
        assert np.array_equal(levelled(said, 48000, pieces=pieces), whole)


def test_a_tone_is_as_loud_as_the_recommendation_says(tmp_path: Path) -> None:
    """A sine of 997 Hz at full scale is at -3.01 LKFS; and other tones as FFmpeg finds."""
    for rate_hz, hz in ((48000, 997), (16000, 997), (48000, 60), (48000, 6000), (44100, 2500)):
        sine, level = tone(hz, 1.0, rate_hz, dbfs=-6.0).astype(np.float32), Level()
        heard: list[float] = []
        level.hear = lambda ms, to=heard: to.append(ms) or 0.0  # type: ignore
        LevelledVoice(Said(sine, rate_hz), level).add_to(np.zeros(rate_hz, np.float32), rate_hz)
        lufs = -0.691 + 10 * np.log10(np.mean(heard[1:]))
        assert abs(lufs - loudness(np.tile(sine, 4), rate_hz, tmp_path)) < 0.25
    assert len(heard) == BLOCK_HZ


async def recorded(path: Path, **config: object) -> tuple[Pcm, bool]:
    """A quiet and a loud speaker, in turn, with a stem of each."""
    clock = ScriptedClock()
    recorder = AudioRecorder(
        AudioRecordingConfiguration(path, sample_rate=16000, stems=path.parent / "stems", **config),
        clock=clock,
    )
    await recorder.start()
    voices = [speech("alice", 40.0, 16000) // 8, speech("bob", 40.0, 16000) // 2]
    sources = [recorder.add_source(name) for name in ("alice", "bob")]
    for at in range(0, 40 * 16000, 320):
        turn = at // 80_000 % 2
        for number, (source, voice) in enumerate(zip(sources, voices, strict=True)):
            pcm = voice[at : at + 320] if number == turn else np.zeros(320, np.int16)
            source.push(pcm, 16000, at)
        await clock.advance(0.02)
    report = await recorder.stop()
    return read_all(path)[0], report.level


async def test_a_recording_is_levelled_if_asked_and_says_so(tmp_path: Path) -> None:
    for name in ("off", "on"):
        (tmp_path / name).mkdir()
    off, said_off = await recorded(tmp_path / "off" / "a.wav")
    on, said_on = await recorded(tmp_path / "on" / "a.wav", level=True)
    assert (said_off, said_on) == (False, True)
    assert len(on) == len(off)
    turns = [slice(number * 80_000 + 16000, number * 80_000 + 80_000) for number in (6, 7)]
    before, after = (
        [loudness(pcm[turn].astype(np.float32), 16000, tmp_path) for turn in turns]
        for pcm in (off, on)
    )
    assert before[1] - before[0] > 9
    assert abs(after[1] - after[0]) < 3
    stems = [
        read_all(path)[0].astype(int) for path in sorted((tmp_path / "on/stems").glob("*.wav"))
    ]
    assert np.abs(sum(stems) - on.astype(int)).max() <= 1
