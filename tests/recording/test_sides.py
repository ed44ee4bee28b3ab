"""Two channels: the local side left, the remote side right, and neither in the other."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from roomtape import AudioRecorder, AudioRecordingConfiguration, ErrorCode
from roomtape.storage.recover import Missing, recover
from roomtape.types import Pcm, RecordingReport
from roomtape.types.clock import ScriptedClock
from roomtape.types.errors import ConfigurationError, DamagedFileError
from support.readers import read_all, read_ffmpeg
from support.scripted_call import joined_call
from support.signals import noise, silence, speech

RATE = 48000
STEP = RATE // 5
HEAD_BYTES = 4096


async def record(
    path: Path,
    me: Pcm,
    others: dict[str, Pcm],
    *,
    snapshots: list[Path] | None = None,
    **config: Any,
) -> RecordingReport:
    """Record what ``me`` and ``others`` say; copy all that is on disk after each step, which is
    what a kill in that moment would leave."""
    clock = ScriptedClock()
    config = {"sample_rate": RATE, "channels": 2} | config
    recorder = AudioRecorder(AudioRecordingConfiguration(path, **config), clock=clock)
    await recorder.start()
    voices = {recorder.add_source("me", local=True): me} | {
        recorder.add_source(name): voice for name, voice in others.items()
    }
    for start in range(0, len(me), STEP):
        for source, voice in voices.items():
            source.push(voice[start : start + STEP], RATE, start)
        await clock.advance(STEP / RATE)
        if snapshots is not None:
            place = path.parent / f"killed-{start // STEP}"
            place.mkdir()
            for each in path.parent.glob(f"{path.name}*"):
                shutil.copy(each, place)
            snapshots.append(place)
    return await recorder.stop()


def level_db(samples: Pcm) -> float:
    return 20 * float(np.log10(max(1e-9, np.sqrt(np.mean(samples.astype(float) ** 2)))))


async def test_each_sample_is_on_its_side(tmp_path: Path):
    me, bob, carol = (noise(seed, 4) for seed in (1, 2, 3))
    report = await record(tmp_path / "a.wav", me, {"bob": bob // 2, "carol": carol // 2})
    pcm, rate = read_all(tmp_path / "a.wav")
    assert rate == RATE
    assert np.array_equal(pcm[:, 0], me)
    assert np.array_equal(pcm[:, 1], bob // 2 + carol // 2)
    assert (report.channels, report.duration_s) == (2, 4.0)
    assert report.bytes_written == (tmp_path / "a.wav").stat().st_size


@pytest.mark.parametrize("quality", [0, 1, 2])
@pytest.mark.parametrize("rate", [16000, 32000, 44100, 48000])
async def test_nothing_leaks_from_one_side_to_the_other(rate: int, quality: int, tmp_path: Path):
    """Each speaks while the other is quiet, then both do: quiet is 60 dB down, and more."""
    me, bob = speech("alice", 6), speech("bob", 6)
    me[2 * RATE : 4 * RATE] = 0
    bob[: 2 * RATE] = 0
    for suffix in ("wav", "aac"):
        path = tmp_path / f"a.{suffix}"
        await record(path, me, {"bob": bob}, sample_rate=rate, quality=quality)
        pcm, _ = read_ffmpeg(path)
        assert pcm.shape[1] == 2
        frame = 1024  # a quiet stretch begins and ends inside of frames
        only_me = pcm[: 2 * rate - 2 * frame]
        only_bob = pcm[2 * rate + 2 * frame : 4 * rate - 2 * frame]
        assert level_db(only_me[:, 1]) < level_db(only_me[:, 0]) - 60
        assert level_db(only_bob[:, 0]) < level_db(only_bob[:, 1]) - 60


@pytest.mark.parametrize("position", [0, 1, 2])
async def test_a_side_that_nobody_wants_is_silent(position: int, tmp_path: Path):
    me, bob = noise(1, 1), noise(2, 1)
    await record(tmp_path / "a.wav", me, {"bob": bob}, position=position)
    pcm, _ = read_all(tmp_path / "a.wav")
    assert np.array_equal(pcm[:, 0], me if position != 2 else silence(1))
    assert np.array_equal(pcm[:, 1], bob if position != 1 else silence(1))


async def test_a_cyclic_recording_keeps_both_sides_of_the_last_seconds(tmp_path: Path):
    me, bob = noise(1, 13), noise(2, 13)
    for suffix in ("wav", "aac"):
        path = tmp_path / f"a.{suffix}"
        report = await record(path, me, {"bob": bob}, cycle_time=10)
        assert report.channels == 2
        assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        pcm, _ = read_ffmpeg(path)
        if suffix == "wav":
            assert np.array_equal(pcm, np.stack([me, bob], axis=1)[-10 * RATE :])
        else:
            assert abs(len(pcm) - 10 * RATE) <= 1024
        assert len(pcm) == round(report.duration_s * RATE)


@pytest.mark.slow
@pytest.mark.parametrize("cycle_time", [0, 10], ids=["live", "cyclic"])
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_kill_after_any_step_leaves_both_sides_up_to_there(
    suffix: str, cycle_time: int, tmp_path: Path
):
    me, bob, places = noise(1, 12), noise(2, 12), list[Path]()
    path = tmp_path / f"a.{suffix}"
    await record(path, me, {"bob": bob}, cycle_time=cycle_time, snapshots=places)
    whole, _ = read_ffmpeg(path)
    got_s = []
    for place in places[:: 7 if suffix == "aac" else 3]:
        (left,) = place.iterdir()
        try:
            found = recover(left, place / f"found.{suffix}")
        except DamagedFileError:
            got_s.append(0.0)
            continue
        assert (found.sample_rate, found.missing) == (RATE, ())
        assert found.sha256 in ("", hashlib.sha256(found.path.read_bytes()).hexdigest())
        pcm, _ = read_all(found.path)
        assert pcm.shape == (round(found.duration_s * RATE), 2)
        got_s.append(found.start_s + found.duration_s)
        if suffix == "wav":
            start = round(found.start_s * RATE)
            assert np.array_equal(pcm, np.stack([me, bob], axis=1)[start : start + len(pcm)])
        elif not cycle_time:
            assert np.array_equal(pcm[: len(pcm) - 1024], whole[: len(pcm) - 1024])
    assert got_s == sorted(got_s)
    assert got_s[-1] >= 12 - 3 * 7 * 0.2 - 0.8


async def test_a_ring_of_two_channels_is_known_without_its_heads(tmp_path: Path):
    """Its slots are as large as those of one channel at twice the rate."""
    for rate, channels in ((16000, 2), (32000, 1), (32000, 2)):
        me, bob, places = noise(1, 3), noise(2, 3), list[Path]()
        path = tmp_path / f"{rate}-{channels}.wav"
        settings = {"sample_rate": rate, "channels": channels, "cycle_time": 10}
        await record(path, me, {"bob": bob}, snapshots=places, **settings)
        ring = places[-1] / f"{path.name}.ring"
        data = ring.read_bytes()
        for kept in (len(data), len(data) // 2):  # whole, and cut besides
            ring.write_bytes(bytes(2 * HEAD_BYTES) + data[2 * HEAD_BYTES : kept])
            found = recover(ring, ring.with_name("found.wav"))
            pcm, found_rate = read_all(found.path)
            assert found_rate == rate
            assert pcm.shape[1:] == ((2,) if channels == 2 else ())
            whole, _ = read_all(path)
            assert np.array_equal(pcm, whole[: len(pcm)])
        for each in [path, *places]:
            shutil.rmtree(each) if each.is_dir() else each.unlink()


@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_torn_slot_is_silence_on_both_sides(suffix: str, tmp_path: Path):
    me, bob, places = noise(1, 3), noise(2, 3), list[Path]()
    path = tmp_path / f"a.{suffix}"
    await record(path, me, {"bob": bob}, cycle_time=10, snapshots=places)
    ring = places[-1] / f"{path.name}.ring"
    data = bytearray(ring.read_bytes())
    slot_bytes = 16 + (4 * RATE // 10 if suffix == "wav" else 1543)
    data[2 * HEAD_BYTES + 9 * slot_bytes + 20] ^= 0x55
    ring.write_bytes(data)
    found = recover(ring, ring.with_name(f"found.{suffix}"))
    unit = RATE // 10 if suffix == "wav" else 1024
    assert found.missing == (Missing(9 * unit / RATE, 10 * unit / RATE),)
    pcm, _ = read_ffmpeg(found.path)
    # In AAC, half of a frame is heard in its neighbours' halves.
    assert not pcm[9 * unit + unit // 2 : 9 * unit + unit // 2 + 8].any() or suffix == "aac"
    assert len(pcm) == round(found.duration_s * RATE)
    whole, _ = read_ffmpeg(path)
    assert np.array_equal(pcm[: 8 * unit], whole[: 8 * unit])
    assert np.array_equal(pcm[11 * unit : len(pcm) - unit], whole[11 * unit : len(pcm) - unit])


@pytest.mark.parametrize("channels", [0, 3, -1, True, 1.0, None, "2"])
def test_other_numbers_of_channels_are_refused(channels: object):
    with pytest.raises(ConfigurationError, match="it must be one of 1, 2"):
        AudioRecordingConfiguration("a.wav", channels=channels).validate()  # type: ignore[arg-type]


async def test_the_engine_records_sides_and_answers_other_numbers(tmp_path: Path):
    path = tmp_path / "a.wav"
    async with joined_call() as call:
        config = AudioRecordingConfiguration(path, sample_rate=RATE, channels=3)
        refused = await call.engine.start_audio_recording_with_config(config)
        assert refused is ErrorCode.INVALID_PARAM
        assert "channels is 3" in call.engine.last_error
        config = AudioRecordingConfiguration(path, sample_rate=RATE, channels=2)
        assert await call.engine.start_audio_recording_with_config(config) is ErrorCode.OK
        call.room.speak("bob", noise(2, 1), RATE)
        await call.clock.advance(2)
        assert await call.engine.stop_audio_recording() is ErrorCode.OK
        assert call.engine.last_recording_report is not None
        assert call.engine.last_recording_report.channels == 2
    pcm, _ = read_all(path)
    assert not pcm[:, 0].any()
    assert np.array_equal(pcm[:RATE, 1], noise(2, 1))


@pytest.mark.parametrize("cycle_time", [0, 10], ids=["live", "cyclic"])
@pytest.mark.parametrize("suffix", ["wav", "aac"])
async def test_a_saved_part_has_both_sides(suffix: str, cycle_time: int, tmp_path: Path):
    me, bob = noise(1, 13), noise(2, 13)
    clock = ScriptedClock()
    config = AudioRecordingConfiguration(
        tmp_path / f"a.{suffix}", sample_rate=RATE, channels=2, cycle_time=cycle_time
    )
    recorder = AudioRecorder(config, clock=clock)
    await recorder.start()
    voices = {recorder.add_source("me", local=True): me, recorder.add_source("bob"): bob}
    saving = None
    for start in range(0, len(me), STEP):
        for source, voice in voices.items():
            source.push(voice[start : start + STEP], RATE, start)
        await clock.advance(STEP / RATE)
        if start == 57 * STEP:
            part = tmp_path / f"part.{suffix}"
            saving = asyncio.create_task(recorder.save(part, last_s=3))
    assert saving is not None
    report = await saving
    await recorder.stop()
    assert (report.channels, report.missing_s) == (2, 0)
    pcm, _ = read_ffmpeg(tmp_path / f"part.{suffix}")
    assert pcm.shape == (round(report.duration_s * RATE), 2)
    begin = round(report.skipped_s * RATE)
    if suffix == "wav":
        assert len(pcm) == 3 * RATE
        assert np.array_equal(pcm, np.stack([me, bob], axis=1)[begin : begin + len(pcm)])
