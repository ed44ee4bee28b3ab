"""Stems: one file a participant and stay beside the mix, as long as it, with the same sample 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration
from roomtape.types import Pcm, RecordingReport
from roomtape.types.clock import ScriptedClock
from support.readers import read_all, read_ffmpeg
from support.scripted_recording import listing
from support.signals import noise, offset_of, speech

RATE = 48000
STEP = RATE // 5


class Call:
    """Participants who come, speak and go, on a scripted clock."""

    def __init__(self, path: Path, **config: Any) -> None:
        self.clock = ScriptedClock()
        settings = {"sample_rate": RATE, "stems": path.parent / "stems"} | config
        self.recorder = AudioRecorder(
            AudioRecordingConfiguration(path, **settings), clock=self.clock
        )
        self._speaking: dict[Any, tuple[Pcm, int, int]] = {}

    def join(self, name: str, voice: Pcm, rate: int = RATE, *, local: bool = False) -> Any:
        source = self.recorder.add_source(name, local=local)
        self._speaking[source] = (voice, rate, 0)
        return source

    def leave(self, source: Any) -> None:
        del self._speaking[source]
        source.close()

    async def talk(self, seconds: float) -> None:
        for _ in range(round(seconds * 5)):
            for source, (voice, rate, at) in self._speaking.items():
                stop = at + rate // 5
                source.push(voice[at:stop], rate, at)
                self._speaking[source] = (voice, rate, stop)
            await self.clock.advance(STEP / RATE)

    async def end(self) -> RecordingReport:
        return await self.recorder.stop()


def stems_of(report: RecordingReport) -> list[Path]:
    return [Path(each) for each in report.stems]


async def test_stems_line_up_with_the_mix_and_sum_to_it(tmp_path: Path):
    """One is there all the time, one comes late, one comes, goes, and comes again."""
    alice, bob, carol, again = (noise(seed, 12) // 4 for seed in range(4))
    call = Call(tmp_path / "call.wav")
    await call.recorder.start()
    call.join("alice", alice, local=True)
    first = call.join("carol", carol)
    await call.talk(2)
    call.leave(first)
    await call.talk(3)
    call.join("bob", bob)
    await call.talk(2)
    call.join("carol", again)
    await call.talk(3)
    report = await call.end()
    names = ["001-alice.wav", "002-carol.wav", "003-bob.wav", "004-carol.wav"]
    assert [path.name for path in stems_of(report)] == names
    assert [Path(source.stem).name for source in report.sources] == names
    mix, _ = read_all(tmp_path / "call.wav")
    stems = [read_all(path)[0] for path in stems_of(report)]
    assert {len(stem) for stem in stems} == {len(mix)} == {10 * RATE}
    assert np.array_equal(np.sum(stems, axis=0), mix)
    wanted = np.zeros((4, 10 * RATE), np.int16)
    wanted[0] = alice[: 10 * RATE]
    wanted[1, : 2 * RATE] = carol[: 2 * RATE]
    wanted[2, 5 * RATE :] = bob[: 5 * RATE]
    wanted[3, 7 * RATE :] = again[: 3 * RATE]
    assert np.array_equal(stems, wanted)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
async def test_stems_that_are_resampled_sum_to_the_mix_within_one_step(rate: int, tmp_path: Path):
    """Each rounded by itself, twelve of them would be up to six steps off."""
    call = Call(tmp_path / "call.wav", sample_rate=rate)
    await call.recorder.start()
    for number in range(12):
        source_rate = (48000, 32000, 8000, 44100)[number % 4]
        call.join(str(number), noise(number, 4, source_rate) // 16, source_rate)
    quiet = call.join("quiet", np.zeros(4 * RATE, np.int16))
    await call.talk(4)
    report = await call.end()
    assert report.limited_s == 0
    mix = read_all(tmp_path / "call.wav")[0].astype(int)
    stems = [read_all(path)[0].astype(int) for path in stems_of(report)]
    assert np.abs(np.sum(stems, axis=0) - mix).max() <= 1
    assert not stems[-1].any(), quiet


@pytest.mark.parametrize("rate", [16000, 48000])
async def test_aac_stems_line_up_and_are_as_long_as_the_mix(rate: int, tmp_path: Path):
    call = Call(tmp_path / "call.aac", sample_rate=rate)
    await call.recorder.start()
    call.join("alice", speech("alice", 12))
    await call.talk(3.4)
    bob = call.join("bob", speech("bob", 12))
    await call.talk(4)
    call.leave(bob)
    await call.talk(2)
    report = await call.end()
    mix, _ = read_ffmpeg(tmp_path / "call.aac")
    alice_pcm, bob_pcm = (read_ffmpeg(path)[0] for path in stems_of(report))
    assert len(alice_pcm) == len(bob_pcm) == len(mix)
    assert not bob_pcm[: round(3.3 * rate)].any()
    assert not bob_pcm[round(8 * rate) :].any()
    for name, pcm, begin, seconds in (("alice", alice_pcm, 0, 9.4), ("bob", bob_pcm, 3.4, 4)):
        said = speech(name, 12, rate)[: round(seconds * rate)]
        offset_s, likeness = offset_of(said, pcm, rate)
        assert abs(offset_s - begin) <= 1 / rate
        assert likeness > 0.9
    # The first words are whole: a frame of silence stands before them, for the decoder.
    loud = np.abs(bob_pcm[round(3.4 * rate) : round(3.6 * rate)].astype(int)).max()
    said = np.abs(speech("bob", 12, rate)[: round(0.2 * rate)].astype(int)).max()
    assert loud > 0.5 * said


async def test_whoever_comes_late_begins_with_silence_that_nobody_writes(tmp_path: Path):
    for suffix in ("wav", "aac"):
        call = Call(tmp_path / f"call.{suffix}", sample_rate=16000)
        await call.recorder.start()
        await call.clock.advance(900)
        call.join("bob", noise(1, 2))
        await call.talk(1)
        report = await call.end()
        (stem,) = stems_of(report)
        mix, _ = read_ffmpeg(tmp_path / f"call.{suffix}")
        pcm, _ = read_ffmpeg(stem)
        assert len(pcm) == len(mix) >= 901 * 16000
        assert not pcm[: 900 * 16000 - 2048].any()
        assert pcm[-16000:].any()
        if suffix == "wav":
            assert stem.stat().st_blocks * 512 < 1 << 20
        else:
            assert stem.stat().st_size < 1 << 20
        for each in listing(tmp_path / "stems"):
            each.unlink()


@pytest.mark.parametrize("channels", [1, 2])
async def test_with_sides_the_stems_are_those_of_both(channels: int, tmp_path: Path):
    me, bob = noise(1, 3) // 2, noise(2, 3) // 2
    call = Call(tmp_path / "call.wav", channels=channels)
    await call.recorder.start()
    call.join("me", me, local=True)
    call.join("bob", bob)
    await call.talk(3)
    report = await call.end()
    mine, his = (read_all(path)[0] for path in stems_of(report))
    assert np.array_equal(mine, me)
    assert np.array_equal(his, bob)


async def test_whoever_is_not_recorded_has_no_stem(tmp_path: Path):
    call = Call(tmp_path / "call.wav", position=2)
    await call.recorder.start()
    call.join("me", noise(1, 1), local=True)
    call.join("bob", noise(2, 1))
    await call.talk(1)
    report = await call.end()
    assert [path.name for path in stems_of(report)] == ["001-bob.wav"]
