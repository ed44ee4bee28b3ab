"""Stems: one file a participant and stay beside the mix, as long as it, with the same sample 0."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecordingConfiguration, ErrorCode
from roomtape.recording import recorder
from roomtape.storage.disk import Disk
from roomtape.storage.recover import recover
from roomtape.types import (
    AudioRecordingCode,
    AudioRecordingWarning,
    RecordingEvent,
    RecordingReport,
)
from roomtape.types.errors import ConfigurationError, DamagedFileError, OpenFileError
from support.readers import read_all, read_ffmpeg
from support.scripted_call import joined_call
from support.scripted_recording import listing
from support.signals import noise, offset_of, speech
from support.talking import Talking as Call

RATE = 48000


def contents(path: str) -> bytes:
    return Path(path).read_bytes()


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


@pytest.mark.slow
async def test_whoever_comes_late_begins_with_silence_that_nobody_writes(tmp_path: Path):
    for suffix in ("wav", "aac"):
        call = Call(tmp_path / f"call.{suffix}", sample_rate=16000)
        await call.recorder.start()
        await call.clock.advance(900)
        call.join("bob", noise(1, 2))
        await call.talk(1)
        report = await call.end()
        (stem,) = stems_of(report)
        mix, _ = read_all(tmp_path / f"call.{suffix}")
        pcm, _ = read_all(stem)
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


async def test_the_projects_are_beside_the_stems_and_older_files_are_moved_aside(tmp_path: Path):
    for _ in range(2):
        call = Call(tmp_path / "call.wav")
        await call.recorder.start()
        call.join('a"b/../c', noise(1, 1))
        await call.talk(1)
        report = await call.end()
    stem = tmp_path / "stems" / "001-a_b_.._c.wav"
    assert report.stems == (str(stem),)
    assert report.projects == tuple(
        str(tmp_path / "stems" / name) for name in ("call.lof", "call.rpp")
    )
    assert b'file "001-a_b_.._c.wav" offset 0\n' in contents(report.projects[0])
    assert [path.name for path in listing(tmp_path / "stems")] == [
        "001-a_b_.._c.1.wav",
        "001-a_b_.._c.wav",
        "call.1.lof",
        "call.1.rpp",
        "call.lof",
        "call.rpp",
    ]


async def test_a_stem_that_cannot_be_written_ends_alone(tmp_path: Path):
    class FullStems(Disk):
        """No room in the stems of bob after a while, and none at all for carol's."""

        def __init__(self) -> None:
            self.full: set[int] = set()
            self.written = 0

        def create(self, path: Path) -> int:
            fd = super().create(path)
            if path.parent.name == "stems":
                self.full.add(fd)
            return fd

        def close(self, fd: int) -> None:
            self.full.discard(fd)
            super().close(fd)

        def write_at(self, fd: int, data: bytes | memoryview, offset: int) -> None:
            if fd in self.full:
                self.written += len(data)
                if self.written > 300_000:
                    super().write_at(fd, data[:1001], offset)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().write_at(fd, data, offset)

    events: list[RecordingEvent] = []
    call = Call(tmp_path / "call.wav", disk=FullStems(), on_event=events.append)
    await call.recorder.start()
    bob = noise(1, 8)
    call.join("bob", bob)
    await call.talk(6)
    report = await call.end()
    codes = [event.code for event in events]
    assert codes == [
        AudioRecordingCode.START,
        AudioRecordingWarning.STEM_FAILED,
        AudioRecordingCode.FINISH,
    ]
    assert "bob has no stem any more" in events[1].detail
    assert "no space left on device" in events[1].detail
    assert any("bob has no stem" in words for words in report.warnings)
    assert not report.error
    mix, _ = read_all(tmp_path / "call.wav")
    assert np.array_equal(mix, bob[: 6 * RATE])
    (stem,) = stems_of(report)
    pcm, _ = read_all(stem)
    assert RATE < len(pcm) < 5 * RATE
    assert np.array_equal(pcm, bob[: len(pcm)])


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_kill_after_any_step_leaves_stems_that_are_recovered(suffix: str, tmp_path: Path):
    """What is on disk after a step is what a kill in that moment would leave."""
    alice, bob = noise(1, 12) // 2, noise(2, 12) // 2
    call = Call(tmp_path / f"call.{suffix}")
    await call.recorder.start()
    call.join("alice", alice)
    places = []
    for step in range(30):
        if step == 7:
            late = call.join("bob", bob)
        if step == 20:
            call.leave(late)
        await call.talk(0.2)
        if step % 3 == 1:
            places.append((step + 1, tmp_path / f"killed-{step}"))
            shutil.copytree(tmp_path / "stems", places[-1][1])
    report = await call.end()
    whole = [read_all(path)[0] for path in stems_of(report)]
    for steps, place in places:
        left = listing(place)
        # A stem is written a second at once, and half a second behind the clock.
        assert len(left) >= (steps >= 10) + (steps >= 17)
        for path, said in zip(left, whole, strict=False):
            try:
                recovered = recover(path)
            except DamagedFileError:
                assert path.stat().st_size in (0, 80)
                continue
            pcm, _ = read_all(recovered.path)
            good = len(pcm) - (1024 if suffix == "aac" else 0)
            assert np.array_equal(pcm[:good], said[:good])
            if path.name.startswith("001"):
                assert len(pcm) >= (steps * 0.2 - 1.9) * RATE


async def test_what_fails_to_start_leaves_no_stems(tmp_path: Path):
    for stems, words in (
        (tmp_path / "nowhere" / "stems", "nowhere/stems: no such file or directory"),
        (tmp_path / "file", "file: not a directory"),
    ):
        (tmp_path / "file").touch()
        before = listing(tmp_path)
        call = Call(tmp_path / "call.wav", stems=stems)
        with pytest.raises(OpenFileError, match=words):
            await call.recorder.start()
        assert listing(tmp_path) == before
    call = Call(tmp_path / "call.wav")
    await call.recorder.prepare()
    assert (tmp_path / "stems").is_dir()
    await call.recorder.discard()
    assert listing(tmp_path) == before


async def test_later_stays_than_two_hundred_are_in_the_mix_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recorder, "_MOST_STEMS", 3)
    events: list[RecordingEvent] = []
    call = Call(tmp_path / "call.wav", on_event=events.append)
    await call.recorder.start()
    for number in range(6):
        source = call.join(f"p{number}", noise(number, 1) // 8)
        await call.talk(0.6)
        call.leave(source)
        await call.talk(0.8)
    report = await call.end()
    assert [source.stem != "" for source in report.sources] == [True] * 3 + [False] * 3
    told = [event for event in events if event.code is AudioRecordingWarning.STEM_FAILED]
    assert len(told) == 1
    assert "3 stems are all" in told[0].detail
    assert {len(read_all(path)[0]) for path in stems_of(report)} == {round(8.4 * RATE)}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"stems": ""}, "stems is empty"),
        ({"stems": 7}, "stems is 7; it must name"),
        ({"stems": "a\0b"}, "stems contains a NUL"),
    ],
)
def test_what_can_be_no_directory_is_refused(config: dict[str, Any], words: str):
    with pytest.raises(ConfigurationError, match=words):
        AudioRecordingConfiguration("a.wav", **config).validate()


async def test_the_engine_writes_stems_and_answers_what_it_cannot(tmp_path: Path):
    async with joined_call() as joined:
        for stems, code in (
            (tmp_path / "nowhere" / "stems", ErrorCode.FATAL),
            ("", ErrorCode.INVALID_PARAM),
            (tmp_path / "stems", ErrorCode.OK),
        ):
            config = AudioRecordingConfiguration(
                tmp_path / "a.wav", sample_rate=RATE, stems=stems, report=True
            )
            assert await joined.engine.start_audio_recording_with_config(config) is code
        joined.room.speak("bob", noise(2, 1), RATE)
        await joined.clock.advance(2)
        assert await joined.engine.stop_audio_recording() is ErrorCode.OK
        report = joined.engine.last_recording_report
    assert report is not None
    told = json.loads((tmp_path / "a.wav.json").read_text())
    assert told["stems"] == list(report.stems)
    bob = next(source for source in report.sources if source.name == "bob")
    pcm, _ = read_all(bob.stem)
    assert len(pcm) == 2 * RATE
    assert np.array_equal(pcm[:RATE], noise(2, 1))
